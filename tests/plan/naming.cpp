// Names of kernels: each says all of its kernel, no two kernels share one, and what is no name is refused.
#include "plan/kernel.h"
#include "plan/step.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

using namespace halcyon;

namespace {

/// Every kernel that the shipped network, those of the kernels' tests and random ones need on any set, by name.
const std::map<std::string, Kernel> &planned_kernels() {
    static const std::map<std::string, Kernel> planned = [] {
        std::map<std::string, Kernel> kernels;
        const auto add = [&](const Model &model) {
            const Plan plan = make_plan(model, {.sets = all_sets(), .all_entries = true});
            for (const SetPlan &set : plan.sets)
                for (const CompiledKernel &kernel : set.kernels) kernels.emplace(kernel_name(kernel.kernel), kernel.kernel);
        };
        add(cifar10());
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/ragged.json"));
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/normalised.json"));
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/binary.json"));
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/multi_label.json"));
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/regression.json"));
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/soft_labels.json"));
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/combined.json"));
        add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/norms.json"));
        // More classes than a device's block makes with their loss.
        add(make_model(R"({"type": "flatten"}, {"type": "dense", "units": 255, "activation": "softmax"})"));
        std::mt19937 random(5);
        for (int round = 0; round < 40; ++round) {
            // Small inputs, for batch norms whose pixels are few; not every window fits.
            const std::string text = random_chain(random, 3 + round % 6, {1, 2, 3, 4, 8});
            std::optional<Model> model;
            if (failure_of([&] { model = parse_model(text, "t.json"); }).empty()) add(*model);
        }
        for (int round = 0; round < 20; ++round) add(random_model(random, 5 + round));
        return kernels;
    }();
    return planned;
}

struct Field {
    std::string name;
    std::function<void(Shape &)> change;  // to another value
};

Field field(const std::string &name, int Shape::*member) {
    return {name, [member](Shape &s) { ++(s.*member); }};
}

Field field(const std::string &name, float Shape::*member) {
    return {name, [member](Shape &s) { s.*member = std::nextafter(s.*member, 2.0f); }};
}

/// The fields that shapes of the core can differ in; those that are always equal go together.
std::vector<Field> fields_of(const Core &core) {
    std::vector<Field> fields;
    const auto add = [&](std::vector<Field> more) { fields.insert(fields.end(), more.begin(), more.end()); };
    const std::vector<Field> map = {field("in_h", &Shape::in_h), field("in_w", &Shape::in_w), field("in_c", &Shape::in_c)};
    const std::vector<Field> window = {field("out_h", &Shape::out_h),       field("out_w", &Shape::out_w),
                                       field("kernel_h", &Shape::kernel_h), field("kernel_w", &Shape::kernel_w),
                                       field("stride_h", &Shape::stride_h), field("stride_w", &Shape::stride_w),
                                       field("pad_top", &Shape::pad_top),   field("pad_left", &Shape::pad_left)};
    const std::vector<Field> convolution = {field("out_c", &Shape::out_c),
                                            field("tile", &Shape::tile),
                                            field("batch", &Shape::batch),
                                            {"groups", [](Shape &s) { s.groups *= 2, s.in_c *= 2, s.out_c *= 2; }},
                                            {"dilation_h", [](Shape &s) { s.dilation_h++, s.in_h += s.kernel_h - 1; }},
                                            {"dilation_w", [](Shape &s) { s.dilation_w++, s.in_w += s.kernel_w - 1; }}};
    switch (core.sizes) {
    case Sizes::activation:
        add(map);
        break;
    case Sizes::window:
        add(map), add(window);
        fields[2].change = [](Shape &s) { s.out_c = ++s.in_c; };
        break;
    case Sizes::concatenation:
        add({{"in_h", [](Shape &s) { s.out_h = ++s.in_h; }}, {"in_w", [](Shape &s) { s.out_w = ++s.in_w; }}});
        add({field("in_c", &Shape::in_c), field("out_c", &Shape::out_c)});
        break;
    case Sizes::convolution:
        add(map), add(window), add(convolution);
        break;
    case Sizes::pooled_convolution:
        add(map), add(window), add(convolution);
        add({field("pool_h", &Shape::pool_h), field("pool_w", &Shape::pool_w), field("pool_stride_h", &Shape::pool_stride_h),
             field("pool_stride_w", &Shape::pool_stride_w), field("pool_pad_top", &Shape::pool_pad_top),
             field("pool_pad_left", &Shape::pool_pad_left), field("pooled_h", &Shape::pooled_h), field("pooled_w", &Shape::pooled_w)});
        break;
    case Sizes::weights:
        add({field("in_c", &Shape::in_c), field("out_c", &Shape::out_c), field("tile", &Shape::tile)});
        add({{"groups", [](Shape &s) { s.groups *= 2, s.in_c *= 2, s.out_c *= 2; }}});
        add({{"kernel_h", [](Shape &s) { s.in_h = ++s.kernel_h; }}, {"kernel_w", [](Shape &s) { s.in_w = ++s.kernel_w; }}});
        break;
    case Sizes::channels:
        add({field("in_c", &Shape::in_c)});
        break;
    case Sizes::slab:
        add({field("elements", &Shape::elements)});
        break;
    }
    if (core.constants != Constants::none) add({field("epsilon", &Shape::epsilon)});
    if (core.constants == Constants::epsilon_and_momentum)
        add({field("momentum", &Shape::momentum), {"unbiased", [](Shape &s) { s.unbiased = 1 - s.unbiased; }}});
    if (core.name == "input_fwd" || core.name == "augment") add({{"floats", [](Shape &s) { s.floats = 1 - s.floats; }}});
    if (core.name == "input_fwd" || core.name == "normalization_fold")
        add({field("image_scale", &Shape::image_scale), field("image_offset", &Shape::image_offset)});
    if (core.name.find("cross_entropy") != std::string::npos) add({field("label_smoothing", &Shape::label_smoothing)});
    return fields;
}

/// By Keras's rules fewer rows and columns than a stride's stay unread.
bool is_whole(const Shape &s) {
    return s.pad_bottom() > -s.stride_h && s.pad_right() > -s.stride_w && (s.padded() || (s.kernel_h <= s.in_h && s.kernel_w <= s.in_w));
}

/// Whether a layer can have this shape. A name leaves out what follows from the rest.
bool can_be(const Core &core, const Shape &s) {
    switch (core.sizes) {
    case Sizes::window:
    case Sizes::convolution:
        return is_whole(s);
    case Sizes::concatenation:
        return s.out_c > s.in_c;
    case Sizes::pooled_convolution:
        return is_whole(s) && is_whole(s.pool());
    default:
        return true;
    }
}

bool is_windowed(const Core &core) {
    return core.sizes == Sizes::window || core.sizes == Sizes::convolution || core.sizes == Sizes::pooled_convolution;
}

/// A kernel of each core, as it is without chains.
std::vector<Kernel> plain_kernels() {
    std::map<std::string, Kernel> kernels;
    for (const auto &[name, kernel] : planned_kernels()) kernels.emplace(kernel.core, Kernel{kernel.core, kernel.shape});
    std::vector<Kernel> plain;
    for (const auto &[core, kernel] : kernels) plain.push_back(kernel);
    return plain;
}

bool is_activation(Role role) { return role == Role::input || role == Role::output || role == Role::pooled; }

/// Where a core can have a chain: of its outputs, one.
std::vector<std::string> chained_places(const Core &core) {
    std::vector<std::string> places;
    for (const std::vector<Argument> *list : {&core.inputs, &core.between})
        for (const Argument &argument : *list)
            if (is_activation(argument.role)) places.push_back(argument.name);
    if (std::ranges::any_of(core.outputs, is_activation, &Argument::role)) places.push_back(chained_output(core).name);
    return places;
}

bool has_an_element_operand(const PointwiseRow &row) {
    return std::ranges::find(row.operands, Beside::element, &RowOperand::beside) != row.operands.end();
}

/// Every row as links: plain, of a later dropout layer, with an operand that is the kernel's first input; with the defaults of its
/// constants, and with numbers that floats can hardly hold.
std::vector<Link> all_links() {
    std::vector<Link> links;
    for (const PointwiseRow &row : pointwise_rows())
        for (const float other : {0.0f, 1e-5f, 0.1f, 16777217.0f, std::nextafter(1e12f, 0.0f), std::numeric_limits<float>::denorm_min()}) {
            const auto takes = [&](const RowConstant &constant) { return other == 0 || constant.takes(other); };
            if (!std::ranges::all_of(row.constants, takes)) continue;
            std::vector<float> constants;
            for (const RowConstant &constant : row.constants) constants.push_back(other == 0 ? float(constant.otherwise) : other);
            links.push_back({.row = row.name, .constants = constants});
            if (row.is_numbered) links.push_back({.row = row.name, .number = 12, .constants = constants});
            if (has_an_element_operand(row)) links.push_back({.row = row.name, .same_as = 0, .constants = constants});
            if (constants.empty()) break;
        }
    return links;
}

/// What parse_kernel_name() makes of `name`, written again; nothing where it is refused as it should be.
std::optional<std::string> parsed_and_written(const std::string &name) {
    try {
        return kernel_name(parse_kernel_name(name));
    } catch (const std::invalid_argument &error) {
        CHECK(std::string(error.what()).starts_with("\"" + name + "\" is no name of a kernel: "));
        return {};
    }
}

}  // namespace

TEST_CASE("a name reads back as its kernel, and no two kernels of any plan share one", "[exhaustive]") {
    for (const auto &[name, kernel] : planned_kernels()) {
        CAPTURE(name);
        CHECK(parse_kernel_name(name) == kernel);
    }
    CHECK(planned_kernels().size() > 1000);
    // The map kept the first kernel of each name; every call and every compiled kernel must be that one.
    for (const Set &set : all_sets()) {
        const Plan plan = make_plan(cifar10(), {.sets = {set}});
        for (const Program &program : plan.sets[0].programs)
            for (const Call &call : program.calls) CHECK(parse_kernel_name(kernel_name(call.kernel)) == call.kernel);
    }
}

TEST_CASE("a name shows every field of a shape that its core has, and reads back with it", "[exhaustive]") {
    // A core's own shapes, and those of all that are of the same kind: some are planned in a few shapes only.
    std::map<std::string, std::vector<Shape>> shapes;
    for (const auto &[name, kernel] : planned_kernels())
        for (const Core &core : all_cores())
            if (core.name == kernel.core ||
                (is_windowed(core) && core.sizes == kernel.of().sizes && core.constants == kernel.of().constants))
                shapes[core.name].push_back(kernel.shape);
    for (const Core &core : all_cores()) {
        CAPTURE(core.name);
        REQUIRE(shapes.contains(core.name));
        for (const Field &field : fields_of(core)) {
            CAPTURE(field.name);
            int shown = 0;
            for (const Shape &shape : shapes[core.name]) {
                const Kernel kernel{core.name, shape};
                INFO(kernel_name(kernel));
                REQUIRE(can_be(core, shape));
                Kernel other = kernel;
                field.change(other.shape);
                if (!can_be(core, other.shape)) continue;
                CHECK(kernel_name(other) != kernel_name(kernel));
                CHECK(parse_kernel_name(kernel_name(other)) == other);
                ++shown;
            }
            CHECK(shown > 0);
        }
    }
}

TEST_CASE("names say the shape, and only what the core has of it") {
    const auto square = [](int size, int kernel, int stride, int pad, int out) {
        Shape shape;
        shape.in_h = shape.in_w = size, shape.in_c = 64;
        shape.out_h = shape.out_w = out, shape.out_c = 32;
        shape.kernel_h = shape.kernel_w = kernel, shape.stride_h = shape.stride_w = stride, shape.pad_top = shape.pad_left = pad;
        return shape;
    };
    const auto name = [](const std::string &core, const Shape &shape, const std::map<std::string, Chain> &chains = {}) {
        return kernel_name({core, shape, chains});
    };
    CHECK(name("conv2d_fwd", square(13, 3, 1, 0, 11)) == "conv2d_fwd__h13w13c64_k32r3s3");
    CHECK(name("conv2d_fwd", square(13, 3, 1, 1, 13)) == "conv2d_fwd__h13w13c64_k32r3s3_p1");
    CHECK(name("conv2d_fwd", square(13, 3, 2, 0, 6)) == "conv2d_fwd__h13w13c64_k32r3s3_t2");
    CHECK(name("max_pool2d_fwd", square(11, 2, 2, 0, 6)) == "max_pool2d_fwd__h11w11c64_r2s2_t2_p0_0_1_1");
    CHECK(name("max_pool2d_fwd", square(11, 2, 2, 0, 5)) == "max_pool2d_fwd__h11w11c64_r2s2_t2");
    CHECK(name("max_pool2d_fwd", square(11, 2, 2, 0, 6), {{"input", {{"affine"}}}, {"output", {{"dropout", 1}}}}) ==
          "max_pool2d_fwd__input_affine__dropout1__h11w11c64_r2s2_t2_p0_0_1_1");
    Shape shape;
    shape.in_h = shape.in_w = 4, shape.in_c = 8;
    CHECK(name("pointwise", shape, {{"output", {{"relu"}}}}) == "pointwise__relu__h4w4c8");
    CHECK(name("pointwise", shape, {{"output", {{"normgradient", 0, 2}, {"mask", 0, 2}, {"kept", 3}}}}) ==
          "pointwise__normgradientat2_maskat2_kept3__h4w4c8");
    shape.epsilon = 1e-3f, shape.momentum = 0.99f;
    CHECK(name("batch_norm_stats", shape) == "batch_norm_stats__h4w4c8");
    shape.epsilon = 1e-5f, shape.momentum = 0.9f;
    CHECK(name("batch_norm_stats", shape) == "batch_norm_stats__h4w4c8_e1em05_m0p9");
    const Kernel stats{"batch_norm_stats", shape};
    CHECK(symbol_name("m", stats, "x86_avx2", "rows") == "m_batch_norm_stats__h4w4c8_e1em05_m0p9__x86_avx2_rows");
    CHECK(symbol_name("m", stats, "reference", "reference") == "m_batch_norm_stats__h4w4c8_e1em05_m0p9__reference");
    Shape one = square(13, 3, 1, 0, 11).with_pool(square(11, 2, 2, 0, 6));
    one.tile = 4, one.batch = 1;
    CHECK(name("conv2d_pool_fwd", one, {{"convolution", {{"relu"}, {"affine"}}}}) ==
          "conv2d_pool_fwd__convolution_relu_affine__h13w13c64_k32r3s3_pool_r2s2_t2_p0_0_1_1_f4_n1");
    CHECK(name("softmax_cross_entropy", {.in_c = 10, .label_smoothing = 0.1f}) == "softmax_cross_entropy__h1w1c10_s0p1");
    CHECK(name("pointwise", {.in_c = 10}, {{"output", {{.row = "smoothedonehotgradient", .constants = {0.1f}}}}}) ==
          "pointwise__smoothedonehotgradientv0p1__h1w1c10");
    Shape grouped = square(13, 3, 1, 2, 13);
    grouped.dilation_h = grouped.dilation_w = 2, grouped.groups = 4;
    CHECK(name("conv2d_fwd", grouped) == "conv2d_fwd__h13w13c64_k32r3s3_d2_p2_g4");
    grouped.dilation_w = 1, grouped.pad_left = 1;
    CHECK(name("conv2d_bwd_data", grouped) == "conv2d_bwd_data__h13w13c64_k32r3s3_d2_1_p2_1_2_1_g4");
    CHECK_THROWS_AS(parse_kernel_name("conv2d_fwd__h13w13c64_k32r3s3_g5"), std::invalid_argument);
    CHECK_THROWS_AS(parse_kernel_name("conv2d_fwd__h13w13c64_k32r3s3_d0"), std::invalid_argument);
    Shape weights{.in_h = 3, .in_w = 3, .in_c = 64, .out_c = 32, .kernel_h = 3, .kernel_w = 3};
    CHECK(name("conv2d_fold", weights) == "conv2d_fold__c64_k32r3s3");
    CHECK(name("conv2d_fold_bwd", weights) == "conv2d_fold_bwd__c64_k32r3s3");
    weights.tile = 2;
    CHECK(name("winograd_weights", weights) == "winograd_weights__c64_k32r3s3_f2");
    Shape slab;
    slab.elements = 1200;
    CHECK(name("adam", slab) == "adam__n1200");
}

TEST_CASE("every row at every place of every core has a name that reads back, and no other has it", "[exhaustive]") {
    std::set<std::string> names;
    std::size_t kernels = 0;
    const auto check = [&](const Kernel &kernel) {
        const std::string name = kernel_name(kernel);
        CAPTURE(name);
        CHECK(names.insert(name).second);
        CHECK(parse_kernel_name(name) == kernel);
        ++kernels;
    };
    const std::vector<Link> links = all_links();
    for (const Kernel &plain : plain_kernels()) {
        check(plain);
        std::map<std::string, Chain> everywhere;
        for (const std::string &place : chained_places(plain.of())) {
            for (const Link &link : links) {
                Kernel kernel = plain;
                kernel.chains[place] = {link};
                check(kernel);
                kernel.chains[place] = {{"relu"}, {"relu"}, link};
                check(kernel);
            }
            everywhere[place] = links;
        }
        if (everywhere.size() > 1) check({plain.core, plain.shape, everywhere});
    }
    CHECK(kernels > 500);
}

TEST_CASE("names of odd numbers read back") {
    std::mt19937 random(7);
    const std::vector<float> odd = {0,    1e-12f,  1e-5f, 1e-3f, 0.1f,   0.123456789f,  0.99f,    1,
                                    0.5f, 3.4e38f, 1e12f, -1,    -0.25f, -1.17549e-38f, 1.4e-45f, 7.0f / 3};
    const auto any = [&] { return random() % 3 ? odd[random() % odd.size()] : float(random()) / 1e9f; };
    for (int round = 0; round < 1000; ++round) {
        Kernel stats{"batch_norm_stats", {}}, fold{"batch_norm_fold", {}}, input{"input_fwd", {}}, center{"normalization_fold", {}},
            loss{"softmax_cross_entropy_fwd", {}};
        stats.shape.epsilon = any(), stats.shape.momentum = any();
        fold.shape.epsilon = any();
        input.shape.image_scale = any(), input.shape.image_offset = any(), input.shape.floats = int(random() % 2);
        center.shape.image_scale = any(), center.shape.image_offset = any();
        loss.shape.label_smoothing = any();
        for (const Kernel &kernel : {stats, fold, input, center, loss}) {
            const std::string name = kernel_name(kernel);
            CAPTURE(name);
            CHECK(parse_kernel_name(name) == kernel);
            CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos);
        }
    }
    for (const int number : {0, 9, 10, 1'000'000}) {
        const Kernel kernel{"pointwise", {}, {{"output", {{"dropout", number}, {"kept", number}}}}};
        CHECK(parse_kernel_name(kernel_name(kernel)) == kernel);
    }
    const Kernel slab{"sgd", {.elements = (1 << 29) - 1}};
    CHECK(parse_kernel_name(kernel_name(slab)) == slab);
}

TEST_CASE("what is no name is refused, with the reason") {
    for (const char *name :
         {"", "_", "__", "____", "conv2d_fwd", "conv2d_fwd__", "__h8w8c3_k4r3s3", "relu_fwd__h8w8c3", "conv2d_fwd_h8w8c3_k4r3s3",
          "conv2d_fwd__h8w8c3", "conv2d_fwd__h8w8c3_k4r3s3_", "conv2d_fwd__h8w8c3_k4r3s3_x", "conv2d_fwd__h8w8c3_k4r3s3__relu",
          "conv2d_fwd____h8w8c3_k4r3s3", "conv2d_fwd__relu___h8w8c3_k4r3s3",
          // numbers that none has, or that are written otherwise
          "conv2d_fwd__h08w8c3_k4r3s3", "conv2d_fwd__h+8w8c3_k4r3s3", "conv2d_fwd__h-8w8c3_k4r3s3", "conv2d_fwd__h99999999999w8c3_k4r3s3",
          "conv2d_fwd__h2147483647w8c3_k4r3s3_p2147483647", "conv2d_fwd__h8w8c3_k4r3s3_t0", "conv2d_fwd__h8w8c3_k4r3s3_t1",
          "conv2d_fwd__h8w8c3_k4r9s3", "conv2d_fwd__h8w8c3_k4r3s3_p0", "conv2d_fwd__h8w8c3_k4r3s3_p1_1_1_1", "conv2d_fwd__h8w8c3_k4r3s3_f0",
          "conv2d_fwd__h8w8c3_k4r3s3_n1_f4", "conv2d_fwd__h8w8c3_k4r3s3_f4_f4", "max_pool2d_fwd__h536870911w2c1_r1s1_p536870911",
          "sgd__n536870912", "batch_norm_stats__h4w4c8_e0p001", "batch_norm_stats__h4w4c8_einf", "batch_norm_stats__h4w4c8_enan",
          "batch_norm_stats__h4w4c8_e", "batch_norm_stats__h4w4c8_e1p", "batch_norm_stats__h4w4c8_e1em05x",
          // chains that are nowhere, twice, out of order, of no row
          "conv2d_fwd__weights_relu__h8w8c3_k4r3s3", "conv2d_fwd__output_relu__h8w8c3_k4r3s3", "conv2d_fwd__relu__relu__h8w8c3_k4r3s3",
          "conv2d_fwd__relu__input_relu__h8w8c3_k4r3s3", "conv2d_fwd__sinh__h8w8c3_k4r3s3", "conv2d_fwd__relu1__h8w8c3_k4r3s3",
          "conv2d_fwd__dropout__h8w8c3_k4r3s3", "conv2d_fwd__dropout01__h8w8c3_k4r3s3", "conv2d_fwd__dropout-1__h8w8c3_k4r3s3",
          "sgd__relu__n896",
          // operands that are no inputs
          "conv2d_fwd__reluat0__h8w8c3_k4r3s3", "conv2d_fwd__mask_at0__h8w8c3_k4r3s3", "conv2d_fwd__maskat3__h8w8c3_k4r3s3",
          "conv2d_fwd__maskat__h8w8c3_k4r3s3", "conv2d_fwd__maskat-1__h8w8c3_k4r3s3"}) {
        CAPTURE(name);
        CHECK_FALSE(parsed_and_written(name));
    }
    CHECK(parsed_and_written("conv2d_fwd__maskat2__h8w8c3_k4r3s3"));
}

TEST_CASE("a name with a fault in it is refused, or is another kernel's", "[exhaustive]") {
    std::mt19937 random(8);
    std::vector<std::string> names;
    for (const auto &[name, kernel] : planned_kernels()) names.push_back(name);
    for (const Kernel &plain : plain_kernels())
        for (const std::string &place : chained_places(plain.of()))
            names.push_back(kernel_name({plain.core, plain.shape, {{place, all_links()}}}));
    const std::string characters = "0123456789_abcdefghijklmnopqrstuvwxyz-+.\"\n\xff";
    int refused = 0, others = 0;
    for (int round = 0; round < 5000; ++round) {
        std::string name = names[random() % names.size()];
        for (unsigned faults = 1 + random() % 2; faults > 0 && !name.empty(); --faults) {
            const std::size_t at = random() % name.size(), length = std::min<std::size_t>(1 + random() % 4, name.size() - at);
            switch (random() % 4) {
            case 0:
                name.erase(at, length);
                break;
            case 1:
                name.insert(at, name.substr(at, length));
                break;
            case 2:
                name[at] = characters[random() % characters.size()];
                break;
            case 3:
                name.resize(at);
                break;
            }
        }
        CAPTURE(name);
        const std::optional<std::string> written = parsed_and_written(name);
        if (written) CHECK(*written == name);
        (written ? others : refused)++;
    }
    CHECK(refused > 2000);
    CHECK(others > 100);
}

TEST_CASE("batch norms of one size may differ in each constant alone") {
    std::string layers, ends;
    for (const char *kind : {"relu", "max_pooling2d"})
        for (const char *constants : {R"("momentum": 0)", R"("momentum": 0.99)", R"("epsilon": 1e-5)", R"("epsilon": 0.5)"}) {
            const std::string end = fmt::format("end{}", std::ranges::count(layers, '\n'));
            layers += fmt::format(R"(
                {{"type": "batch_normalization", "inputs": ["input"], {}}}, {{"type": "{}"{}}}, {{"type": "dropout"}},
                {{"name": "{}", "type": "conv2d", "filters": 8, "kernel_size": 1}},)",
                                  constants, kind, kind == std::string_view("relu") ? "" : R"(, "strides": 1, "padding": "same")", end);
            ends += fmt::format(R"({}"{}")", ends.empty() ? "" : ", ", end);
        }
    layers += fmt::format(R"({{"type": "add", "inputs": [{}]}}, {{"type": "flatten"}}, {{"type": "dense", "units": 3,
        "activation": "softmax"}})",
                          ends);
    const Model model = parse_model(model_text(layers, "4, 4, 8"), "t.json");
    Plan plan;
    CHECK(failure_of([&] { plan = make_plan(model, {.sets = all_sets(), .all_entries = true}); }) == "");
    std::set<std::pair<float, float>> constants[2];  // of those with a pool and those without
    for (const SetPlan &set : plan.sets)
        for (const CompiledKernel &kernel : set.kernels) {
            const std::string &core = kernel.kernel.core;
            if (core != "batch_norm_stats_fwd" && core != "batch_norm_stats_pool_fwd") continue;
            constants[core == "batch_norm_stats_fwd"].emplace(kernel.kernel.shape.epsilon, kernel.kernel.shape.momentum);
        }
    for (const auto &of_core : constants) CHECK(of_core.size() == 4);
}

TEST_CASE("every symbol is one that files can be named after, or is refused with the limit") {
    const std::string layers = R"({"type": "conv2d", "filters": 3, "kernel_size": 1, "activation": "relu"},
        {"type": "batch_normalization", "momentum": 0.123456}, {"type": "max_pooling2d", "pool_size": [100003, 5003],
        "strides": [123457, 234571], "padding": "same"}, {"type": "dropout"}, {"type": "flatten"},
        {"type": "dense", "units": 3, "activation": "softmax"})";
    const auto failure = [&](std::size_t name_length) {
        Model model = parse_model(model_text(layers, "999983, 5, 3"), "t.json");
        model.name = std::string(name_length, 'n');
        return failure_of([&] { make_plan(model, {.sets = all_sets()}); });
    };
    CHECK(failure(50) == "");
    CHECK(failure(100) == "");  // the longest that a model file may have
    CHECK(failure(150).ends_with(" characters; the most is 220, so the model needs a shorter name"));
    CHECK(failure(150).starts_with("the name nnn"));
    std::string text = model_text(layers, "999983, 5, 3");
    text.replace(text.find("\"t\"") + 1, 1, std::string(101, 'n'));
    CHECK(failure_of([&] { parse_model(text, "t.json"); }).starts_with("t.json: \"name\" must have at most 100 characters, not \"nnn"));
}
