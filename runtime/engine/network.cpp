#include "runtime/engine/network.h"

#include "plan/augment.h"
#include "plan/step.h"
#include "runtime/engine/executor.h"
#include "runtime/engine/random.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
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
    if (!model.plan || !model.kernels) throw std::runtime_error("the model's library has no plan or no kernels: build it anew");
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

std::size_t elements_of(const Parameter &parameter) {
    return std::accumulate(parameter.shape.begin(), parameter.shape.end(), std::size_t{1}, std::multiplies<>());
}

/// Glorot and Bengio's uniform initialisation: -limit .. limit, a number of its own for each (parameter, element).
void glorot_uniform(std::span<float> weight, const Parameter &parameter, std::uint32_t index, std::uint32_t key) {
    const float limit = std::sqrt(6.0F / static_cast<float>(parameter.fan_in + parameter.fan_out));
    for (std::size_t element = 0; element < weight.size(); ++element) {
        const std::uint32_t bits = philox2x32({static_cast<std::uint32_t>(element), index}, key)[0];
        const float uniform = static_cast<float>(bits >> 8) * 0x1p-24F;
        weight[element] = limit * (2.0F * uniform - 1.0F);
    }
}

void initialize_weight(std::span<float> weight, const Parameter &parameter, std::uint32_t index, std::uint32_t key) {
    if (parameter.initializer == "glorot_uniform")
        glorot_uniform(weight, parameter, index, key);
    else if (parameter.initializer == "ones" || parameter.initializer == "image_variance")
        std::ranges::fill(weight, 1.0F);
    else if (parameter.initializer == "zeros" || parameter.initializer == "image_mean")
        std::ranges::fill(weight, 0.0F);
    else if (parameter.initializer == "given" && parameter.values.size() == weight.size())
        std::ranges::copy(parameter.values, weight.begin());
    else
        throw std::runtime_error(fmt::format("weight {}: there is no initializer \"{}\"", parameter.name, parameter.initializer));
}

void require(bool holds, const char *what, float value, const char *range) {
    if (!holds) throw std::invalid_argument(fmt::format("a {} of {}: it must be {}", what, value, range));
}

void require_fraction(const char *what, float value) { require(value >= 0 && value < 1, what, value, "at least 0 and below 1"); }

/// Adam's bias corrections are folded into the learning rate, as Keras does, in double: lr * sqrt(1 - beta2^t) / (1 - beta1^t).
float corrected_learning_rate(const StepValues &step) {
    const auto t = static_cast<double>(step.update);
    return static_cast<float>(step.learning_rate * std::sqrt(1.0 - std::pow(step.beta2, t)) / (1.0 - std::pow(step.beta1, t)));
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
    Executor input, input_float, augment, augment_float, gradients, adam, sgd, infer, infer_one;

    std::optional<PlacedData> data;  // the network's own
    int records = 0;                 // of the bound data
    bool floats = false;             // what those are of
    int inferred = 0;                // images of the last infer()

    // An augmented batch, which `input` takes for a data set: its images are the records 0, 1, 2, ...
    TwinBlock augmented;
    Rows<std::int32_t> counting;
    Place data_images;  // of the bound data
    bool reads_augmented = false;

    TwinBlock images;  // the batch's, as the layers read them: a device is done with a step's when it makes the next one's

    // The external buffers, a row for each step that train() takes.
    int steps_ahead;
    Rows<std::int32_t> indices, words;  // words: of augmentation
    Rows<std::uint32_t> step;
    Rows<float> loss, correct, probabilities;
    std::vector<BatchResult> results;
    int bound_row = -1;
    double prepare_seconds = 0;

    Implementation(const halcyon_model &model, Plan model_plan, std::string_view set_name, int threads, int max_batch)
        : plan(std::move(model_plan)), set(find_set(plan, set_name)), device(device_of(set_name)), session(threads),
          memory(plan, set, max_batch, session), input(executor(model, "input")), input_float(executor(model, "input_float")),
          augment(executor(model, "augment")), augment_float(executor(model, "augment_float")), gradients(executor(model, "gradients")),
          adam(executor(model, "adam")), sgd(executor(model, "sgd")), infer(executor(model, "infer")),
          infer_one(executor(model, "infer_one")), augmented(device, session, std::int64_t(max_batch * image_values() * sizeof(float))),
          counting(device, session, 1, std::size_t(max_batch)),
          images(device, session, std::int64_t(max_batch * image_values() * sizeof(float))), steps_ahead(device ? device_steps_ahead : 1),
          indices(device, session, steps_ahead, std::size_t(max_batch)),
          words(device, session, steps_ahead, std::size_t(max_batch) * augment_words),
          step(device, session, steps_ahead, std::size_t(step_words(plan.dropout_layers, plan.classes))),
          loss(device, session, steps_ahead, std::size_t(max_batch)), correct(device, session, steps_ahead, std::size_t(max_batch)),
          probabilities(device, session, 1, std::size_t(max_batch) * plan.classes), results(std::size_t(steps_ahead)) {
        memory.bind("input", images.place(0));
        memory.bind("probabilities", probabilities.place(0));
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
        const std::vector<std::uint16_t> label(1);
        const PlacedData black(device, session, bytes, label), black_floats(device, session, values, label);
        bind_data(black);
        select(0, std::vector<std::int32_t>{0});
        set_step(0, StepValues{}, 1);
        set_optimizer(0, Optimizer::adam, StepValues{});
        send(1);
        for (Executor *program : {&input, &augment, &gradients, &adam, &sgd, &infer, &infer_one}) program->run(1, 1);
        bind_data(black_floats);
        for (Executor *program : {&input_float, &augment_float}) program->run(1, 1);
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
        memory.bind("correct", correct.place(row));
        rebind();
    }

    void rebind() {
        for (Executor *program : {&input, &input_float, &augment, &augment_float, &gradients, &adam, &sgd, &infer, &infer_one})
            program->rebind();
    }

    std::size_t image_values() const { return std::size_t(plan.in_c) * plan.in_h * plan.in_w; }

    /// Records of which the kernels can address all: on a device their images too, on the host no more than their labels.
    std::size_t addressable_records(bool of_floats) const {
        const std::size_t image_bytes = image_values() * (of_floats ? sizeof(float) : 1);
        return std::size_t(addressable_bytes) / (device ? std::max(image_bytes, sizeof(std::uint16_t)) : sizeof(std::uint16_t));
    }

    void check_data(const Records &data, std::span<const std::uint16_t> labels) const {
        const bool of_floats = std::holds_alternative<std::span<const float>>(data);
        const std::size_t values = std::visit([](const auto &all) { return all.size(); }, data);
        if (const std::size_t most = addressable_records(of_floats); labels.empty() || labels.size() > most)
            throw std::invalid_argument(
                fmt::format("data of {} images: the kernels{} can address 1 to {}", labels.size(), device ? " of a device" : "", most));
        if (values != labels.size() * image_values())
            throw std::invalid_argument(fmt::format("{} {} of images for {} labels: an image has {}x{}x{}", values,
                                                    of_floats ? "floats" : "bytes", labels.size(), plan.in_h, plan.in_w, plan.in_c));
        const auto label = std::ranges::find_if(labels, [&](std::uint16_t given) { return given >= plan.classes; });
        if (label != labels.end())
            throw std::invalid_argument(
                fmt::format("image {} has the label {}: the classes are 0 to {}", label - labels.begin(), *label, plan.classes - 1));
    }

    void bind_data(const PlacedData &placed) {
        data_images = placed.images();
        memory.bind("records", data_images);
        memory.bind("labels", placed.labels());
        records = placed.records();
        floats = placed.are_floats();
        bound_row = -1;
        bind_row(0);
    }

    Executor executor(const halcyon_model &model, std::string_view program) {
        return Executor(model, find_program(set, program), set.order, memory, session);
    }

    /// Of each program what it made of weights that are trained.
    void forget_preparations() {
        for (Executor *program : {&gradients, &infer, &infer_one}) program->forget_preparations();
    }

    /// Of each program what it made of any weights.
    void forget_all_preparations() {
        forget_preparations();
        for (Executor *program : {&input, &input_float}) program->forget_preparations();
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
        if (given.size() != batch * augment_words)
            throw std::invalid_argument(
                fmt::format("{} words of augmentation for {} images: {} belong to each", given.size(), batch, int(augment_words)));
        std::ranges::copy(given, words[row].begin());
    }

    template<typename Word>
    void set_word(int row, int field, Word value) {
        step[row][std::size_t(field)] = std::bit_cast<std::uint32_t>(value);
    }

    void set_step(int row, const StepValues &values, std::size_t batch) {
        set_word(row, step_seed, values.seed);
        set_word(row, step_epoch, values.epoch);
        set_word(row, step_position, values.position);
        const std::size_t global_batch = values.global_batch == 0 ? batch : std::size_t(std::max(values.global_batch, 0));
        require(global_batch >= batch, "global batch", static_cast<float>(values.global_batch), "0 or no less than the batch");
        set_word(row, step_inverse_batch, 1.0F / static_cast<float>(global_batch));
        require(values.flip_probability >= 0 && values.flip_probability <= 1, "flip probability", values.flip_probability, "from 0 to 1");
        set_word(row, step_flip_threshold, chance_of(values.flip_probability));
        if (!values.dropout_rates.empty() && values.dropout_rates.size() != std::size_t(plan.dropout_layers))
            throw std::invalid_argument(
                fmt::format("{} dropout rates for {} dropout layers", values.dropout_rates.size(), plan.dropout_layers));
        for (int layer = 0; layer < plan.dropout_layers; ++layer) {
            const float rate = values.dropout_rates.empty() ? 0.0F : values.dropout_rates[std::size_t(layer)];
            require(rate >= 0 && rate < 1 && chance_of(rate) < 65536, "dropout rate", rate, "from 0 to 0.99999");
            set_word(row, dropout_threshold(layer), chance_of(rate));
            set_word(row, dropout_scale(layer), 1.0F / (1.0F - rate));
        }
        set_class_weights(row, values.class_weights);
    }

    void set_class_weights(int row, const std::vector<float> &weights) {
        if (!weights.empty() && weights.size() != std::size_t(plan.classes))
            throw std::invalid_argument(fmt::format("{} class weights for {} classes", weights.size(), plan.classes));
        const int words = static_cast<int>(step[row].size());
        for (int label = 0; label < plan.classes; ++label) {
            const float weight = weights.empty() ? 1.0F : weights[std::size_t(label)];
            require(weight >= 0 && std::isfinite(weight), "class weight", weight, "finite and at least 0");
            set_word(row, class_weight(words, plan.classes, label), weight);
        }
    }

    void set_optimizer(int row, Optimizer optimizer, const StepValues &values) {
        require(values.update >= 1, "number of an update", static_cast<float>(values.update), "at least 1");
        require_fraction("beta_1", values.beta1);
        require_fraction("beta_2", values.beta2);
        require_fraction("momentum", values.momentum);
        require(values.epsilon >= std::numeric_limits<float>::min() && std::isfinite(values.epsilon), "epsilon", values.epsilon,
                "finite and at least 1.2e-38, the least that is no denormal");
        require(values.learning_rate >= 0, "learning rate", values.learning_rate, "at least 0");
        const float rate = optimizer == Optimizer::adam ? corrected_learning_rate(values) : values.learning_rate;
        require(std::isfinite(rate), "learning rate", values.learning_rate, "finite, with Adam's bias corrections too");
        set_word(row, step_learning_rate, rate);
        set_word(row, step_beta1, values.beta1);
        set_word(row, step_beta2, values.beta2);
        set_word(row, step_epsilon, values.epsilon);
        set_word(row, step_momentum, values.momentum);
    }

    /// Gives the kernels the first rows of what they read.
    void send(int rows, bool with_words = false) {
        indices.send(rows);
        if (with_words) words.send(rows);
        step.send(rows);
    }

    void run_augment(std::size_t batch) { (floats ? augment_float : augment).run(static_cast<int>(batch), records); }

    /// Makes the batch's images of their records, augmented or not, and runs `program` on those: threads do not fall asleep in between.
    void run_on_images(Executor &program, std::size_t batch) {
        on_kernel_stack([&] {
            const ThreadPool::Step step_of_all(session.threads());
            if (reads_augmented) run_augment(batch);
            (floats ? input_float : input).run(static_cast<int>(batch), reads_augmented ? static_cast<int>(batch) : records);
            program.run(static_cast<int>(batch), records);
        });
    }

    void run_gradients(int row, std::size_t batch, bool read_augmented = false) {
        bind_row(row, read_augmented);
        forget_preparations();  // the moving statistics will have changed, even where a kernel fails
        run_on_images(gradients, batch);
    }

    void run_update(int row, Optimizer optimizer) {
        bind_row(row, reads_augmented);
        forget_preparations();
        (optimizer == Optimizer::adam ? adam : sgd).run(memory.max_batch(), records);
    }

    /// Gets the first rows of what the kernels wrote.
    void fetch(int rows) {
        loss.fetch(rows);
        correct.fetch(rows);
    }

    BatchResult sums(int row, std::size_t batch) const {
        BatchResult result;
        for (const float image : loss[row].first(batch)) result.loss += image;
        for (const float image : correct[row].first(batch)) result.correct += image > 0;
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
    const std::uint32_t key = stream_key(seed, 0, stream_init);
    for (std::size_t i = 0; i < plan().parameters.size(); ++i)
        initialize_weight(weight(plan().parameters[i]), plan().parameters[i], static_cast<std::uint32_t>(i), key);
    std::ranges::fill(gradient_slab(), 0.0F);
    std::ranges::fill(optimizer_slab(), 0.0F);
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

PlacedData Network::place(const Records &images, std::span<const std::uint16_t> labels) {
    self_->check_data(images, labels);
    return {self_->device, self_->session, images, labels};
}

void Network::bind_data(const PlacedData &data) { self_->bind_data(data); }

void Network::bind_data(const Records &images, std::span<const std::uint16_t> labels) {
    self_->check_data(images, labels);
    std::optional<PlacedData> &data = self_->data;
    if (!data || !data->refill(images, labels)) data.emplace(self_->device, self_->session, images, labels);
    self_->bind_data(*data);
}

BatchResult Network::gradients(std::span<const std::int32_t> records, const StepValues &step) {
    self_->select(0, records);
    self_->set_step(0, step, records.size());
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
    self_->augmented.fetch(static_cast<std::int64_t>(values * (self_->floats ? sizeof(float) : 1)));
    const std::byte *const images = self_->augmented.host();
    if (self_->floats) return std::span(reinterpret_cast<const float *>(images), values);
    return std::span(reinterpret_cast<const std::uint8_t *>(images), values);
}

void Network::update(Optimizer optimizer, const StepValues &step) {
    self_->set_optimizer(0, optimizer, step);
    self_->send(1);
    self_->run_update(0, optimizer);
}

int Network::steps_ahead() const { return self_->steps_ahead; }

std::span<const BatchResult> Network::train(Optimizer optimizer, std::span<const TrainingStep> steps) {
    const int rows = static_cast<int>(steps.size());
    if (rows < 1 || rows > steps_ahead())
        throw std::invalid_argument(fmt::format("{} steps at once: it must be 1 to {}", rows, steps_ahead()));
    for (int row = 0; row < rows; ++row) {
        const TrainingStep &step = steps[std::size_t(row)];
        self_->select(row, step.records);
        if (!step.augment.empty()) self_->set_words(row, step.augment, step.records.size());
        self_->set_step(row, step.values, step.records.size());
        self_->set_optimizer(row, optimizer, step.values);
    }
    self_->send(rows, std::ranges::any_of(steps, [](const TrainingStep &step) { return !step.augment.empty(); }));
    for (int row = 0; row < rows; ++row) {
        const TrainingStep &step = steps[std::size_t(row)];
        self_->run_gradients(row, step.records.size(), !step.augment.empty());
        self_->run_update(row, optimizer);
    }
    self_->fetch(rows);
    for (int row = 0; row < rows; ++row) self_->results[std::size_t(row)] = self_->sums(row, steps[std::size_t(row)].records.size());
    return std::span(self_->results).first(steps.size());
}

BatchResult Network::infer(std::span<const std::int32_t> records) {
    self_->select(0, records);
    self_->set_step(0, StepValues{}, records.size());  // no flips
    self_->send(1);
    self_->bind_row(0);
    self_->inferred = 0;
    self_->run_on_images(records.size() == 1 ? self_->infer_one : self_->infer, records.size());
    self_->fetch(1);
    self_->inferred = static_cast<int>(records.size());
    return self_->sums(0, records.size());
}

std::span<const float> Network::probabilities() {
    self_->probabilities.fetch(1);
    return self_->probabilities[0].first(std::size_t(self_->inferred) * self_->plan.classes);
}

void *Network::cuda_stream() const { return self_->session.cuda_stream(); }

std::int64_t Network::allocations() const { return self_->session.allocations(); }

}  // namespace halcyon
