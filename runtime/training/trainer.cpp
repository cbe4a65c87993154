#include "runtime/training/trainer.h"

#include "runtime/engine/machine.h"
#include "runtime/training/class_weights.h"
#include "runtime/training/evaluated.h"
#include "runtime/training/monitor.h"
#include "runtime/training/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

using Clock = std::chrono::steady_clock;

/// "the loss became NaN".
std::string became(const std::string &name, double value) {
    return fmt::format("{} became {}", name, std::isnan(value) ? "NaN" : "infinite");
}

/// An epoch's metrics for a person.
std::string to_text(const EpochMetrics &metrics, int epochs) {
    const std::string name = name_of(metrics.reported);
    std::string text = fmt::format("epoch {}/{}  loss {:.4f}  {} {}", metrics.epoch, epochs, metrics.loss, name,
                                   to_text(metrics.reported, metrics.metric));
    if (metrics.val_loss)
        text += fmt::format("  val_loss {:.4f}  val_{} {}", *metrics.val_loss, name, to_text(metrics.reported, *metrics.val_metric));
    return text + fmt::format("  {:.1f} s  {:.0f} images/s", metrics.seconds, metrics.images_per_second);
}

}  // namespace

std::vector<double> require_fits(const RunConfig &config, const RunData &data, Metric metric) {
    require_monitored(config.recipe, data.validated() != nullptr, metric);
    if (!data.train.has_classes()) return no_class_weights(config.recipe);
    std::vector<std::int64_t> images_by_class(static_cast<std::size_t>(data.train.classes));
    for (const std::int32_t record : data.records_to_train(config)) ++images_by_class[data.train.labels[static_cast<std::size_t>(record)]];
    return class_weights(config.recipe, images_by_class, data.train.class_names);
}

const Optimizer &optimizer_of(const Recipe &recipe) { return find_optimizer(recipe.optimizer.name); }

const Dataset *RunData::validated() const {
    if (validation) return &*validation;
    if (!records.validation.empty()) return &train;
    return test ? &*test : nullptr;
}

Split RunData::validated_split() const { return validation || !records.validation.empty() ? Split::validation : Split::test; }

std::span<const std::int32_t> RunData::records_to_train(const RunConfig &config) const {
    return std::span(records.train).first(static_cast<std::size_t>(config.images()));
}

bool is_finished(const Recipe &recipe, const TrainingState &state) {
    return state.epoch >= static_cast<std::uint32_t>(recipe.epochs) || stops_early(recipe, state.best, state.epoch);
}

Trainer::Trainer(Network &network, const RunConfig &config, const RunData &data, const RunFolder &folder, const TrainingState &state,
                 AfterGradients after_gradients)
    : network_(network), config_(config), data_(data), folder_(folder), after_gradients_(std::move(after_gradients)),
      optimizer_(optimizer_of(config.recipe)), images_(data.records_to_train(config)), state_(state),
      train_data_(place(network, data.train)) {
    const Recipe &recipe = config.recipe;
    const std::vector<double> weights = require_fits(config, data, network.plan().metric);
    const std::vector<double> rates = dropout_rates(recipe, network.plan());
    TrainingStep step;
    step.values.seed = config.seed;
    step.values.flip_probability = static_cast<float>(recipe.flip);
    step.values.dropout_rates.assign(rates.begin(), rates.end());
    step.values.class_weights.assign(weights.begin(), weights.end());
    step.values.settings.assign(recipe.optimizer.settings.begin(), recipe.optimizer.settings.end());
    step.values.options = recipe.optimizer.options;
    if (step.values.options.average) network.keep_averages();
    if (recipe.augment != Augmentation()) {
        augmenter_.emplace(recipe.augment, recipe.flip, network.plan().in_w, network.plan().in_h);
        step.values.flip_probability = 0;  // done with the rest
    }
    steps_.assign(static_cast<std::size_t>(network.steps_ahead()), step);
    if (const Dataset *validated = data.validated(); validated && validated != &data.train)
        validation_data_.emplace(place(network, *validated));
}

bool Trainer::run(Progress &progress, const StopRequested &stop_requested) {
    folder_.keep_metrics(state_.epoch);
    folder_.remove_config();
    save();
    folder_.write_config(config_);
    if (state_.step == 0) draw_first_images(progress);
    for (const std::filesystem::path &file : {folder_.mistakes_picture(), folder_.evaluation_file(), folder_.report_file()})
        std::filesystem::remove(file);  // of where the run ended before
    if (!is_finished(config_.recipe, state_) && !keep_features(progress, stop_requested)) return false;
    while (!is_finished(config_.recipe, state_)) {
        const bool trained = train_epoch(progress, stop_requested);
        const auto evaluation = trained ? validate(stop_requested) : std::nullopt;
        const bool stopped = !trained || (data_.validated() && !evaluation);
        progress.clear();
        if (stopped) {
            save();
            return false;
        }
        finish_epoch(metrics(evaluation), progress);
    }
    if (data_.tests() && !test(progress, stop_requested)) return false;
    if (data_.validated() && !judge(progress, stop_requested)) return false;
    folder_.require_there();
    write_report({folder_.path()}, folder_.report_file());
    return true;
}

/// Where frozen layers are at the beginning and nothing changes the images, what those make of them is made once. It is what they would
/// make in each step, so that a run comes to the same bits without. False where it was stopped.
bool Trainer::keep_features(Progress &progress, const StopRequested &stop_requested) {
    if (network_.feature_values() == 0) return true;
    const Plan &plan = network_.plan();
    const std::string &last = plan.layers.at(static_cast<std::size_t>(plan.feature_layers - 1)).name;
    const std::vector<std::int32_t> validated = validated_records();
    const std::size_t images = images_.size() + validated.size();
    const bool changes_images = config_.recipe.flip > 0 || augmenter_;
    const std::string reason =
        changes_images ? "the recipe flips or augments the images" : why_not_kept(network_, images, available_memory());
    if (!reason.empty()) {
        progress.end_epoch(fmt::format("features  of {} are made in every step, not once: {}", last, reason));
        return true;
    }
    const double bytes = static_cast<double>(images) * static_cast<double>(network_.feature_values() * sizeof(float));
    progress.end_epoch(fmt::format("features  of {} are made once for {} images, and take {:.1f} MiB", last, images, bytes / (1 << 20)));
    kept_train_ = halcyon::keep_features(network_, data_.train, train_data_, images_, stop_requested);
    if (kept_train_ && !validated.empty()) {
        kept_validation_ = halcyon::keep_features(network_, *data_.validated(), validation_data_ ? *validation_data_ : train_data_,
                                                  validated, stop_requested);
        if (!kept_validation_) return false;
    }
    kept_records_.resize(images_.size());
    std::iota(kept_records_.begin(), kept_records_.end(), 0);
    return kept_train_.has_value();
}

/// Of the images to validate on.
std::vector<std::int32_t> Trainer::validated_records() const {
    return validation_data_ ? all_records(*data_.validated()) : data_.records.validation;
}

/// What is left of the epoch; false where it was stopped inside.
bool Trainer::train_epoch(Progress &progress, const StopRequested &stop_requested) {
    network_.bind_data(kept_train_ ? kept_train_->placed : train_data_);
    progress.begin_epoch(static_cast<int>(state_.epoch) + 1, config_.recipe.epochs, config_.images(), state_.position,
                         network_.plan().metric);
    while (state_.position < config_.images()) {
        if (stop_requested()) return false;
        const Clock::time_point begin = Clock::now();
        train_steps();
        state_.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
        progress.update(state_.position, state_.loss / state_.position, state_.metric / state_.position);
    }
    return true;
}

/// As many steps as the network takes at once and the epoch still has.
void Trainer::train_steps() {
    std::size_t steps = 0;
    for (int position = state_.position; steps < steps_.size() && position < config_.images(); ++steps) {
        choose_records(kept_train_ ? std::span<const std::int32_t>(kept_records_) : images_, steps_[steps].records, position,
                       config_.recipe.batch);
        set_values(steps_[steps], static_cast<int>(steps), position);
        position += static_cast<int>(steps_[steps].records.size());
    }
    const std::span<const BatchResult> results = network_.train(optimizer_, std::span(steps_).first(steps), after_gradients_);
    for (std::size_t i = 0; i < steps; ++i) add(results[i], steps_[i]);
}

/// The images at `position` of the epoch and behind: `most` or as many as there are.
void Trainer::choose_records(std::span<const std::int32_t> from, std::vector<std::int32_t> &records, int position, int most) const {
    const Shuffle shuffle(config_.seed, state_.epoch, static_cast<std::uint32_t>(images_.size()));
    records.resize(static_cast<std::size_t>(std::min(most, config_.images() - position)));
    for (std::int32_t &record : records) {
        const auto place = static_cast<std::uint32_t>(position++);
        record = from[config_.shuffle ? shuffle(place) : place];
    }
}

/// The learning rate of a step of the epoch in progress.
double Trainer::rate_of(std::int64_t step) const {
    if (config_.recipe.reduce_on_plateau) return reduced_rate(config_.recipe, state_.plateau.reductions);
    const std::int64_t steps_per_epoch = config_.steps_per_epoch();
    return learning_rate(config_.recipe.learning_rate, {step, steps_per_epoch, steps_per_epoch * config_.recipe.epochs});
}

/// What the kernels read of the recipe and of the state, `index` steps from now.
void Trainer::set_values(TrainingStep &step, int index, int position) const {
    if (augmenter_) {
        step.augment.resize(step.records.size() * augment_words);
        augmenter_->draw(config_.seed, state_.epoch, static_cast<std::uint32_t>(position), step.augment);
    }
    step.values.epoch = state_.epoch;
    step.values.position = static_cast<std::uint32_t>(position);
    step.values.update = state_.step + index + 1;
    step.values.learning_rate = static_cast<float>(rate_of(state_.step + index));
}

void Trainer::add(const BatchResult &result, const TrainingStep &step) {
    state_.step += 1;
    state_.position += static_cast<int>(step.records.size());
    state_.loss += result.loss;
    state_.metric += result.metric;
    if (!std::isfinite(result.loss)) fail_diverged(became("the loss", result.loss));
}

/// On the images to validate on, where there are such; with the averages of the weights, where these are kept.
std::optional<Evaluation> Trainer::validate(const StopRequested &stop_requested) {
    if (!data_.validated()) return std::nullopt;
    network_.swap_averages();
    const auto evaluation = kept_validation_   ? evaluate(network_, kept_validation_->placed, stop_requested)
                            : validation_data_ ? evaluate(network_, *validation_data_, stop_requested)
                                               : evaluate(network_, train_data_, data_.records.validation, stop_requested);
    network_.swap_averages();
    return evaluation;
}

EpochMetrics Trainer::metrics(const std::optional<Evaluation> &evaluation) const {
    EpochMetrics metrics;
    metrics.epoch = state_.epoch + 1;
    metrics.loss = state_.loss / config_.images();
    metrics.metric = state_.metric / config_.images();
    if (evaluation) {
        metrics.val_loss = evaluation->loss;
        metrics.val_metric = evaluation->metric;
    }
    metrics.learning_rate = rate_of(state_.step - 1);
    metrics.seconds = state_.seconds;
    metrics.images_per_second = config_.images() / state_.seconds;
    metrics.reported = network_.plan().metric;
    return metrics;
}

/// The checkpoint comes last: until it is written, the epoch counts as not finished, and resuming drops its line of metrics. What is shown
/// comes after it, so that an epoch is not lost with the output.
void Trainer::finish_epoch(const EpochMetrics &metrics, Progress &progress) {
    if (metrics.val_loss && !std::isfinite(*metrics.val_loss)) fail_diverged(became("val_loss", *metrics.val_loss));
    require_finite();
    folder_.require_there();
    folder_.append(metrics);
    if (is_best(monitor_of_best(config_.recipe, data_.validated() != nullptr, metrics.reported), metrics, state_.best)) save_best();
    const bool reduced = reduces(config_.recipe, metrics, state_.plateau);
    state_ = {.step = state_.step, .epoch = state_.epoch + 1, .best = state_.best, .plateau = state_.plateau};
    save();
    progress.end_epoch(to_text(metrics, config_.recipe.epochs));
    if (reduced && !is_finished(config_.recipe, state_))
        progress.end_epoch(fmt::format("learning rate {:.3g} from here on: {} has not improved", rate_of(state_.step),
                                       config_.recipe.reduce_on_plateau->monitor.name));
}

/// What was validated: the averages of the weights, where these are kept.
void Trainer::save_best() {
    network_.swap_averages();
    save_weights(folder_.best(), network_, images_trained_on());
    network_.swap_averages();
}

/// Once, on images that no choice was made by. False where it was stopped: it is then done when the run is resumed.
bool Trainer::test(Progress &progress, const StopRequested &stop_requested) {
    load_weights(folder_.best(), network_);
    const auto evaluation = evaluate(network_, place(network_, *data_.test), stop_requested);
    if (!evaluation) return false;
    if (!std::isfinite(evaluation->loss))
        throw std::runtime_error(fmt::format("{}: on the test images {}; begin another run with a lower learning rate",
                                             folder_.best().string(), became("the loss", evaluation->loss)));
    folder_.require_there();
    const Metric metric = network_.plan().metric;
    folder_.append(TestMetrics{evaluation->loss, evaluation->metric, metric});
    progress.end_epoch(fmt::format("test on {} images, with the weights of epoch {}, the best: test_loss {:.4f}  test_{} {}",
                                   evaluation->images, state_.best.epoch, evaluation->loss, name_of(metric),
                                   to_text(metric, evaluation->metric)));
    return true;
}

/// The images of a step as the network gets them.
Picture Trainer::draw(const TrainingStep &step) const {
    if (!augmenter_) return draw_batch(data_.train, step.records, step.values);
    const Dataset images = augmented(step);
    return draw_batch(images, all_records(images), step.values);
}

/// The same as a data set, of the records' labels and targets. The step may be longer than a batch.
Dataset Trainer::augmented(const TrainingStep &step) const {
    const Dataset &train = data_.train;
    const std::size_t values = train.record_values();
    Dataset images;
    images.h = train.h, images.w = train.w, images.c = train.c, images.classes = train.classes, images.units = train.units;
    images.class_names = train.class_names;
    images.pixels =
        train.pixels.are_floats() ? Pixels::of_floats(values * step.records.size()) : Pixels::of_bytes(values * step.records.size());
    for (const std::int32_t record : step.records) add_answers(images, train, record);
    network_.bind_data(train_data_);
    const auto most = static_cast<std::size_t>(network_.max_batch());
    for (std::size_t first = 0; first < step.records.size(); first += most) {
        const std::size_t count = std::min(most, step.records.size() - first);
        const Records batch = network_.augment(std::span(step.records).subspan(first, count),
                                               std::span(step.augment).subspan(first * augment_words, count * augment_words));
        if (const auto *bytes = std::get_if<std::span<const std::uint8_t>>(&batch))
            std::ranges::copy(*bytes, images.pixels.bytes().begin() + std::ptrdiff_t(first * values));
        if (const auto *floats = std::get_if<std::span<const float>>(&batch))
            std::ranges::copy(*floats, images.pixels.floats().begin() + std::ptrdiff_t(first * values));
    }
    return images;
}

/// Of the first batches, for what becomes of an image depends on its place in the epoch alone.
void Trainer::draw_first_images(Progress &progress) const {
    if (!can_be_drawn(data_.train.c)) return;
    TrainingStep first = steps_.front();
    choose_records(images_, first.records, 0, static_cast<int>(most_reported));
    set_values(first, 0, 0);
    folder_.require_there();
    write_picture(folder_.batch_picture(), draw(first));
    progress.end_epoch(fmt::format("batch.png shows the first {} images as the network gets them", first.records.size()));
}

/// What the best epoch's weights make of the images that were validated on, one by one. False where it was stopped: it is then done when
/// the run is resumed.
bool Trainer::judge(Progress &progress, const StopRequested &stop_requested) {
    const Dataset &validated = *data_.validated();
    const Plan &plan = network_.plan();
    const std::unique_ptr<Evaluated> evaluated = evaluated_for(plan, default_top(plan));
    Mistakes mistakes(validated);
    load_weights(folder_.best(), network_);
    const auto evaluation = evaluate(network_, validation_data_ ? *validation_data_ : train_data_, validated_records(), stop_requested,
                                     [&](std::span<const std::int32_t> records, std::span<const float> predictions) {
                                         evaluated->add_batch(validated, records, predictions);
                                         if (data_.draws_mistakes()) mistakes.add_batch(records, predictions);
                                     });
    if (!evaluation) return false;
    folder_.require_there();
    folder_.write_evaluation(evaluation_json(*evaluation, plan.metric, data_.validated_split(), *evaluated, validated.class_names));
    if (data_.draws_mistakes()) draw_mistakes(progress, mistakes.surest());
    return true;
}

void Trainer::draw_mistakes(Progress &progress, const std::vector<Mistake> &mistakes) const {
    if (mistakes.empty()) return progress.end_epoch("no mistakes among the images that were validated on: there is no mistakes.png");
    write_picture(folder_.mistakes_picture(), halcyon::draw_mistakes(*data_.validated(), mistakes));
    progress.end_epoch(fmt::format("mistakes.png shows the {} surest mistakes of epoch {}'s weights, the best, on the images validated on",
                                   mistakes.size(), state_.best.epoch));
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
    save_checkpoint(folder_.last(), network_, optimizer_, {state_, images_trained_on(), to_json(config_)});
}

TrainingImages Trainer::images_trained_on() const {
    return {data_.train.class_names, config_.data_settings.pictures, data_.train.pixels.are_floats()};
}

}  // namespace halcyon
