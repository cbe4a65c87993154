#include "runtime/engine/network.h"

#include "plan/augment.h"
#include "plan/step.h"
#include "runtime/engine/executor.h"
#include "runtime/engine/initializers.h"
#include "runtime/engine/tensor.h"
#include "runtime/engine/weight_update.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

namespace halcyon {

Plan plan_of(const halcyon_model &model) {
    if (model.abi_version != HALCYON_ABI_VERSION)
        throw std::runtime_error(
            fmt::format("the model's library has ABI version {} and this program {}: build it with this version's halcyonc",
                        model.abi_version, HALCYON_ABI_VERSION));
    if (!model.text || !model.plan || !model.kernels)
        throw std::runtime_error("the model's library has no text, no plan or no kernels: build it anew");
    return parse_plan({model.plan, model.plan_size});
}

std::vector<std::string> compiled_sets(const Plan &plan) {
    std::vector<std::string> names;
    for (const SetPlan &set : plan.sets) names.push_back(set.set);
    return names;
}

namespace {

const SetPlan &find_set(const Plan &plan, std::string_view name) {
    const auto found = std::ranges::find(plan.sets, name, &SetPlan::set);
    if (found != plan.sets.end()) return *found;
    std::vector<std::string> there_are;
    for (const SetPlan &set : plan.sets) there_are.push_back(set.set);
    throw std::runtime_error(
        fmt::format("model {}: there is no schedule set \"{}\"; there are {}", plan.model, name, fmt::join(there_are, ", ")));
}

const Program &find_program(const SetPlan &set, std::string_view name) {
    const auto found = std::ranges::find(set.programs, name, &Program::name);
    if (found == set.programs.end()) throw std::runtime_error(fmt::format("schedule set {} has no program \"{}\"", set.set, name));
    return *found;
}

/// What a loss's buffers are called.
struct LossBuffers {
    const char *answers, *predictions, *metric;
};

LossBuffers loss_buffers(const Plan &plan) {
    const char *const answers = plan.targets > 0 ? "targets" : "labels";
    return plan.units() > 0 ? LossBuffers{answers, "predicted", "metric"} : LossBuffers{answers, "probabilities", "correct"};
}

/// Steps that a device is given at once. In 64 of them it computes for tens of milliseconds, beside which a copy of their results and the
/// wait for it are nothing.
constexpr int device_steps_ahead = 64;

}  // namespace

struct Network::Implementation {
    Plan plan;
    const SetPlan &set;
    const halide_device_interface_t *device;  // null: the host
    Session session;
    Memory memory;
    WeightUpdate weight_update;
    std::vector<float> averages;  // of the parameters' slab; empty: none are kept
    std::map<std::string, Executor, std::less<>> programs;
    Executor &input, &input_float, &augment, &augment_float, &gradients, &infer, &infer_one;
    Executor *features, *input_features;  // null where no frozen layers are at the beginning

    std::optional<PlacedData> data;  // the network's own
    std::vector<std::uint16_t> no_labels;
    std::vector<float> no_targets;  // both of images alone
    int records = 0;                // of the bound data
    RecordKind kind = RecordKind::bytes;
    int inferred = 0;  // images of the last infer()

    // An augmented batch, which `input` takes for a data set: its images are the records 0, 1, 2, ...
    TwinBlock augmented;
    Rows<std::int32_t> counting;
    Address data_images;  // of the bound data
    bool reads_augmented = false;

    // The batch's images, as the layers read them, and their features: a device is done with a step's when it makes the next one's.
    TwinBlock images, batch_features;

    // The external buffers, a row for each step that train() takes.
    int steps_ahead;
    Rows<std::int32_t> indices, words;  // words: of augmentation
    Rows<std::uint32_t> step;
    Rows<float> loss, metric, predictions;
    std::vector<BatchResult> results;
    int bound_row = -1;
    double prepare_seconds = 0;

    Implementation(const halcyon_model &model, Plan model_plan, std::string_view set_name, int threads, int max_batch)
        : plan(std::move(model_plan)), set(find_set(plan, set_name)), device(device_of(set_name)), session(threads),
          memory(plan, set, max_batch, session), weight_update(plan, session.threads()), input(load_program(model, "input")),
          input_float(load_program(model, "input_float")), augment(load_program(model, "augment")),
          augment_float(load_program(model, "augment_float")), gradients(load_program(model, "gradients")),
          infer(load_program(model, "infer")), infer_one(load_program(model, "infer_one")), features(load_optional(model, "features")),
          input_features(load_optional(model, "input_features")),
          augmented(device, session, std::int64_t(max_batch * image_values() * sizeof(float))),
          counting(device, session, 1, std::size_t(max_batch)),
          images(device, session, std::int64_t(max_batch * image_values() * sizeof(float))),
          batch_features(device, session, std::int64_t(max_batch * feature_values() * sizeof(float))),
          steps_ahead(device ? device_steps_ahead : 1), indices(device, session, steps_ahead, std::size_t(max_batch)),
          words(device, session, steps_ahead, std::size_t(max_batch) * augment_words),
          step(device, session, steps_ahead, std::size_t(step_words(plan.dropout_layers, plan.classes))),
          loss(device, session, steps_ahead, std::size_t(max_batch)), metric(device, session, steps_ahead, std::size_t(max_batch)),
          predictions(device, session, 1, std::size_t(max_batch) * plan.predictions()), results(std::size_t(steps_ahead)) {
        load_optimizers(model);
        memory.bind("input", images.place(0));
        if (features) memory.bind("frozen features", batch_features.place(0));
        memory.bind(loss_buffers(plan).predictions, predictions.place(0));
        memory.bind("augmented", augmented.place(0));
        std::iota(counting[0].begin(), counting[0].end(), 0);
        counting.send(1);
        bind_row(0);
        if (device) prepare_seconds = prepare();
    }

    /// Runs every program once, on a black image of either type, and leaves the weights at zero: a device loads a kernel's code when it is
    /// first called, and compiles it where the driver has not kept it. Returns the seconds it took.
    double prepare() {
        const auto begin = std::chrono::steady_clock::now();
        const std::vector<std::uint8_t> bytes(image_values());
        const std::vector<float> values(image_values());
        const Answers answers = no_answers(1);
        const PlacedData black = place(bytes, answers, 1), black_floats = place(values, answers, 1);
        bind_data(black);
        select(0, std::vector<std::int32_t>{0});
        write_step(step[0], plan, StepValues{}, 1);
        write_optimizer_step(step[0], all_optimizers().front(), StepValues{});
        send(1);
        for (Executor *program : {&input, &augment, features, &gradients, &infer, &infer_one})
            if (program) program->run(1, 1);
        for (Executor *program : optimizers()) program->run(1, 1);
        bind_data(black_floats);
        for (Executor *program : {&input_float, &augment_float}) program->run(1, 1);
        if (features) {
            const std::vector<float> made(feature_values());
            const PlacedData placed = place(made, answers, 1, true);
            bind_data(placed);
            input_features->run(1, 1);
        }
        memory.clear_slabs();
        forget_all_preparations();
        records = 0;  // of the image nothing is kept
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }

    /// The programs that run next read and write this row, and read the data set's images or the augmented ones.
    void bind_row(int row, bool read_augmented = false) {
        const bool same_images = std::exchange(reads_augmented, read_augmented) == read_augmented;
        if (std::exchange(bound_row, row) == row && same_images) return;
        memory.bind("images", read_augmented ? augmented.place(0) : data_images);
        memory.bind("image_indices", read_augmented ? counting.place(0) : indices.place(row));
        memory.bind("augment", words.place(row));
        memory.bind("indices", indices.place(row));
        memory.bind("step", step.place(row));
        memory.bind("loss", loss.place(row));
        memory.bind(loss_buffers(plan).metric, metric.place(row));
        rebind();
    }

    void rebind() {
        for (auto &[name, program] : programs) program.rebind();
    }

    std::size_t image_values() const { return std::size_t(plan.in_c) * plan.in_h * plan.in_w; }

    std::size_t feature_values() const {
        const Buffer *buffer = find_features(set);
        return buffer ? std::size_t(elements_of(*buffer, 1)) : 0;
    }

    /// Records of so many bytes of which the kernels can address all: on a device their images too, on the host no more than their answers.
    std::size_t addressable_records(std::size_t image_bytes) const {
        const std::size_t answer_bytes = plan.targets > 0 ? std::size_t(plan.targets) * sizeof(float) : sizeof(std::uint16_t);
        return std::size_t(addressable_bytes) / (device ? std::max(image_bytes, answer_bytes) : answer_bytes);
    }

    /// The number of the records.
    int check_data(const Records &data, const Answers &answers) const {
        const bool of_floats = std::holds_alternative<std::span<const float>>(data);
        const std::size_t values = std::visit([](const auto &all) { return all.size(); }, data);
        const std::size_t images = count_images(answers, image_values() * (of_floats ? sizeof(float) : 1));
        if (values != images * image_values() || !are_whole(answers))
            throw std::invalid_argument(fmt::format("{} {} of images for {}: an image has {}x{}x{}{}", values,
                                                    of_floats ? "floats" : "bytes", in_words(answers), plan.in_h, plan.in_w, plan.in_c,
                                                    are_targets(answers) ? fmt::format(", and {} targets", plan.targets) : ""));
        check_answers(answers);
        return static_cast<int>(images);
    }

    /// The same of features.
    int check_features(std::span<const float> values, const Answers &answers) const {
        if (!features) throw std::invalid_argument(fmt::format("model {}: no frozen layers at its beginning make features", plan.model));
        const std::size_t images = count_images(answers, feature_values() * sizeof(float));
        if (values.size() != images * feature_values() || !are_whole(answers))
            throw std::invalid_argument(
                fmt::format("{} floats of features for {}: an image has {}", values.size(), in_words(answers), feature_values()));
        check_answers(answers);
        return static_cast<int>(images);
    }

    static std::size_t size_of(const Answers &answers) {
        return std::visit([](const auto &all) { return all.size(); }, answers);
    }

    static bool are_targets(const Answers &answers) { return std::holds_alternative<std::span<const float>>(answers); }

    std::size_t an_image_of(const Answers &answers) const { return are_targets(answers) ? std::size_t(plan.targets) : 1; }
    bool are_whole(const Answers &answers) const { return size_of(answers) % an_image_of(answers) == 0; }
    static std::string in_words(const Answers &answers) {
        return fmt::format("{} {}", size_of(answers), are_targets(answers) ? "targets" : "labels");
    }

    std::size_t count_images(const Answers &answers, std::size_t image_bytes) const {
        if (plan.classes == 0 && !are_targets(answers))
            throw std::invalid_argument(fmt::format("labels of images: the model takes {} targets an image", plan.targets));
        if (plan.targets == 0 && are_targets(answers))
            throw std::invalid_argument("targets of images: the model takes labels, which are their classes");
        const std::size_t images = size_of(answers) / an_image_of(answers);
        if (const std::size_t most = addressable_records(image_bytes); images == 0 || images > most)
            throw std::invalid_argument(
                fmt::format("data of {} images: the kernels{} can address 1 to {}", images, device ? " of a device" : "", most));
        return images;
    }

    void check_answers(const Answers &answers) const {
        if (const auto *labels = std::get_if<std::span<const std::uint16_t>>(&answers)) check_labels(*labels);
        if (const auto *targets = std::get_if<std::span<const float>>(&answers)) check_targets(*targets);
    }

    void check_labels(std::span<const std::uint16_t> labels) const {
        const auto label = std::ranges::find_if(labels, [&](std::uint16_t given) { return given >= plan.classes; });
        if (label != labels.end())
            throw std::invalid_argument(
                fmt::format("image {} has the label {}: the classes are 0 to {}", label - labels.begin(), *label, plan.classes - 1));
    }

    void check_targets(std::span<const float> targets) const {
        const bool are_labels = plan.has_class_shares() || plan.has_unit_labels();
        const auto wrong = std::ranges::find_if(targets, [&](float target) { return !is_target(target, are_labels); });
        if (wrong != targets.end())
            throw std::invalid_argument(fmt::format("image {} has the target {}: targets are {}", (wrong - targets.begin()) / plan.targets,
                                                    *wrong, are_labels ? "from 0 to 1" : "finite"));
    }

    PlacedData place(const Records &images, const Answers &answers, int count, bool are_features = false) {
        return {device, session, images, answers, count, plan.has_class_shares() ? plan.classes : 0, are_features};
    }

    /// Answers for so many images, which nobody reads.
    Answers no_answers(std::size_t images) {
        no_labels.resize(plan.targets > 0 ? 0 : images);
        no_targets.resize(images * std::size_t(plan.targets));
        if (plan.targets > 0) return std::span<const float>(no_targets);
        return std::span<const std::uint16_t>(no_labels);
    }

    void bind_data(const PlacedData &placed) {
        data_images = placed.images();
        memory.bind("records", data_images);
        memory.bind(loss_buffers(plan).answers, placed.answers());
        records = placed.records();
        kind = placed.kind();
        bound_row = -1;
        bind_row(0);
    }

    Executor &load_program(const halcyon_model &model, const std::string &name) {
        return programs.try_emplace(name, model, find_program(set, name), set.order, memory, session).first->second;
    }

    /// Null where the set has no such program.
    Executor *load_optional(const halcyon_model &model, const std::string &name) {
        return std::ranges::find(set.programs, name, &Program::name) == set.programs.end() ? nullptr : &load_program(model, name);
    }

    /// Those that the model was compiled with.
    void load_optimizers(const halcyon_model &model) {
        for (const Optimizer &optimizer : all_optimizers()) load_optional(model, optimizer.name);
    }

    std::vector<Executor *> optimizers() {
        std::vector<Executor *> loaded;
        for (const Optimizer &optimizer : all_optimizers())
            if (const auto program = programs.find(optimizer.name); program != programs.end()) loaded.push_back(&program->second);
        return loaded;
    }

    Executor &program_of(const Optimizer &optimizer) {
        const auto program = programs.find(optimizer.name);
        if (program == programs.end())
            throw std::runtime_error(
                fmt::format("model {}: it was compiled without the optimizer {}: build it anew", plan.model, optimizer.name));
        return program->second;
    }

    /// Of each program what it made of weights that are trained.
    void forget_preparations() {
        for (Executor *program : {&gradients, &infer, &infer_one}) program->forget_preparations();
    }

    /// Of each program what it made of any weights.
    void forget_all_preparations() {
        forget_preparations();
        for (Executor *program : {&input, &input_float, features})
            if (program) program->forget_preparations();
    }

    std::span<float> weights(Home slab) {
        forget_all_preparations();
        return memory.slab(slab);
    }

    std::span<float> view(Home home, const Parameter &parameter, std::size_t first = 0) {
        return memory.slab(home).subspan(first + static_cast<std::size_t>(parameter.offset) / sizeof(float), elements_of(parameter));
    }

    void require_trainable(const Parameter &parameter) const {
        if (parameter.home != Home::parameters) throw std::invalid_argument(fmt::format("weight {} is not trained", parameter.name));
    }

    void select(int row, std::span<const std::int32_t> batch) {
        if (batch.empty() || batch.size() > std::size_t(memory.max_batch()))
            throw std::invalid_argument(fmt::format("a batch of {} images: it must have 1 to {}", batch.size(), memory.max_batch()));
        for (const std::int32_t record : batch)
            if (record < 0 || record >= records)
                throw std::invalid_argument(fmt::format("there is no record {}; there are {}", record, records));
        std::ranges::copy(batch, indices[row].begin());
    }

    void set_words(int row, std::span<const std::int32_t> given, std::size_t batch) {
        if (kind == RecordKind::features) throw std::invalid_argument("features of images cannot be augmented");
        if (given.size() != batch * augment_words)
            throw std::invalid_argument(
                fmt::format("{} words of augmentation for {} images: {} belong to each", given.size(), batch, int(augment_words)));
        std::ranges::copy(given, words[row].begin());
    }

    void set_values(int row, const StepValues &values, std::size_t batch) {
        if (kind == RecordKind::features && values.flip_probability > 0)
            throw std::invalid_argument("features of images cannot be flipped");
        write_step(step[row], plan, values, batch);
    }

    /// Gives the kernels what they read in these steps, a row each.
    void set_steps(const Optimizer &optimizer, std::span<const TrainingStep> steps) {
        if (steps.empty() || steps.size() > std::size_t(steps_ahead))
            throw std::invalid_argument(fmt::format("{} steps at once: it must be 1 to {}", steps.size(), steps_ahead));
        program_of(optimizer);
        bool augmenting = false;
        for (int row = 0; row < int(steps.size()); ++row) {
            const TrainingStep &given = steps[std::size_t(row)];
            select(row, given.records);
            if (!given.augment.empty()) set_words(row, given.augment, given.records.size());
            augmenting = augmenting || !given.augment.empty();
            set_values(row, given.values, given.records.size());
            write_optimizer_step(step[row], optimizer, given.values);
        }
        send(int(steps.size()), augmenting);
    }

    /// Gives the kernels the first rows of what they read.
    void send(int rows, bool with_words = false) {
        indices.send(rows);
        if (with_words) words.send(rows);
        step.send(rows);
    }

    void run_augment(std::size_t batch) { (kind == RecordKind::floats ? augment_float : augment).run(static_cast<int>(batch), records); }

    /// Makes the batch's images of their records, augmented or not, or gathers their features.
    void run_input(std::size_t batch) {
        if (reads_augmented) run_augment(batch);
        Executor &program = kind == RecordKind::features ? *input_features : kind == RecordKind::floats ? input_float : input;
        program.run(static_cast<int>(batch), reads_augmented ? static_cast<int>(batch) : records);
    }

    /// Makes the batch's images, and their features where `program` begins with those, and runs it: threads do not fall asleep in between.
    void run_on_images(Executor &program, std::size_t batch) {
        on_kernel_stack([&] {
            const ThreadPool::Step step_of_all(session.threads());
            run_input(batch);
            const bool begins_with_features = &program == &gradients || &program == &infer;
            if (features && kind != RecordKind::features && begins_with_features) features->run(static_cast<int>(batch), records);
            program.run(static_cast<int>(batch), records);
        });
    }

    /// Of the features that were made of a batch, those of one image after the other.
    void copy_features(std::size_t batch, std::span<float> to) {
        batch_features.fetch(static_cast<std::int64_t>(batch * feature_values() * sizeof(float)));
        const auto *const from = reinterpret_cast<const float *>(batch_features.host());
        Tensor tensor(*find_features(set), set.order, place_of(from), static_cast<int>(batch));
        const std::span dimensions(tensor.get()->dim, 4);
        auto next = to.begin();
        for (int n = 0; n < dimensions[3].extent; ++n)
            for (int y = 0; y < dimensions[2].extent; ++y)
                for (int x = 0; x < dimensions[1].extent; ++x) {
                    const std::ptrdiff_t first = std::ptrdiff_t{n} * dimensions[3].stride + std::ptrdiff_t{y} * dimensions[2].stride +
                                                 std::ptrdiff_t{x} * dimensions[1].stride;
                    next = std::copy_n(from + first, dimensions[0].extent, next);
                }
    }

    void run_gradients(int row, std::size_t batch, bool read_augmented = false) {
        bind_row(row, read_augmented);
        forget_preparations();  // the moving statistics will have changed, even where a kernel fails
        run_on_images(gradients, batch);
    }

    void run_update(int row, const Optimizer &optimizer, const StepValues &values) {
        bind_row(row, reads_augmented);
        forget_preparations();
        const UpdateOptions &options = values.options;
        if (options.clip) weight_update.clip(memory.slab(Home::gradients), *options.clip);
        if (const auto &excluded = options.exclude_from_weight_decay; !excluded.empty())
            weight_update.decay(memory.slab(Home::parameters), memory.slab(Home::gradients), weight_decay(optimizer, values), excluded);
        program_of(optimizer).run(memory.max_batch(), records);
        if (options.average) {
            keep_averages();
            weight_update.average(memory.slab(Home::parameters), averages, *options.average, values.update);
        }
        if (weight_update.constrains()) weight_update.constrain(memory.slab(Home::parameters));
    }

    void keep_averages() { averages.resize(static_cast<std::size_t>(plan.parameter_bytes) / sizeof(float)); }

    /// Gets the first rows of what the kernels wrote.
    void fetch(int rows) {
        loss.fetch(rows);
        metric.fetch(rows);
    }

    /// What came of the steps that were set.
    std::span<const BatchResult> results_of(std::span<const TrainingStep> steps) {
        fetch(int(steps.size()));
        for (std::size_t row = 0; row < steps.size(); ++row) results[row] = sums(int(row), steps[row].records.size());
        return std::span(results).first(steps.size());
    }

    BatchResult sums(int row, std::size_t batch) const {
        BatchResult result;
        for (const float image : loss[row].first(batch)) result.loss += image;
        for (const float image : metric[row].first(batch)) result.metric += image;
        return result;
    }
};

Network::Network(const halcyon_model &model, Plan plan, std::string_view set, int threads, int max_batch)
    : self_(std::make_unique<Implementation>(model, std::move(plan), set, threads, max_batch)) {}
Network::~Network() = default;

const Plan &Network::plan() const { return self_->plan; }
const std::string &Network::set() const { return self_->set.set; }
int Network::max_batch() const { return self_->memory.max_batch(); }
double Network::prepare_seconds() const { return self_->prepare_seconds; }

void Network::initialize(std::uint32_t seed) {
    for (std::size_t i = 0; i < plan().parameters.size(); ++i)
        initialize_weight(weight(plan().parameters[i]), plan().parameters[i], static_cast<std::uint32_t>(i), seed);
    std::ranges::fill(gradient_slab(), 0.0F);
    std::ranges::fill(optimizer_slab(), 0.0F);
    std::ranges::fill(self_->averages, 0.0F);
}

std::span<float> Network::parameter_slab() { return self_->weights(Home::parameters); }
std::span<float> Network::gradient_slab() { return self_->memory.slab(Home::gradients); }
std::span<float> Network::moving_slab() { return self_->weights(Home::moving); }
std::span<float> Network::optimizer_slab() { return self_->memory.slab(Home::optimizer); }

std::span<float> Network::weight(const Parameter &parameter) {
    self_->forget_all_preparations();
    return self_->view(parameter.home, parameter);
}

std::span<float> Network::gradient(const Parameter &parameter) {
    self_->require_trainable(parameter);
    return self_->view(Home::gradients, parameter);
}

std::span<float> Network::optimizer_state(const Parameter &parameter, int slot) {
    self_->require_trainable(parameter);
    return self_->view(Home::optimizer, parameter, std::size_t(slot) * parameter_slab().size());
}

void Network::keep_averages() { self_->keep_averages(); }

std::span<float> Network::average_slab() { return self_->averages; }

std::span<float> Network::average(const Parameter &parameter) {
    self_->require_trainable(parameter);
    return average_slab().subspan(static_cast<std::size_t>(parameter.offset) / sizeof(float), elements_of(parameter));
}

void Network::swap_averages() {
    if (!self_->averages.empty()) std::ranges::swap_ranges(parameter_slab(), self_->averages);
}

PlacedData Network::place(const Records &images, const Answers &answers) {
    const int records = self_->check_data(images, answers);
    return self_->place(images, answers, records);
}

std::size_t Network::feature_values() const { return self_->feature_values(); }

std::size_t Network::addressable_features() const { return self_->addressable_records(feature_values() * sizeof(float)); }

void Network::make_features(std::span<const std::int32_t> records, std::span<float> features) {
    if (!self_->features || self_->kind == RecordKind::features || features.size() != records.size() * feature_values())
        throw std::invalid_argument(fmt::format("{} features of {} records: of each image there are {}, and of features none",
                                                features.size(), records.size(), feature_values()));
    self_->select(0, records);
    self_->set_values(0, StepValues{}, records.size());  // no flips
    self_->send(1);
    self_->bind_row(0);
    self_->run_on_images(*self_->features, records.size());
    self_->copy_features(records.size(), features);
}

PlacedData Network::place_features(std::span<const float> features, const Answers &answers) {
    const int records = self_->check_features(features, answers);
    return self_->place(features, answers, records, true);
}

void Network::bind_data(const PlacedData &data) { self_->bind_data(data); }

void Network::bind_data(const Records &images, const Answers &answers) {
    const int records = self_->check_data(images, answers);
    std::optional<PlacedData> &data = self_->data;
    if (!data || !data->refill(images, answers, records)) {
        data.reset();  // before the next takes its memory
        data.emplace(self_->place(images, answers, records));
    }
    self_->bind_data(*data);
}

void Network::bind_images(const Records &images) {
    const std::size_t values = std::visit([](const auto &all) { return all.size(); }, images);
    bind_data(images, self_->no_answers(values / self_->image_values()));
}

BatchResult Network::gradients(std::span<const std::int32_t> records, const StepValues &step) {
    self_->select(0, records);
    self_->set_values(0, step, records.size());
    self_->send(1);
    self_->run_gradients(0, records.size());
    self_->fetch(1);
    return self_->sums(0, records.size());
}

Records Network::augment(std::span<const std::int32_t> records, std::span<const std::int32_t> words) {
    self_->select(0, records);
    self_->set_words(0, words, records.size());
    self_->send(1, true);
    self_->bind_row(0);
    self_->run_augment(records.size());
    const std::size_t values = self_->image_values() * records.size();
    const bool floats = self_->kind == RecordKind::floats;
    self_->augmented.fetch(static_cast<std::int64_t>(values * (floats ? sizeof(float) : 1)));
    const std::byte *const images = self_->augmented.host();
    if (floats) return std::span(reinterpret_cast<const float *>(images), values);
    return std::span(reinterpret_cast<const std::uint8_t *>(images), values);
}

void Network::update(const Optimizer &optimizer, const StepValues &step) {
    write_optimizer_step(self_->step[0], optimizer, step);
    self_->send(1);
    self_->run_update(0, optimizer, step);
}

int Network::steps_ahead() const { return self_->steps_ahead; }

std::span<const BatchResult> Network::train(const Optimizer &optimizer, std::span<const TrainingStep> steps,
                                            const AfterGradients &after_gradients) {
    self_->set_steps(optimizer, steps);
    for (std::size_t row = 0; row < steps.size(); ++row) train_step(optimizer, static_cast<int>(row), steps[row], after_gradients);
    return self_->results_of(steps);
}

/// The step of training.
void Network::train_step(const Optimizer &optimizer, int row, const TrainingStep &step, const AfterGradients &after_gradients) {
    self_->run_gradients(row, step.records.size(), !step.augment.empty());
    if (after_gradients) after_gradients(gradient_slab());
    self_->run_update(row, optimizer, step.values);
}

BatchResult Network::infer(std::span<const std::int32_t> records) {
    self_->select(0, records);
    write_step(self_->step[0], plan(), StepValues{}, records.size());  // no flips
    self_->send(1);
    self_->bind_row(0);
    self_->inferred = 0;
    const bool is_one_image = records.size() == 1 && self_->kind != RecordKind::features;
    self_->run_on_images(is_one_image ? self_->infer_one : self_->infer, records.size());
    self_->fetch(1);
    self_->inferred = static_cast<int>(records.size());
    return self_->sums(0, records.size());
}

std::span<const float> Network::predictions() {
    self_->predictions.fetch(1);
    return self_->predictions[0].first(std::size_t(self_->inferred) * self_->plan.predictions());
}

void *Network::cuda_stream() const { return self_->session.cuda_stream(); }

std::int64_t Network::allocations() const { return self_->session.allocations(); }

}  // namespace halcyon
