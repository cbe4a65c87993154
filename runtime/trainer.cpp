#include "runtime/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>
#include <stdexcept>

namespace halcyon {
namespace {

using Clock = std::chrono::steady_clock;

std::string percent(double fraction) { return fmt::format("{:.2f} %", 100 * fraction); }

/// An epoch's metrics for a person.
std::string to_text(const EpochMetrics &metrics, int epochs) {
    std::string text = fmt::format("epoch {}/{}  loss {:.4f}  accuracy {}", metrics.epoch, epochs, metrics.loss, percent(metrics.accuracy));
    if (metrics.val_loss) text += fmt::format("  val_loss {:.4f}  val_accuracy {}", *metrics.val_loss, percent(*metrics.val_accuracy));
    return text + fmt::format("  {:.1f} s  {:.0f} images/s", metrics.seconds, metrics.images_per_second);
}

}  // namespace

Optimizer optimizer_of(const Recipe &recipe) { return recipe.optimizer.name == "adam" ? Optimizer::adam : Optimizer::sgd; }

Trainer::Trainer(Network &network, const RunConfig &config, const Dataset &train, const Dataset *test, const RunFolder &folder,
                 const TrainingState &state)
    : network_(network), config_(config), train_(train), test_(test), folder_(folder), optimizer_(optimizer_of(config.recipe)),
      images_(config.images()), state_(state) {
    const Recipe &recipe = config.recipe;
    const std::vector<double> rates = dropout_rates(recipe, network.plan().dropout_layers);
    step_.seed = config.seed;
    step_.flip_probability = static_cast<float>(recipe.flip);
    step_.dropout_rates.assign(rates.begin(), rates.end());
    step_.beta1 = static_cast<float>(recipe.optimizer.beta_1);
    step_.beta2 = static_cast<float>(recipe.optimizer.beta_2);
    step_.epsilon = static_cast<float>(recipe.optimizer.epsilon);
    step_.momentum = static_cast<float>(recipe.optimizer.momentum);
    records_.reserve(static_cast<std::size_t>(recipe.batch));
}

bool Trainer::run(Progress &progress, const StopRequested &stop_requested) {
    folder_.keep_metrics(state_.epoch);
    save();
    while (state_.epoch < static_cast<std::uint32_t>(config_.recipe.epochs)) {
        const bool trained = train_epoch(progress, stop_requested);
        const auto evaluation = trained && test_ ? evaluate(network_, *test_, stop_requested) : std::nullopt;
        const bool stopped = !trained || (test_ && !evaluation);
        progress.clear();
        if (stopped) {
            save();
            return false;
        }
        finish_epoch(metrics(evaluation), progress);
    }
    return true;
}

/// What is left of the epoch; false where it was stopped inside.
bool Trainer::train_epoch(Progress &progress, const StopRequested &stop_requested) {
    network_.bind_data(train_.images.data(), train_.labels.data(), images_);
    progress.begin_epoch(static_cast<int>(state_.epoch) + 1, config_.recipe.epochs, images_, state_.position);
    while (state_.position < images_) {
        if (stop_requested()) return false;
        const Clock::time_point begin = Clock::now();
        train_step();
        state_.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
        progress.update(state_.position, state_.loss / state_.position, double(state_.correct) / state_.position);
    }
    return true;
}

void Trainer::train_step() {
    choose_records();
    set_step_values();
    const BatchResult result = network_.gradients(records_, step_);
    if (!std::isfinite(result.loss))
        throw std::runtime_error(fmt::format("the loss became {} in epoch {}, step {}: try a lower learning rate; {} is left as it was",
                                             result.loss, state_.epoch + 1, state_.step + 1, folder_.last().string()));
    network_.update(optimizer_, step_);

    state_.step += 1;
    state_.position += static_cast<int>(records_.size());
    state_.loss += result.loss;
    state_.correct += result.correct;
}

/// The images of the next batch: the last one of an epoch may be smaller.
void Trainer::choose_records() {
    records_.resize(static_cast<std::size_t>(std::min(config_.recipe.batch, images_ - state_.position)));
    std::iota(records_.begin(), records_.end(), state_.position);
    if (!config_.shuffle) return;
    const Shuffle shuffle(config_.seed, state_.epoch, static_cast<std::uint32_t>(images_));
    for (std::int32_t &record : records_) record = static_cast<std::int32_t>(shuffle(static_cast<std::uint32_t>(record)));
}

void Trainer::set_step_values() {
    step_.epoch = state_.epoch;
    step_.position = static_cast<std::uint32_t>(state_.position);
    step_.update = state_.step + 1;
    step_.learning_rate = static_cast<float>(learning_rate(config_.recipe.learning_rate, state_.step, total_steps()));
}

EpochMetrics Trainer::metrics(const std::optional<Evaluation> &evaluation) const {
    EpochMetrics metrics;
    metrics.epoch = state_.epoch + 1;
    metrics.loss = state_.loss / images_;
    metrics.accuracy = double(state_.correct) / images_;
    if (evaluation) {
        metrics.val_loss = evaluation->loss;
        metrics.val_accuracy = evaluation->accuracy;
    }
    metrics.seconds = state_.seconds;
    metrics.images_per_second = images_ / state_.seconds;
    return metrics;
}

/// The checkpoint comes last: until it is written, the epoch counts as not finished, and resuming drops its line of metrics.
void Trainer::finish_epoch(const EpochMetrics &metrics, Progress &progress) {
    progress.end_epoch(to_text(metrics, config_.recipe.epochs));
    folder_.append(metrics);
    const double score = metrics.val_accuracy.value_or(-metrics.loss);
    if (!state_.best_score || score > *state_.best_score) {
        save_weights(folder_.best(), network_, train_.class_names);
        state_.best_score = score;
    }
    state_ = {.step = state_.step, .epoch = state_.epoch + 1, .best_score = state_.best_score};
    save();
}

void Trainer::save() const { save_checkpoint(folder_.last(), network_, optimizer_, {state_, train_.class_names}); }

std::int64_t Trainer::total_steps() const {
    const std::int64_t steps_per_epoch = (images_ + config_.recipe.batch - 1) / config_.recipe.batch;
    return steps_per_epoch * config_.recipe.epochs;
}

std::optional<Evaluation> evaluate(Network &network, const Dataset &data, const StopRequested &stop_requested) {
    network.bind_data(data.images.data(), data.labels.data(), data.size());
    std::vector<std::int32_t> records(static_cast<std::size_t>(data.size()));
    std::iota(records.begin(), records.end(), 0);
    BatchResult sums;
    for (std::span<const std::int32_t> rest = records; !rest.empty();) {
        if (stop_requested()) return std::nullopt;
        const std::size_t batch = std::min(rest.size(), static_cast<std::size_t>(network.max_batch()));
        const BatchResult result = network.infer(rest.first(batch));
        sums.loss += result.loss;
        sums.correct += result.correct;
        rest = rest.subspan(batch);
    }
    return Evaluation{sums.loss / data.size(), double(sums.correct) / data.size(), data.size()};
}

}  // namespace halcyon
