#include "runtime/training/learning_rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace halcyon {
namespace {

constexpr SettingRange scale{1e-30, 1e30, false}, zero_or_scale{1e-30, 1e30, true}, fraction{1e-30, 1, true}, factor{1e-30, 1, false},
    below_one{1e-30, 0.9999999, true}, steps{1, 1e12, false}, zero_or_steps{1, 1e12, true};

/// From 1 down to `least`, at `part` of the way, as half a cosine.
double cosine_decay(double part, double least) { return least + (1 - least) * (1 + std::cos(std::numbers::pi * part)) / 2; }

double constant(const LearningRate &rate, double, const StepOfRun &) { return rate.peak; }

/// From start * peak up to the peak in the first `warmup` of all steps, then down to zero.
double one_cycle(const LearningRate &rate, double step, const StepOfRun &of) {
    const double warmup = rate.settings[0] * double(of.total_steps), start = rate.settings[1];
    if (step < warmup) return rate.peak * (start + (1 - start) * step / warmup);
    return rate.peak * (1 + std::cos(std::numbers::pi * (step - warmup) / (double(of.total_steps) - warmup))) / 2;
}

/// PyTorch's StepLR: times `factor` after every `step_size` epochs.
double by_steps(const LearningRate &rate, double step, const StepOfRun &of) {
    return rate.peak * std::pow(rate.settings[1], std::floor(step / double(of.steps_per_epoch) / rate.settings[0]));
}

/// PyTorch's MultiStepLR: times `factor` after each of the milestones.
double multi_step(const LearningRate &rate, double step, const StepOfRun &of) {
    const double epoch = step / double(of.steps_per_epoch);
    const auto passed = std::ranges::count_if(rate.milestones, [&](double milestone) { return milestone <= epoch; });
    return rate.peak * std::pow(rate.settings[0], double(passed));
}

/// Keras's ExponentialDecay.
double exponential(const LearningRate &rate, double step, const StepOfRun &) {
    return rate.peak * std::pow(rate.settings[0], step / rate.settings[1]);
}

/// Keras's InverseTimeDecay; with decay_steps of 1 the `decay` of its old optimizers.
double inverse_time(const LearningRate &rate, double step, const StepOfRun &) {
    return rate.peak / (1 + rate.settings[0] * step / rate.settings[1]);
}

/// The steps that a decay takes: those that are given, or 0 for all behind the first `before`.
double decay_steps(double given, double before, const StepOfRun &of) {
    return given > 0 ? given : std::max(1.0, double(of.total_steps) - before);
}

/// Keras's PolynomialDecay, without cycles.
double polynomial(const LearningRate &rate, double step, const StepOfRun &of) {
    const double all = decay_steps(rate.settings[2], 0, of), end = rate.settings[0];
    return (rate.peak - end) * std::pow(1 - std::min(step, all) / all, rate.settings[1]) + end;
}

/// Keras's CosineDecay, whose warm-up begins at zero.
double cosine(const LearningRate &rate, double step, const StepOfRun &of) {
    const double alpha = rate.settings[0], warmup = rate.settings[1], all = decay_steps(rate.settings[2], warmup, of);
    if (step < warmup) return rate.peak * step / warmup;
    return rate.peak * cosine_decay(std::min(step - warmup, all) / all, alpha);
}

/// Keras's CosineDecayRestarts: each period is t_mul times as long as the one before, and begins m_mul times as high.
double cosine_restarts(const LearningRate &rate, double step, const StepOfRun &) {
    const double first = rate.settings[0], t_mul = rate.settings[1], m_mul = rate.settings[2], alpha = rate.settings[3];
    double part = step / first, period = 0;
    if (t_mul == 1) {
        period = std::floor(part);
        part -= period;
    } else {
        period = std::floor(std::log(1 - part * (1 - t_mul)) / std::log(t_mul));
        const double longer = std::pow(t_mul, period);
        part = (part - (1 - longer) / (1 - t_mul)) / longer;
    }
    const double height = std::pow(m_mul, period);
    return rate.peak * ((1 - alpha) * height * (1 + std::cos(std::numbers::pi * part)) / 2 + alpha);
}

}  // namespace

const std::vector<Schedule> &all_schedules() {
    static const std::vector<Schedule> schedules = {
        {"constant", {}, false, constant},
        {"one_cycle", {{"warmup", 0.2, below_one}, {"start", 0.1, fraction}}, false, one_cycle},
        {"step", {{"step_size", {}, steps}, {"factor", 0.1, factor}}, false, by_steps},
        {"multi_step", {{"factor", 0.1, factor}}, true, multi_step},
        {"exponential", {{"decay_rate", {}, factor}, {"decay_steps", {}, steps}}, false, exponential},
        {"inverse_time", {{"decay_rate", {}, scale}, {"decay_steps", {}, steps}}, false, inverse_time},
        {"polynomial", {{"end", 1e-4, zero_or_scale}, {"power", 1, scale}, {"decay_steps", 0, zero_or_steps}}, false, polynomial},
        {"cosine", {{"alpha", 0, fraction}, {"warmup_steps", 0, zero_or_steps}, {"decay_steps", 0, zero_or_steps}}, false, cosine},
        {"cosine_restarts",
         {{"first_decay_steps", {}, steps}, {"t_mul", 2, {1, 1e6, false}}, {"m_mul", 1, factor}, {"alpha", 0, fraction}},
         false,
         cosine_restarts},
    };
    return schedules;
}

const Schedule &find_schedule(std::string_view name) {
    const auto schedule = std::ranges::find(all_schedules(), name, &Schedule::name);
    if (schedule == all_schedules().end()) throw std::invalid_argument(fmt::format("there is no schedule \"{}\"", name));
    return *schedule;
}

double learning_rate(const LearningRate &rate, const StepOfRun &of) {
    const std::int64_t step = rate.per_epoch ? of.step / of.steps_per_epoch * of.steps_per_epoch : of.step;
    return find_schedule(rate.schedule).rate(rate, double(step), of);
}

}  // namespace halcyon
