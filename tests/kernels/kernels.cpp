// Every compiled kernel of a model, of every set, against the oracles: stamped out of the plan in the model's library.
#include "plan/menu.h"
#include "plan/plan.h"
#include "runtime/devices/device.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/session.h"
#include "runtime/engine/tensor.h"
#include "runtime/engine/threads.h"
#include "tests/catch.h"
#include "tests/devices/device_calls.h"
#include "tests/kernels/arguments.h"
#include "tests/kernels/data.h"
#include "tests/kernels/tested_model.h"

#include <HalideRuntime.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace halcyon;

namespace {

const halcyon_kernel &find_compiled(const std::string &symbol) {
    const auto end = tested_model().kernels + tested_model().kernel_count;
    const auto found = std::find_if(tested_model().kernels, end, [&](const halcyon_kernel &kernel) { return kernel.symbol == symbol; });
    if (found == end) throw std::runtime_error(symbol + " is in the plan but not in the library");
    return *found;
}

/// A kernel's argument in memory, between two guards. The guards are NaNs, so that what is read beyond the argument shows too.
class GuardedBuffer {
public:
    GuardedBuffer(const Buffer &buffer, StorageOrder order, int batch)
        : bytes_(elements_of(buffer, batch, test_records) * halide_type(buffer.type).bytes()),
          memory_(new (std::align_val_t(64)) std::uint8_t[guard + bytes_ + guard]),
          tensor_(buffer, order, place_of(memory_.get() + guard), batch, test_records) {
        std::memset(memory_.get(), 0xFF, guard + bytes_ + guard);
    }

    halide_buffer_t *get() { return tensor_.get(); }

    /// Copies the whole memory to a device, guards and all, and gives the argument its place in there. As in a network the argument has no
    /// host's memory.
    void send(const halide_device_interface_t *device, void *session) {
        const int element = get()->type.bytes();
        whole_dimensions_.fill(halide_dimension_t(0, 1, 0));
        whole_dimensions_[0] = halide_dimension_t(-int(guard) / element, int(guard + bytes_ + guard) / element, 1);
        whole_.host = memory_.get();
        whole_.type = get()->type;
        whole_.dimensions = get()->dimensions;
        whole_.dim = whole_dimensions_.data();
        whole_.set_host_dirty();
        REQUIRE(halide_copy_to_device(session, &whole_, device) == 0);
        REQUIRE(halide_device_crop(session, &whole_, get()) == 0);
        get()->host = nullptr;
    }

    /// Copies all of it back and leaves the device.
    void fetch(void *session) {
        REQUIRE(halide_device_release_crop(session, get()) == 0);
        get()->host = memory_.get() + guard;
        whole_.set_device_dirty();
        REQUIRE(halide_copy_to_host(session, &whole_) == 0);
        REQUIRE(halide_device_free(session, &whole_) == 0);
    }

    void write(const oracle::Array &values) {
        for_each_element([&](void *element, int i, int j, int k, int l) { store(element, values(i, j, k, l)); });
    }

    oracle::Array read() {
        std::vector<int> extents;
        for (int d = 0; d < get()->dimensions; d++) extents.push_back(get()->dim[d].extent);
        oracle::Array values(extents);
        for_each_element([&](void *element, int i, int j, int k, int l) { values(i, j, k, l) = load(element); });
        return values;
    }

    std::vector<std::uint8_t> snapshot() const { return {memory_.get(), memory_.get() + guard + bytes_ + guard}; }

    bool guards_are_intact() const {
        const auto intact = [](const std::uint8_t *from) {
            return std::all_of(from, from + guard, [](std::uint8_t byte) { return byte == 0xFF; });
        };
        return intact(memory_.get()) && intact(memory_.get() + guard + bytes_);
    }

private:
    static constexpr std::size_t guard = 1024;

    struct Delete {
        void operator()(std::uint8_t *memory) const { operator delete[](memory, std::align_val_t(64)); }
    };

    template<typename Visit>
    void for_each_element(Visit visit) {
        std::array<halide_dimension_t, 4> dims;
        dims.fill(halide_dimension_t(0, 1, 0));
        std::copy(get()->dim, get()->dim + get()->dimensions, dims.begin());
        for (int l = 0; l < dims[3].extent; l++)
            for (int k = 0; k < dims[2].extent; k++)
                for (int j = 0; j < dims[1].extent; j++)
                    for (int i = 0; i < dims[0].extent; i++) {
                        const std::ptrdiff_t element = i * dims[0].stride + j * dims[1].stride + k * dims[2].stride + l * dims[3].stride;
                        visit(get()->host + element * get()->type.bytes(), i, j, k, l);
                    }
    }

    template<typename Value>
    static void store_as(void *element, double value) {
        const Value stored = Value(value);
        std::memcpy(element, &stored, sizeof stored);
    }

    template<typename Value>
    static double load_as(const void *element) {
        Value value;
        std::memcpy(&value, element, sizeof value);
        return value;
    }

    void store(void *element, double value) {
        if (get()->type == halide_type_of<float>())
            store_as<float>(element, value);
        else if (get()->type == halide_type_of<std::int32_t>())
            store_as<std::int32_t>(element, value);
        else if (get()->type == halide_type_of<std::uint32_t>())
            store_as<std::uint32_t>(element, value);
        else if (get()->type == halide_type_of<std::uint16_t>())
            store_as<std::uint16_t>(element, value);
        else
            store_as<std::uint8_t>(element, value);
    }

    double load(const void *element) {
        if (get()->type == halide_type_of<float>()) return load_as<float>(element);
        if (get()->type == halide_type_of<std::int32_t>()) return load_as<std::int32_t>(element);
        if (get()->type == halide_type_of<std::uint32_t>()) return load_as<std::uint32_t>(element);
        if (get()->type == halide_type_of<std::uint16_t>()) return load_as<std::uint16_t>(element);
        return load_as<std::uint8_t>(element);
    }

    std::size_t bytes_;
    std::unique_ptr<std::uint8_t[], Delete> memory_;
    Tensor tensor_;
    std::array<halide_dimension_t, 5> whole_dimensions_;
    halide_buffer_t whole_{};  // on a device
};

/// What each kernel of a device asked of it.
std::map<std::string, int> launches_of;

/// Calls a device's kernel: it computes all of its outputs there, in launches that every GPU accepts.
int call_on_device(const CompiledKernel &compiled, std::vector<std::unique_ptr<GuardedBuffer>> &buffers, std::size_t inputs,
                   std::vector<void *> &argv, const halide_device_interface_t *device, Session &session) {
    for (const auto &buffer : buffers) buffer->send(device, &session);
    DeviceCalls::counted = {};
    const int code = find_compiled(compiled.symbol).call(argv.data());
    CHECK(DeviceCalls::counted.launches > 0);
    if (!is_reference(compiled.entry)) CHECK(DeviceCalls::counted.launches <= 2);
    launches_of[compiled.symbol] = DeviceCalls::counted.launches;
    CHECK(DeviceCalls::counted.most_threads <= 1024);
    CHECK(DeviceCalls::counted.most_shared_bytes <= 48 * 1024);
    CHECK(DeviceCalls::counted.allocations == 0);
    for (std::size_t i = 0; i < buffers.size(); i++) {
        CAPTURE(compiled.arguments[i].name);
        CHECK_FALSE(buffers[i]->get()->host_dirty());
        CHECK(buffers[i]->get()->device_dirty() == (i >= inputs));
    }
    for (const auto &buffer : buffers) buffer->fetch(&session);
    return code;
}

/// Calls a kernel once and returns its outputs; checks that it fails in nothing and touches only them. What it does not write stays NaN.
Arguments call(const CompiledKernel &compiled, const Set &set, const Arguments &before, int batch, Session &session) {
    std::vector<std::unique_ptr<GuardedBuffer>> buffers;
    for (std::size_t i = 0; i < compiled.arguments.size(); i++) {
        buffers.push_back(std::make_unique<GuardedBuffer>(compiled.arguments[i], set.order, batch));
        const bool is_workspace = i >= before.named.size();
        if (!is_workspace && (!before.named[i].is_output || before.named[i].is_updated)) buffers[i]->write(before.tensors[i]);
    }
    std::vector<std::vector<std::uint8_t>> inputs;
    for (std::size_t i = 0; i < before.inputs(); i++) inputs.push_back(buffers[i]->snapshot());

    void *user_context = &session;
    std::vector<void *> argv = {&user_context};
    for (const auto &buffer : buffers) argv.push_back(buffer->get());
    const halide_device_interface_t *device = device_of(set.name);
    const FlushDenormals flush_denormals;  // as the threads of a session do
    const int code = device ? call_on_device(compiled, buffers, before.inputs(), argv, device, session)
                            : find_compiled(compiled.symbol).call(argv.data());
    INFO(session.take_error());
    REQUIRE(code == 0);

    for (std::size_t i = 0; i < buffers.size(); i++) {
        CAPTURE(compiled.arguments[i].name);
        if (i < inputs.size())
            CHECK((buffers[i]->snapshot() == inputs[i]));
        else
            CHECK(buffers[i]->guards_are_intact());
    }
    Arguments after = before;
    for (std::size_t i = before.inputs(); i < after.tensors.size(); i++) after.tensors[i] = buffers[i]->read();
    return after;
}

/// Checks `actual` (float) against `expected` (double, by the oracle), element by element, and says where the worst one is.
void compare(const oracle::Array &actual, const oracle::Array &expected, const oracle::Array &tolerance) {
    std::size_t wrong = 0, worst = 0;
    double worst_excess = 0;
    for (std::size_t i = 0; i < expected.values.size(); i++) {
        const double difference = std::abs(actual.values[i] - expected.values[i]);
        if (difference <= tolerance.values[i]) continue;
        wrong++;
        const double excess = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference - tolerance.values[i];
        if (excess > worst_excess) worst = i, worst_excess = excess;
    }
    INFO(fmt::format("{} of {} elements are wrong; element {} is {:.9g} instead of {:.9g} +- {:.3g}", wrong, expected.values.size(), worst,
                     actual.values[worst], expected.values[worst], tolerance.values[worst]));
    CHECK(wrong == 0);
}

/// The share of an output that can be other than zero at all: at most one input of each pooling window gets its gradient, and ReLUs leave
/// half.
double possible_share(const CompiledKernel &compiled) {
    const Shape &s = compiled.kernel.shape;
    double share = 1;
    if (compiled.kernel.core == "max_pool2d_bwd") share = std::min(1.0, double(s.out_h) * s.out_w / (double(s.in_h) * s.in_w));
    for (const auto &[place, chain] : compiled.kernel.chains)
        for (const Link &link : chain)
            if (link.row == "mask" || link.row == "affinemask" || link.row == "relu") share *= 0.5;
    return share;
}

/// What makes a comparison of exact kernels worth something.
class Trust {
public:
    /// Sums of integers are exact in float as long as the absolute values stay below 2^24; so no order of adding matters.
    static void check_sums(const CompiledKernel &compiled, Arguments arguments) {
        for (oracle::Array &tensor : arguments.tensors)
            for (double &value : tensor.values) value = std::abs(value);
        oracle::compute(compiled.kernel, arguments.tensors);
        double largest = 0;
        for (const std::string &output : arguments.outputs())
            for (double value : arguments[output].values) largest = std::max(largest, value);
        CHECK(largest < 0x1p24);
    }

    void count(const Arguments &arguments) {
        for (std::size_t i = arguments.inputs(); i < arguments.tensors.size(); i++)
            for (double value : arguments.tensors[i].values) all_++, nonzero_ += value != 0;
    }

    void check_nonzero(const CompiledKernel &compiled) const {
        CAPTURE(nonzero_, all_);
        CHECK(double(nonzero_) >= 0.3 * possible_share(compiled) * double(all_));
    }

private:
    std::size_t all_ = 0, nonzero_ = 0;
};

/// Images a batch: the one that the kernel is compiled for, or that its autoscheduler was told to expect, since fewer may not fill what it
/// split; else all of these where a kernel is cheap, else as many of the first as its naive oracle can do in a fraction of a second. Tiles
/// of 4, 6, 8 or 12 images meet batches that are smaller, equal, one more, one less, a device's blocks of 16, 32 or 64 images such that are
/// smaller or one more.
std::vector<int> batch_sizes(const CompiledKernel &compiled, const Set &set) {
    if (compiled.kernel.shape.batch > 0) return {compiled.kernel.shape.batch};
    if (!set.autoscheduler.empty()) return {64};
    constexpr double budget = 1.5e8;  // floating-point operations
    constexpr int sizes[] = {7, 1, 13, 5, 2, 6, 3, 4, 8, 9, 11, 12, 17, 33, 65};
    const double flops = halcyon::flops(compiled.kernel);
    std::vector<int> batches;
    double spent = 0;
    for (int size : sizes) {
        spent += flops * size;
        if (batches.size() < 2 || spent < budget) batches.push_back(size);
    }
    return batches;
}

void check_kernel(const CompiledKernel &compiled, const Set &set) {
    const bool by_hand = set.autoscheduler.empty();
    const bool exact = is_exact(compiled);
    Random random(1);
    Session one_thread(1), three_threads(3);
    Trust trust;
    const std::vector<int> batches = batch_sizes(compiled, set);
    for (int batch : batches) {
        CAPTURE(batch);
        const Arguments before = make_arguments(compiled, batch, random);
        oracle::Call oracle(compiled.kernel, before.tensors);
        oracle.run_core();
        const Arguments tolerance = tolerances(compiled, before, oracle);
        oracle.finish();
        const Arguments expected{before.kernel, before.named, oracle.arguments()};
        trust.count(expected);
        if (exact && batch == *std::max_element(batches.begin(), batches.end())) Trust::check_sums(compiled, before);

        const Arguments actual = call(compiled, set, before, batch, one_thread), again = call(compiled, set, before, batch, three_threads);
        for (const std::string &output : before.outputs()) {
            INFO(output);
            compare(actual[output], expected[output], tolerance[output]);
            INFO("with three threads");
            if (by_hand)
                compare(again[output], actual[output], oracle::Array({int(expected[output].values.size())}));
            else
                compare(again[output], expected[output], tolerance[output]);
        }
    }
    if (exact) trust.check_nonzero(compiled);
    if (by_hand) CHECK(one_thread.allocations() + three_threads.allocations() == 0);
}

/// Where the oracle has no finite number, neither has the kernel: NaN where `value` is. An infinity may become NaN on either side, as in
/// the sums of a tile. Returns how many elements of the oracle's are not finite.
int check_not_hidden(const Arguments &actual, const Arguments &expected, double value) {
    int not_finite = 0, hidden = 0;
    for (const std::string &output : expected.outputs())
        for (std::size_t i = 0; i < expected[output].values.size(); i++) {
            if (std::isfinite(expected[output].values[i])) continue;
            not_finite++;
            hidden += std::isnan(value) ? !std::isnan(actual[output].values[i]) : std::isfinite(actual[output].values[i]);
        }
    CHECK(hidden == 0);
    return not_finite;
}

/// Puts `value` at one place of an argument, or what comes of it there in weights that are transformed for tiles.
void put_at_random(const CompiledKernel &compiled, oracle::Array &argument, double value, Random &random) {
    const Shape &s = compiled.kernel.shape;
    const bool transformed = s.tile > 0 && argument.extent(2) == s.tile + 2 && compiled.kernel.core != "winograd_weights";
    if (!transformed) {
        argument.values[std::size_t(random.integer(0, int(argument.values.size()) - 1))] = value;
        return;
    }
    std::vector<oracle::Array> arguments = {oracle::Array({s.out_c, s.in_c, 3, 3}), oracle::Array(s.weights())};
    arguments[0](random.integer(0, s.out_c - 1), random.integer(0, s.in_c - 1), random.integer(0, 2), random.integer(0, 2)) = value;
    oracle::compute("winograd_weights", s, arguments);
    for (std::size_t i = 0; i < argument.values.size(); i++)
        if (!std::isfinite(arguments[1].values[i])) argument.values[i] = arguments[1].values[i];
}

/// Has every image of the batch be the record that holds `value`.
void read_records_with(double value, const std::string &name, Arguments &before) {
    const auto holds = [value](double pixel) { return std::isnan(value) ? std::isnan(pixel) : pixel == value; };
    const std::vector<double> &pixels = before[name].values;
    const auto record = (std::ranges::find_if(pixels, holds) - pixels.begin()) / std::ptrdiff_t(pixels.size() / test_records);
    std::ranges::fill(before["indices"].values, double(record));
}

/// Whether a pool's windows leave pixels of its input out.
bool leaves_pixels_out(const Shape &s) {
    return s.stride_h > s.kernel_h || s.stride_w > s.kernel_w || s.pad_bottom() < 0 || s.pad_right() < 0;
}

/// NaN and the infinities in each argument in turn, at a few places: they reach every output that they reach in the oracle.
void check_not_a_number(const CompiledKernel &compiled, const Set &set) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    constexpr int most_places = 8;
    const Kernel &kernel = compiled.kernel;
    const int small = kernel.shape.batch > 0 ? kernel.shape.batch : 2;
    std::vector<std::pair<double, int>> cases = {{nan, small}, {infinity, small}, {-infinity, small}};
    // Tiles and blocks of images have code of their own on the host; on devices a part of one runs the same.
    if (kernel.shape.batch == 0 && !set.on_device()) cases.emplace_back(nan, 17);
    Random random(3);
    Session session(1);
    int not_finite = 0;
    const std::vector<KernelArgument> named = arguments_of(kernel);
    for (std::size_t i = 0; i < named.size() && !named[i].is_output; i++) {
        const std::string &name = compiled.arguments[i].name;
        if (compiled.arguments[i].type != "float32") continue;
        // These sum over the pixels that pools chose; the oracle has 0 * infinity, or 0 * NaN where no window sees it, of the others too.
        const bool chooses = name == "input" && (kernel.core.starts_with("batch_norm_pool_bwd") ||
                                                 (kernel.core == "max_pool2d_bwd" && !kernel.chain("d_input").empty()));
        if (chooses && leaves_pixels_out(kernel.shape)) continue;
        for (const auto &[value, batch] : cases) {
            if (chooses && std::isinf(value)) continue;
            INFO(fmt::format("{} in {}, a batch of {}", value, name, batch));
            for (int place = 0, seen = 0; place < most_places && seen == 0; place++) {
                Arguments before = make_arguments(compiled, batch, random);
                put_at_random(compiled, before.tensors[i], value, random);
                if (name == "images" || name == "records") read_records_with(value, name, before);
                Arguments expected = before;
                oracle::compute(compiled.kernel, expected.tensors);
                seen = check_not_hidden(call(compiled, set, before, batch, session), expected, value);
                not_finite += seen;
            }
        }
    }
    CHECK((not_finite > 0 || compiled.arguments[0].type == "uint8"));
}

/// A label beyond the classes: the loss and its gradient are NaN, both.
void check_label_beyond(const CompiledKernel &compiled, const Set &set) {
    Random random(4);
    Session session(1);
    Arguments before = make_arguments(compiled, 3, random);
    std::ranges::fill(before["labels"].values, classes_of(compiled.kernel));
    Arguments expected = before;
    oracle::compute(compiled.kernel, expected.tensors);
    CHECK(check_not_hidden(call(compiled, set, before, 3, session), expected, std::numeric_limits<double>::quiet_NaN()) >= 3);
}

bool draws_random_numbers(const Kernel &kernel) {
    return std::ranges::any_of(kernel.chains, [](const auto &chain) { return draws(chain.second); });
}

/// Rate 0 is the identity, exactly: what comes out is what went in, or what a pool made of integers. What statistics were rounded for is as
/// close as they are.
void check_dropout_at_rate_0(const CompiledKernel &compiled, const Set &set) {
    const int batch = set.autoscheduler.empty() ? 3 : batch_sizes(compiled, set).front();
    Random random(2);
    Session session(1);
    Arguments before = make_arguments(compiled, batch, random);
    before["step"] = make_step(before["step"].extent(0), 0, batch);
    oracle::Call oracle(compiled.kernel, before.tensors);
    oracle.run_core();
    const Arguments tolerance = tolerances(compiled, before, oracle);
    oracle.finish();
    const Arguments expected{before.kernel, before.named, oracle.arguments()}, after = call(compiled, set, before, batch, session);
    // Not where what is dropped from was rounded.
    const Kernel &kernel = compiled.kernel;
    const auto may_round = [](const Link &link) {
        return link.row == "affine" || link.row == "normgradient" || link.row == "add" || link.row == "noise";
    };
    const bool rounds = kernel.of().exactness != Exactness::exact || std::ranges::any_of(kernel.chain("output"), may_round) ||
                        std::ranges::any_of(kernel.chain("d_input"), may_round);
    const oracle::Array exactly({int(expected.tensors.back().values.size())});
    compare(after.tensors.back(), expected.tensors.back(), rounds ? tolerance.tensors.back() : exactly);
}

/// The compiled function's own description against the kernel list and the menu.
void check_metadata(const CompiledKernel &compiled, const Set &set) {
    const Kernel &kernel = compiled.kernel;
    const std::vector<KernelArgument> named = arguments_of(kernel);
    const auto inputs = std::size_t(std::ranges::count(named, false, &KernelArgument::is_output));
    std::vector<std::string> names = {"__user_context"};
    for (const KernelArgument &argument : named) names.push_back(argument.name);
    const std::vector<Entry> &entries = menu(kernel.core);
    const auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry &e) { return e.name == compiled.entry; });
    REQUIRE(entry != entries.end());
    CHECK(refusal(*entry, kernel, set) == "");
    if (entry->workspaces)
        for (const Workspace &workspace : entry->workspaces(kernel.shape, set)) names.push_back(workspace.name);

    const halide_filter_metadata_t &metadata = *find_compiled(compiled.symbol).metadata();
    CHECK(metadata.name == compiled.symbol);
    REQUIRE(metadata.num_arguments == int(names.size()));
    REQUIRE(compiled.arguments.size() == names.size() - 1);
    for (std::size_t i = 0; i < names.size(); i++) {
        const halide_filter_argument_t &argument = metadata.arguments[i];
        // A kernel that updates several slabs in one loop has one tuple-valued output, whose elements Halide numbers.
        const std::string element = i > inputs ? "slabs." + std::to_string(i - 1 - inputs) : "";
        CHECK((argument.name == names[i] || argument.name == element));
        if (i == 0) continue;
        const Buffer &planned = compiled.arguments[i - 1];
        CAPTURE(planned.name);
        CHECK(planned.name == names[i]);
        CHECK(argument.kind == (i <= inputs ? halide_argument_kind_input_buffer : halide_argument_kind_output_buffer));
        CHECK(argument.dimensions == int(planned.extents.size()));
        CHECK((argument.type == halide_type(planned.type)));
        if (i <= named.size()) {
            CHECK(planned.type == named[i - 1].type);
            CHECK((planned.extents == named[i - 1].extents || named[i - 1].extents == std::vector{any_extent}));
        }
    }
}

Plan plan() { return parse_plan(std::string_view(tested_model().plan, tested_model().plan_size)); }

void check_set(const std::string &name) {
    const std::vector<SetPlan> sets = plan().sets;
    const auto planned = std::find_if(sets.begin(), sets.end(), [&](const SetPlan &candidate) { return candidate.set == name; });
    const Set set = select_sets({name}).front();
    if (planned == sets.end() && !set.autoscheduler.empty()) {
        fmt::print("skipped: {} is compiled only on demand\n", name);
        return;
    }
    REQUIRE(planned != sets.end());
    REQUIRE_FALSE(planned->kernels.empty());
    CHECK(planned->order == set.order);
    if (const std::string reason = why_not(set); !reason.empty()) {
        fmt::print("skipped: the {} kernels of {} are compiled, but {}\n", planned->kernels.size(), name, reason);
        return;
    }
    for (const CompiledKernel &compiled : planned->kernels) {
        INFO(compiled.symbol);
        check_kernel(compiled, set);
        if (draws_random_numbers(compiled.kernel)) check_dropout_at_rate_0(compiled, set);
        if (!set.autoscheduler.empty()) continue;
        check_not_a_number(compiled, set);
        const std::vector<KernelArgument> named = arguments_of(compiled.kernel);
        if (std::ranges::find(named, "labels", &KernelArgument::name) != named.end()) check_label_beyond(compiled, set);
    }
    if (device_of(name))
        for (const Program &program : planned->programs) {
            int launches = 0;
            for (const Call &call : program.calls) launches += launches_of.at(call.symbol);
            fmt::print("{}: {} launches for the {} calls of {}\n", name, launches, program.calls.size(), program.name);
        }
}

}  // namespace

// A test case a set, so that the ones this machine cannot run show as skipped.
TEST_CASE("reference") { check_set("reference"); }
TEST_CASE("x86_sse41") { check_set("x86_sse41"); }
TEST_CASE("x86_avx2") { check_set("x86_avx2"); }
TEST_CASE("x86_avx512") { check_set("x86_avx512"); }
TEST_CASE("cuda") { check_set("cuda"); }
TEST_CASE("opencl") { check_set("opencl"); }
TEST_CASE("mullapudi2016") { check_set("mullapudi2016"); }
TEST_CASE("adams2019") { check_set("adams2019"); }
TEST_CASE("li2018") { check_set("li2018"); }

TEST_CASE("every set has a test case") {
    std::vector<std::string> names;
    for (const Set &set : all_sets()) names.push_back(set.name);
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{"adams2019", "cuda", "li2018", "mullapudi2016", "opencl", "reference", "x86_avx2", "x86_avx512",
                                            "x86_sse41"});
}

TEST_CASE("compiled functions take the arguments of the kernel list and the menu") {
    const std::vector<SetPlan> sets = plan().sets;
    for (const SetPlan &set : sets)
        for (const CompiledKernel &compiled : set.kernels) {
            INFO(compiled.symbol);
            check_metadata(compiled, select_sets({set.set}).front());
        }
}
