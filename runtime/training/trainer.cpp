#include "runtime/training/trainer.h"

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

/// "the loss became NaN".
std::string became(const std::string &name, double value) {
    return fmt::format("{} became {}", name, std::isnan(value) ? "NaN" : "infinite");
}

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
    : network_(network), config_(config), train_(train), folder_(folder), optimizer_(optimizer_of(config.recipe)), images_(config.images()),
      state_(state), train_data_(place(network, train)) {
    const Recipe &recipe = config.recipe;
    const std::vector<double> rates = dropout_rates(recipe, network.plan().dropout_layers);
    TrainingStep step;
    step.values.seed = config.seed;
    step.values.flip_probability = static_cast<float>(recipe.flip);
    step.values.dropout_rates.assign(rates.begin(), rates.end());
    step.values.beta1 = static_cast<float>(recipe.optimizer.beta_1);
    step.values.beta2 = static_cast<float>(recipe.optimizer.beta_2);
    step.values.epsilon = static_cast<float>(recipe.optimizer.epsilon);
    step.values.momentum = static_cast<float>(recipe.optimizer.momentum);
    steps_.assign(static_cast<std::size_t>(network.steps_ahead()), step);
    if (test) test_data_.emplace(place(network, *test));
}

bool Trainer::run(Progress &progress, const StopRequested &stop_requested) {
    folder_.keep_metrics(state_.epoch);
    folder_.remove_config();
    save();
    folder_.write_config(config_);
    while (state_.epoch < static_cast<std::uint32_t>(config_.recipe.epochs)) {
        const bool trained = train_epoch(progress, stop_requested);
        const auto evaluation = trained && test_data_ ? evaluate(network_, *test_data_, stop_requested) : std::nullopt;
        const bool stopped = !trained || (test_data_ && !evaluation);
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
    network_.bind_data(train_data_);
    progress.begin_epoch(static_cast<int>(state_.epoch) + 1, config_.recipe.epochs, images_, state_.position);
    while (state_.position < images_) {
        if (stop_requested()) return false;
        const Clock::time_point begin = Clock::now();
        train_steps();
        state_.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
        progress.update(state_.position, state_.loss / state_.position, double(state_.correct) / state_.position);
    }
    return true;
}

/// As many steps as the network takes at once and the epoch still has.
void Trainer::train_steps() {
    std::size_t steps = 0;
    for (int position = state_.position; steps < steps_.size() && position < images_; ++steps) {
        choose_records(steps_[steps], position);
        set_values(steps_[steps], static_cast<int>(steps), position);
        position += static_cast<int>(steps_[steps].records.size());
    }
    const std::span<const BatchResult> results = network_.train(optimizer_, std::span(steps_).first(steps));
    for (std::size_t i = 0; i < steps; ++i) add(results[i], steps_[i]);
}

/// The images of the batch at `position` of the epoch: the last one may be smaller.
void Trainer::choose_records(TrainingStep &step, int position) const {
    step.records.resize(static_cast<std::size_t>(std::min(config_.recipe.batch, images_ - position)));
    std::iota(step.records.begin(), step.records.end(), position);
    if (!config_.shuffle) return;
    const Shuffle shuffle(config_.seed, state_.epoch, static_cast<std::uint32_t>(images_));
    for (std::int32_t &record : step.records) record = static_cast<std::int32_t>(shuffle(static_cast<std::uint32_t>(record)));
}

/// What the kernels read of the recipe and of the state, `index` steps from now.
void Trainer::set_values(TrainingStep &step, int index, int position) const {
    step.values.epoch = state_.epoch;
    step.values.position = static_cast<std::uint32_t>(position);
    step.values.update = state_.step + index + 1;
    step.values.learning_rate = static_cast<float>(
        learning_rate(config_.recipe.learning_rate, state_.step + index, config_.steps_per_epoch() * config_.recipe.epochs));
}

void Trainer::add(const BatchResult &result, const TrainingStep &step) {
    state_.step += 1;
    state_.position += static_cast<int>(step.records.size());
    state_.loss += result.loss;
    state_.correct += result.correct;
    if (!std::isfinite(result.loss)) fail_diverged(became("the loss", result.loss));
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

/// The checkpoint comes last: until it is written, the epoch counts as not finished, and resuming drops its line of metrics. What is shown
/// comes after it, so that an epoch is not lost with the output.
void Trainer::finish_epoch(const EpochMetrics &metrics, Progress &progress) {
    if (metrics.val_loss && !std::isfinite(*metrics.val_loss)) fail_diverged(became("val_loss", *metrics.val_loss));
    require_finite();
    folder_.require_there();
    folder_.append(metrics);
    const double score = metrics.val_accuracy.value_or(-metrics.loss);
    if (!state_.best_score || score > *state_.best_score) {
        save_weights(folder_.best(), network_, train_.class_names, config_.data_settings.pictures);
        state_.best_score = score;
    }
    state_ = {.step = state_.step, .epoch = state_.epoch + 1, .best_score = state_.best_score};
    save();
    progress.end_epoch(to_text(metrics, config_.recipe.epochs));
}

/// A kernel may hide a NaN from the loss, as an overflow of Adam's second moment does: the values themselves are looked at.
void Trainer::require_finite() const {
    if (const std::string what = find_non_finite(network_, optimizer_); !what.empty()) fail_diverged(what);
}

void Trainer::fail_diverged(const std::string &what) const {
    throw std::runtime_error(fmt::format(
        "{} in epoch {}, step {}: the training diverged; begin another run with a lower learning rate, from the first weights or, "
        "by --init, from those of {}, which is left as it was",
        what, state_.epoch + 1, state_.step, folder_.last().string()));
}

void Trainer::save() const {
    require_finite();
    folder_.require_there();
    save_checkpoint(folder_.last(), network_, optimizer_, {state_, train_.class_names, to_json(config_), config_.data_settings.pictures});
}

PlacedData place(Network &network, const Dataset &data) { return network.place(data.pixels.bytes(), data.labels); }

std::optional<Evaluation> evaluate(Network &network, const PlacedData &data, const StopRequested &stop_requested) {
    network.bind_data(data);
    std::vector<std::int32_t> records(static_cast<std::size_t>(data.records()));
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
    return Evaluation{sums.loss / data.records(), double(sums.correct) / data.records(), data.records()};
}

}  // namespace halcyon
