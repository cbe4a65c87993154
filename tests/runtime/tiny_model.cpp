#include "tests/runtime/tiny_model.h"

#include "plan/augment.h"
#include "plan/optimizers.h"
#include "plan/step.h"

#include <HalideRuntime.h>

#include <bit>
#include <cstdint>

namespace halcyon::tests {
namespace {

/// An argument of a kernel: an element by its coordinates.
template<typename T>
struct Argument {
    halide_buffer_t *buffer;

    T &operator()(int a, int b = 0, int c = 0, int d = 0) const {
        const int coordinates[] = {a, b, c, d};
        std::int64_t offset = 0;
        for (int i = 0; i < buffer->dimensions; ++i) offset += std::int64_t{coordinates[i]} * buffer->dim[i].stride;
        return reinterpret_cast<T *>(buffer->host)[offset];
    }

    int extent(int d) const { return buffer->dim[d].extent; }
};

/// The buffers of Halide's argv convention, and the user_context whose address comes first.
struct Arguments {
    void **arguments;

    void *user_context() const { return *static_cast<void **>(arguments[0]); }

    template<typename T>
    Argument<T> get(int index) const {
        return {static_cast<halide_buffer_t *>(arguments[index + 1])};
    }
};

float step_float(const Argument<std::uint32_t> &step, int field) { return std::bit_cast<float>(step(field)); }

// images, indices, step -> input. A flip swaps the two pixels, where the threshold says always.
template<typename Pixel>
int tiny_input_image(void *user_context, int n, std::uint8_t *closure) {
    const Arguments arguments{reinterpret_cast<void **>(closure)};
    const auto images = arguments.get<Pixel>(0);
    const auto indices = arguments.get<std::int32_t>(1);
    const auto step = arguments.get<std::uint32_t>(2);
    const auto input = arguments.get<float>(3);
    const bool flip = step(step_flip_threshold) == 65536;
    for (int c = 0; c < 2; ++c) {
        const Pixel pixel = images(flip ? 1 - c : c, 0, 0, indices(n));
        if (pixel == poisoned_pixel) {
            halide_error(user_context, "a pixel of 255");
            return -7;
        }
        input(c, 0, 0, n) = pixel;
    }
    return 0;
}

template<typename Pixel>
int tiny_input(void **argv) {
    const Arguments arguments{argv};
    return halide_do_par_for(arguments.user_context(), tiny_input_image<Pixel>, 0, arguments.get<float>(3).extent(3),
                             reinterpret_cast<std::uint8_t *>(argv));
}

// records, indices, augment -> augmented: the first word is added to both pixels.
template<typename Pixel>
int tiny_augment(void **argv) {
    const Arguments arguments{argv};
    const auto records = arguments.get<Pixel>(0), augmented = arguments.get<Pixel>(3);
    const auto indices = arguments.get<std::int32_t>(1), augment = arguments.get<std::int32_t>(2);
    for (int n = 0; n < augmented.extent(3); ++n)
        for (int c = 0; c < 2; ++c)
            augmented(c, 0, 0, n) = static_cast<Pixel>(records(c, 0, 0, indices(n)) + static_cast<Pixel>(augment(0, n)));
    return 0;
}

// input, kernel, bias, labels, indices -> scores, loss, correct
int tiny_scores(void **argv) {
    const Arguments arguments{argv};
    const auto input = arguments.get<float>(0), kernel = arguments.get<float>(1), bias = arguments.get<float>(2);
    const auto labels = arguments.get<std::uint16_t>(3);
    const auto indices = arguments.get<std::int32_t>(4);
    const auto scores = arguments.get<float>(5), loss = arguments.get<float>(6), correct = arguments.get<float>(7);
    for (int n = 0; n < scores.extent(1); ++n) {
        for (int k = 0; k < 2; ++k) scores(k, n) = input(0, 0, 0, n) * kernel(k, 0) + input(1, 0, 0, n) * kernel(k, 1) + bias(k);
        const int label = labels(indices(n));
        loss(n) = scores(label, n);
        correct(n) = scores(label, n) > scores(1 - label, n);
    }
    return 0;
}

// input, labels, indices, step -> d_kernel, d_bias, moving_mean
int tiny_backward(void **argv) {
    const Arguments arguments{argv};
    const auto input = arguments.get<float>(0);
    const auto labels = arguments.get<std::uint16_t>(1);
    const auto indices = arguments.get<std::int32_t>(2);
    const auto step = arguments.get<std::uint32_t>(3);
    const float inverse_batch = step_float(step, step_inverse_batch);
    const auto d_kernel = arguments.get<float>(4), d_bias = arguments.get<float>(5), moving_mean = arguments.get<float>(6);
    for (int k = 0; k < 2; ++k) {
        d_bias(k) = d_kernel(k, 0) = d_kernel(k, 1) = moving_mean(k) = 0;
        for (int n = 0; n < input.extent(3); ++n) {
            moving_mean(k) += input(k, 0, 0, n) * inverse_batch;
            if (labels(indices(n)) != k) continue;
            d_bias(k) += inverse_batch * step_float(step, class_weight(step.extent(0), 2, k));
            for (int c = 0; c < 2; ++c) d_kernel(k, c) += input(c, 0, 0, n) * inverse_batch;
        }
    }
    return 0;
}

// gradients, step -> parameters, first_moment, second_moment: leaves in the moments what it was given.
int tiny_adam(void **argv) {
    const Arguments arguments{argv};
    const auto gradients = arguments.get<float>(0);
    const auto step = arguments.get<std::uint32_t>(1);
    const Optimizer &adam = find_optimizer("adam");
    for (int i = 0; i < gradients.extent(0); ++i) {
        arguments.get<float>(2)(i) -= step_float(step, step_learning_rate) * gradients(i);
        arguments.get<float>(3)(i) = step_float(step, adam.word_of("beta_1")) * gradients(i);
        arguments.get<float>(4)(i) = step_float(step, adam.word_of("beta_2")) * gradients(i);
    }
    return 0;
}

// gradients, step -> parameters, velocity
int tiny_sgd(void **argv) {
    const Arguments arguments{argv};
    const auto gradients = arguments.get<float>(0), velocity = arguments.get<float>(3);
    const auto step = arguments.get<std::uint32_t>(1);
    const int momentum = find_optimizer("sgd").word_of("momentum");
    for (int i = 0; i < gradients.extent(0); ++i) {
        velocity(i) = step_float(step, momentum) * velocity(i) - step_float(step, step_learning_rate) * gradients(i);
        arguments.get<float>(2)(i) += velocity(i);
    }
    return 0;
}

template<int arguments>
const halide_filter_metadata_t *metadata() {
    static const halide_filter_metadata_t metadata{halide_filter_metadata_t::VERSION, arguments + 1, nullptr, "", ""};
    return &metadata;
}

constexpr int slab_bytes = 3 * 64, slab_floats = slab_bytes / 4;

const Buffer images{.name = "images", .type = "uint8", .extents = {2, 1, 1, records_extent}, .home = Home::external};
const Buffer labels{.name = "labels", .type = "uint16", .extents = {records_extent}, .home = Home::external};
const Buffer indices{.name = "indices", .type = "int32", .extents = {batch_extent}, .home = Home::external};
const Buffer image_indices{.name = "image_indices", .type = "int32", .extents = {batch_extent}, .home = Home::external};
const Buffer augment{.name = "augment", .type = "int32", .extents = {augment_words, batch_extent}, .home = Home::external};
const Buffer step{.name = "step", .type = "uint32", .extents = {step_words(1, 2)}, .home = Home::external};
const Buffer loss{.name = "loss", .type = "float32", .extents = {batch_extent}, .home = Home::external};
const Buffer correct{.name = "correct", .type = "float32", .extents = {batch_extent}, .home = Home::external};
const Buffer probabilities{.name = "probabilities", .type = "float32", .extents = {2, batch_extent}, .home = Home::external};
const Buffer float_images{.name = "images", .type = "float32", .extents = {2, 1, 1, records_extent}, .home = Home::external};
const Buffer input{.name = "input", .type = "float32", .extents = {2, 1, 1, batch_extent}, .home = Home::external};
const Buffer scores{.name = "scores", .type = "float32", .extents = {2, batch_extent}, .home = Home::arena_batch, .offset = 0, .bytes = 8};

Buffer floats(std::string name, std::vector<int> extents, Home home, std::int64_t offset, std::int64_t bytes) {
    return {.name = std::move(name), .type = "float32", .extents = std::move(extents), .home = home, .offset = offset, .bytes = bytes};
}

Buffer slab(std::string name, Home home, std::int64_t offset = 0) {
    return floats(std::move(name), {slab_floats}, home, offset, slab_bytes);
}

/// A call of a function of this file's; the plan knows it as a pass.
Call call(const std::string &function, std::vector<int> arguments) {
    return {.kernel = {"pointwise", {}},
            .layer = "tiny",
            .entry = "reference",
            .reason = "",
            .symbol = "tiny_" + function,
            .arguments = std::move(arguments)};
}

}  // namespace

Plan tiny_plan() {
    const Buffer kernel = floats("dense/kernel", {2, 2}, Home::parameters, 0, 16),
                 bias = floats("dense/bias", {2}, Home::parameters, 64, 8);
    const Buffer d_kernel = floats("d dense/kernel", {2, 2}, Home::gradients, 0, 16),
                 d_bias = floats("d dense/bias", {2}, Home::gradients, 64, 8);
    const Buffer moving_mean = floats("norm/moving_mean", {2}, Home::moving, 0, 8);

    SetPlan set;
    set.set = "reference";
    set.target = "x86-64-linux-sse41";
    set.order = StorageOrder::nhwc;
    const auto input_program = [](const char *name, const Buffer &records, const char *kernel) {
        return Program{.name = name, .buffers = {records, image_indices, step, input}, .calls = {call(kernel, {0, 1, 2, 3})}};
    };
    const auto augment_program = [](const char *name, Buffer records) {
        Buffer augmented = records;
        records.name = "records";
        augmented.name = "augmented", augmented.extents.back() = images_extent;
        return Program{.name = name, .buffers = {records, indices, augment, augmented}, .calls = {call(name, {0, 1, 2, 3})}};
    };
    set.programs = {
        {.name = "gradients",
         .buffers = {images, labels, indices, step, loss, correct, input, scores, kernel, bias, d_kernel, d_bias, moving_mean},
         .calls = {call("scores", {6, 8, 9, 1, 2, 7, 4, 5}), call("backward", {6, 1, 2, 3, 10, 11, 12})},
         .arena_bytes_per_image = 128},
        {.name = "adam",
         .buffers = {slab("gradients", Home::gradients), step, slab("parameters", Home::parameters), slab("first_moment", Home::optimizer),
                     slab("second_moment", Home::optimizer, slab_bytes)},
         .calls = {call("adam", {0, 1, 2, 3, 4})}},
        {.name = "sgd",
         .buffers = {slab("gradients", Home::gradients), step, slab("parameters", Home::parameters), slab("velocity", Home::optimizer)},
         .calls = {call("sgd", {0, 1, 2, 3})}},
        {.name = "infer",
         .buffers = {images, labels, indices, step, loss, correct, input, probabilities, kernel, bias},
         .calls = {call("scores", {6, 8, 9, 1, 2, 7, 4, 5})},
         .arena_bytes_per_image = 128},
        {.name = "infer_one",
         .buffers = {images, labels, indices, step, loss, correct, input, probabilities, kernel, bias},
         .calls = {call("scores", {6, 8, 9, 1, 2, 7, 4, 5})},
         .arena_bytes_per_image = 128},
        input_program("input", images, "input"),
        input_program("input_float", float_images, "input_float"),
        augment_program("augment", images),
        augment_program("augment_float", float_images),
    };

    Plan plan;
    plan.model = "tiny";
    plan.in_h = plan.in_c = 1;
    plan.in_w = plan.classes = 2;
    plan.dropout_layers = 1;
    plan.parameters = {
        {.name = "dense/kernel",
         .shape = {2, 2},
         .home = Home::parameters,
         .offset = 0,
         .initializer = "glorot_uniform",
         .fan_in = 2,
         .fan_out = 2},
        {.name = "dense/bias", .shape = {2}, .home = Home::parameters, .offset = 64, .initializer = "zeros"},
        {.name = "norm/gamma", .shape = {2}, .home = Home::parameters, .offset = 128, .initializer = "ones"},
        {.name = "norm/moving_mean", .shape = {2}, .home = Home::moving, .offset = 0, .initializer = "zeros"},
    };
    plan.trainable = 8;
    plan.non_trainable = 2;
    plan.parameter_bytes = slab_bytes;
    plan.moving_bytes = 64;
    plan.sets = {set};
    return plan;
}

TinyModel::TinyModel(const Plan &plan) : text(to_json(plan)) {
    kernels = {
        {"tiny_input", tiny_input<std::uint8_t>, metadata<4>},
        {"tiny_scores", tiny_scores, metadata<8>},
        {"tiny_backward", tiny_backward, metadata<7>},
        {"tiny_adam", tiny_adam, metadata<5>},
        {"tiny_augment", tiny_augment<std::uint8_t>, metadata<4>},
        {"tiny_augment_float", tiny_augment<float>, metadata<4>},
        {"tiny_input_float", tiny_input<float>, metadata<4>},
        {"tiny_sgd", tiny_sgd, metadata<4>},
    };
}

halcyon_model TinyModel::library() const {
    return {HALCYON_ABI_VERSION, "tiny", "{}", 2, text.c_str(), text.size(), kernels.data(), kernels.size()};
}

}  // namespace halcyon::tests
