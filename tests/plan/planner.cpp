// The plan: entries, pins, names, the kernel list, and its JSON.
#include "compiler/report.h"
#include "plan/kernel.h"
#include "plan/optimizers.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

using namespace halcyon;

namespace {

const std::string small = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "activation": "relu"}, {"type": "batch_normalization"},
    {"type": "conv2d", "filters": 4, "kernel_size": 3}, {"type": "batch_normalization"}, {"type": "dropout"}, {"type": "flatten"},
    {"type": "dense", "units": 3, "activation": "softmax"})";

const Program &program(const SetPlan &set, const std::string &name) { return *std::ranges::find(set.programs, name, &Program::name); }

const Call &find_call(const Program &program, const std::string &core, const std::string &layer) {
    const auto found =
        std::ranges::find_if(program.calls, [&](const Call &call) { return call.kernel.core == core && call.layer == layer; });
    if (found == program.calls.end()) throw std::out_of_range(core + " of " + layer);
    return *found;
}

}  // namespace

TEST_CASE("a set has one program for each thing the runtime does") {
    const Plan plan = make_plan(make_model(small), {.sets = all_sets()});
    REQUIRE(plan.sets.size() == all_sets().size());
    for (const SetPlan &set : plan.sets) {
        std::vector<std::string> names;
        for (const Program &program : set.programs) names.push_back(program.name);
        std::vector<std::string> expected = {"input", "input_float", "gradients"};
        for (const Optimizer &optimizer : all_optimizers()) expected.push_back(optimizer.name);
        expected.insert(expected.end(), {"augment", "augment_float", "infer", "infer_one"});
        CHECK(names == expected);
    }
}

TEST_CASE("where the first layers are frozen, programs make their output, and begin with it") {
    const std::string frozen = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "trainable": false}, {"type": "relu"}, )";
    const Plan plan = make_plan(make_model(frozen + small), {.sets = all_sets()});
    CHECK(plan.feature_layers == 2);
    CHECK(parse_plan(to_json(plan)).feature_layers == 2);
    CHECK(describe(plan, 64, {}).find("cut behind re_lu: frozen up to there, its output is made once for an image and kept, 576 bytes\n") !=
          std::string::npos);
    for (const SetPlan &set : plan.sets) {
        CAPTURE(set.set);
        const auto calls_frozen = [&](const std::string &name) {
            const auto &calls = program(set, name).calls;
            return std::ranges::any_of(calls, [](const Call &call) { return call.layer == "conv2d"; });
        };
        for (const char *name : {"features", "infer_one"}) CHECK(calls_frozen(name));
        for (const char *name : {"input_features", "gradients", "infer"}) {
            CHECK_FALSE(calls_frozen(name));
            const auto &buffers = program(set, name).buffers;
            const auto features = std::ranges::find(buffers, "frozen features", &Buffer::name);
            REQUIRE(features != buffers.end());
            CHECK(features->home == Home::external);
            CHECK(features->extents == std::vector<int>{4, 6, 6, batch_extent});
        }
        CHECK(find_call(program(set, "input_features"), "input_fwd", "input").kernel.shape.floats);
    }
}

TEST_CASE("a device's plan never falls back to the host") {
    const Plan plan = make_plan(cifar10(), {.sets = select_sets({"gpu"})});
    REQUIRE(plan.sets.size() == 2);
    for (const SetPlan &set : plan.sets) {
        REQUIRE_FALSE(set.kernels.empty());
        for (const CompiledKernel &kernel : set.kernels) {
            INFO(kernel.symbol);
            const auto entry = std::ranges::find(menu(kernel.kernel.core), kernel.entry, &Entry::name);
            CHECK_FALSE(entry->refuses(kernel.kernel.shape, x86_avx2()).empty());
        }
    }
}

TEST_CASE("calls have the arguments that the core and its chains say, then the entry's workspaces") {
    const Plan plan = make_plan(make_model(small), {.sets = {x86_avx2()}, .menu = tuned_menu});
    for (const Program &program : plan.sets[0].programs)
        for (const Call &call : program.calls) {
            CAPTURE(program.name, call.symbol);
            const std::vector<KernelArgument> arguments = arguments_of(call.kernel);
            const auto compiled = std::ranges::find(plan.sets[0].kernels, call.symbol, &CompiledKernel::symbol);
            REQUIRE(compiled != plan.sets[0].kernels.end());
            CHECK(compiled->kernel == call.kernel);
            CHECK(compiled->entry == call.entry);
            REQUIRE(call.arguments.size() == arguments.size() + (call.entry == "tuned" ? 1 : 0));
            REQUIRE(compiled->arguments.size() == call.arguments.size());
            for (std::size_t i = 0; i < call.arguments.size(); ++i) {
                const Buffer &buffer = program.buffers[call.arguments[i]], &argument = compiled->arguments[i];
                CHECK(buffer.type == argument.type);
                CHECK(buffer.extents == argument.extents);
                if (i >= arguments.size()) continue;
                CHECK(argument.name == arguments[i].name);
                CHECK(argument.type == arguments[i].type);
                if (arguments[i].extents != std::vector<int>{any_extent}) CHECK(argument.extents == arguments[i].extents);
            }
            if (call.entry == "tuned") {
                CHECK(compiled->arguments.back().name == "sums");
                CHECK(program.buffers[call.arguments.back()].home == Home::arena_fixed);
            }
        }
}

TEST_CASE("a call's operands go by name into the order of the arguments, none missing and none unknown") {
    const Operands inputs = {{"step", 4}, {"gradients", 3}}, outputs = {{"velocity", 7}, {"parameters", 5}};
    const auto arguments = [](const Operands &read, const Operands &written) {
        return Operation{"sgd", "all", {}, read, written}.arguments();
    };
    CHECK(arguments(inputs, outputs) == std::vector<int>{3, 4, 5, 7});

    const auto message = [&](const Operands &read, const Operands &written) { return failure_of([&] { arguments(read, written); }); };
    CHECK(message({{"gradients", 3}}, outputs) == "layer \"all\" calls sgd without its \"step\"");
    CHECK(message(inputs, {{"parameters", 5}}) == "layer \"all\" calls sgd without its \"velocity\"");
    CHECK(message(inputs, {{"parameters", 5}, {"velocity", 7}, {"momentum", 8}}) == "layer \"all\" calls sgd with an unknown \"momentum\"");
    // An output is no input.
    CHECK(message({{"step", 4}, {"gradients", 3}, {"velocity", 7}}, outputs) == "layer \"all\" calls sgd with an unknown \"velocity\"");
}

TEST_CASE("the first entry that accepts is taken, with what the others said") {
    const Plan plan = make_plan(make_model(small), {.sets = {x86_avx2()}, .menu = tuned_menu});
    const Program &gradients = program(plan.sets[0], "gradients");
    const Call &first = find_call(gradients, "conv2d_fwd", "conv2d"), &second = find_call(gradients, "conv2d_fwd", "conv2d_1");
    CHECK(first.entry == "reference");
    CHECK(first.reason == "tuned: 3 channels");
    CHECK(second.entry == "tuned");
    CHECK(second.reason == "first that accepts");
}

TEST_CASE("a pinned entry is taken instead") {
    const auto planned = [](const std::string &entry, const std::string &kernel) {
        return make_plan(make_model(small), {.sets = {x86_avx2()}, .pins = {{"x86_avx2", {{kernel, entry}}}}, .menu = tuned_menu});
    };
    const Plan plan = planned("reference", "conv2d_fwd__h6w6c4_k4r3s3");
    const Call &call = find_call(program(plan.sets[0], "gradients"), "conv2d_fwd", "conv2d_1");
    CHECK(call.entry == "reference");
    CHECK(call.reason == "pinned");
    CHECK(call.symbol == "t_conv2d_fwd__h6w6c4_k4r3s3__x86_avx2_reference");
    CHECK(failure_of([&] { planned("fast", "conv2d_fwd__h6w6c4_k4r3s3"); }) ==
          "tuned x86_avx2.json: \"conv2d_fwd__h6w6c4_k4r3s3\" is pinned to \"fast\", which is not on its menu");
    CHECK(failure_of([&] { planned("tuned", "conv2d_fwd__h8w8c3_k4r3s3"); }) ==
          "tuned x86_avx2.json: \"conv2d_fwd__h8w8c3_k4r3s3\" is pinned to \"tuned\", which refuses: 3 channels");
}

TEST_CASE("entries can be left out, pinned or not") {
    const auto entries = [](const PlanOptions &options) {
        const Plan plan = make_plan(cifar10(), options);
        std::set<std::string> names;
        for (const CompiledKernel &kernel : plan.sets[0].kernels) names.insert(kernel.entry);
        return names;
    };
    const std::map<std::string, Pins> pins = {{"x86_avx2", {{"conv2d_fwd__relu__h13w13c64_k64r3s3", "winograd_f2"}}}};
    CHECK(entries({.sets = {x86_avx2()}, .pins = pins}).contains("winograd_f2"));
    CHECK(entries({.sets = {x86_avx2()}, .pins = pins}).contains("winograd_f4"));
    for (const bool all_entries : {false, true}) {
        const std::set<std::string> left =
            entries({.sets = {x86_avx2()}, .all_entries = all_entries, .pins = pins, .without = {"winograd"}});
        CHECK(left.contains("register_tile"));
        CHECK_FALSE(left.contains("winograd_f2"));
        CHECK_FALSE(left.contains("winograd_f4"));
    }
    CHECK_FALSE(entries({.sets = {x86_avx2()}, .without = {"winograd_f4"}}).contains("winograd_f4"));
    CHECK_THROWS_WITH(entries({.sets = {x86_avx2()}, .without = {"wino"}}), "there is no entry \"wino\" to do without");
    for (const std::string reference : {"reference", "gpu_reference"})
        CHECK_THROWS_WITH(entries({.sets = {x86_avx2()}, .without = {reference}}),
                          "the entry \"" + reference + "\" cannot be left out: it is what remains");
}

TEST_CASE("without tiles a convolution leaves a pool alone whose windows reach beyond it") {
    const auto pooled = [](const PlanOptions &options) {
        const Plan plan = make_plan(cifar10(), options);
        int inside = 0, beyond = 0;
        for (const CompiledKernel &kernel : plan.sets[0].kernels)
            if (kernel.kernel.core == "conv2d_pool_fwd") (kernel.kernel.shape.pool().padded() ? beyond : inside)++;
        return std::pair(inside, beyond);
    };
    CHECK(pooled({.sets = {x86_avx2()}}).second > 0);
    const auto [inside, beyond] = pooled({.sets = {x86_avx2()}, .without = {"winograd"}});
    CHECK(inside > 0);
    CHECK(beyond == 0);
}

TEST_CASE("pins are read from a file for each set") {
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / fmt::format("halcyon_test_pins_{}", getpid());
    std::filesystem::create_directories(folder);
    const auto read = [&](const std::string &text) {
        std::ofstream(folder / "x86_avx2.json") << text;
        return read_pins(folder.string(), all_sets());
    };
    const std::map<std::string, Pins> pins = read(R"({"conv2d_fwd__h6w6c4_k4r3s3": "register_tile"})");
    REQUIRE(pins.size() == 1);
    CHECK(pins.at("x86_avx2").at("conv2d_fwd__h6w6c4_k4r3s3") == "register_tile");
    const std::string file = (folder / "x86_avx2.json").string();
    CHECK(failure_of([&] { read("[]"); }) == file + ": must be an object of kernel names and entries");
    CHECK(failure_of([&] { read(R"({"a": 1})"); }) == file + ": \"a\" must name an entry, not 1");
    std::filesystem::remove_all(folder);
    CHECK(failure_of([&] { read_pins(folder.string(), all_sets()); }) == folder.string() + ": there is no such folder of tuned schedules");
}

TEST_CASE("symbols are unique C identifiers, and each kernel is compiled once") {
    for (const bool all_entries : {false, true}) {
        const Plan plan = make_plan(cifar10(), {.sets = all_sets(), .all_entries = all_entries, .menu = tuned_menu});
        std::set<std::string> symbols;
        for (const SetPlan &set : plan.sets)
            for (const CompiledKernel &kernel : set.kernels) {
                CAPTURE(kernel.symbol);
                CHECK(symbols.insert(kernel.symbol).second);
                CHECK(kernel.symbol.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
                      std::string::npos);
            }
    }
}

TEST_CASE("with all entries every set has what the others planned") {
    const std::vector<Set> sets = select_sets({"x86_avx2", "reference"});
    const Model model = make_model(small);
    // A menu whose tuned entry is not for the reference set.
    static const auto not_in_reference = [](std::string_view core) -> const std::vector<Entry> & {
        static const std::vector<Entry> entries = {
            {"tuned", [](const Shape &, const Set &set) -> std::string { return set.name == "reference" ? "for x86" : ""; }},
            {"other", [](const Shape &, const Set &set) -> std::string { return set.name == "reference" ? "for x86" : ""; }},
            reference_menu(core).front()};
        return core == "sgd" ? reference_menu(core) : entries;
    };
    const Plan plan = make_plan(model, {.sets = sets, .all_entries = true, .menu = +not_in_reference});
    const auto has = [&](int set, const std::string &symbol) {
        return std::ranges::find(plan.sets[set].kernels, symbol, &CompiledKernel::symbol) != plan.sets[set].kernels.end();
    };
    REQUIRE(plan.sets[0].set == "x86_avx2");
    CHECK(has(0, "t_conv2d_fwd__h6w6c4_k4r3s3__x86_avx2_tuned"));
    CHECK(has(0, "t_conv2d_fwd__h6w6c4_k4r3s3__x86_avx2_other"));
    CHECK_FALSE(has(0, "t_conv2d_fwd__h6w6c4_k4r3s3__x86_avx2_reference"));
    // Planned as the only entry there is.
    CHECK(has(0, "t_sgd__n" + std::to_string(plan.parameter_bytes / 4) + "__x86_avx2_reference"));
    // The fused convolution is planned in x86_avx2 alone; the reference of it is there to compare with.
    CHECK(has(0, "t_conv2d_fwd__relu__h8w8c3_k4r3s3__x86_avx2_tuned"));
    CHECK(has(1, "t_conv2d_fwd__relu__h8w8c3_k4r3s3__reference"));
    // The reference set's parts, with the entries of the other set.
    CHECK(has(1, "t_pointwise__relu__h6w6c4__reference"));
    CHECK(has(0, "t_pointwise__relu__h6w6c4__x86_avx2_tuned"));
}

TEST_CASE("what depends on weights alone comes first") {
    const Plan plan = make_plan(cifar10(), {.sets = {x86_avx2()}});
    for (const Program &program : plan.sets[0].programs) {
        CAPTURE(program.name);
        CHECK((program.prepared_calls > 0) == program.name.starts_with("infer"));
        for (int i = 0; i < int(program.calls.size()); ++i) {
            const Call &call = program.calls[i];
            const std::vector<KernelArgument> arguments = arguments_of(call.kernel);
            const auto inputs = std::ranges::count(arguments, false, &KernelArgument::is_output);
            const bool from_weights = std::all_of(call.arguments.begin(), call.arguments.begin() + inputs, [&](int argument) {
                const Home home = program.buffers[argument].home;
                return home == Home::parameters || home == Home::moving || home == Home::prepared;
            });
            CHECK(from_weights == (i < program.prepared_calls));
        }
    }
}

TEST_CASE("an autoscheduled set trains by the calls of the hand-written one, with a schedule of its own") {
    const Plan plan = make_plan(cifar10(), {.sets = select_sets({"x86_avx2", "li2018"})});
    REQUIRE(plan.sets.size() == 2);
    // But for passes: dropouts, which hand-written loops draw in passes of their own, go behind anything, and nothing goes before a
    // convolution.
    const auto cores = [](const SetPlan &set) {
        std::vector<std::pair<std::string, std::string>> cores;
        for (const Call &call : program(set, "gradients").calls)
            if (call.kernel.core != "pointwise") cores.emplace_back(call.layer, call.kernel.core);
        std::ranges::sort(cores);  // a call that takes a pass may stand where the pass stood
        return cores;
    };
    CHECK(cores(plan.sets[0]) == cores(plan.sets[1]));
    CHECK(plan.sets[0].order == plan.sets[1].order);
    CHECK(plan.sets[0].target == plan.sets[1].target);
    for (const CompiledKernel &kernel : plan.sets[1].kernels) CHECK(kernel.entry == "autoscheduled");
}

TEST_CASE("what an autoscheduler fails on is the reference's, and is not fused") {
    const Plan plan = make_plan(cifar10(), {.sets = select_sets({"adams2019"})});
    const Program &gradients = program(plan.sets[0], "gradients");
    const Call &stats = find_call(gradients, "batch_norm_stats", "batch_normalization");
    CHECK(stats.entry == "reference");
    CHECK(stats.reason.ends_with("; autoscheduled: Adams2019 reorders loops whose order counts"));
    for (const Call &call : gradients.calls) {
        CAPTURE(call.symbol);
        CHECK((call.kernel.chains.empty() || call.kernel.core == "pointwise"));
    }
    CHECK(find_call(gradients, "max_pool2d_bwd", "max_pooling2d").entry == "autoscheduled");
}

TEST_CASE("work is counted per image") {
    const Plan plan = make_plan(make_model(small), {.sets = {x86_avx2()}, .menu = reference_menu});
    const Program &gradients = program(plan.sets[0], "gradients");
    // 6x6x4 outputs, each of 27 products; 8x8x3 floats read, 6x6x4 written, 4*28 weights and biases.
    const Call &convolution = find_call(gradients, "conv2d_fwd", "conv2d");
    CHECK(convolution.flops == 2.0 * 6 * 6 * 4 * 27);
    CHECK(convolution.bytes_per_image == 4 * (8 * 8 * 3 + 6 * 6 * 4));
    CHECK(convolution.bytes_fixed == 4 * 4 * 28);
    // Bytes, an index, the step buffer of 10 words, 2 for the dropout and 3 for the classes; floats written.
    const Call &input = find_call(program(plan.sets[0], "input"), "input_fwd", "input");
    CHECK(input.bytes_per_image == 8 * 8 * 3 + 4 + 4 * 8 * 8 * 3);
    CHECK(input.bytes_fixed == 4 * 15);
    // Moving statistics are read and written.
    CHECK(find_call(gradients, "batch_norm_stats", "batch_normalization").bytes_fixed == 4 * 4 * (2 + 4 + 2 * 2));
}

TEST_CASE("plan.json reads back as the same plan", "[exhaustive]") {
    std::mt19937 random(4);
    std::vector<std::string> texts;
    texts.push_back(to_json(make_plan(cifar10(), {.sets = all_sets(), .all_entries = true})));
    for (int round = 0; round < 10; ++round)
        texts.push_back(to_json(make_plan(random_model(random, 8), {.sets = all_sets(), .menu = tuned_menu})));
    texts.push_back(to_json(make_plan(
        make_model(
            R"({"type": "batch_normalization", "momentum": 0.123, "epsilon": 1e-5}, {"type": "dropout", "rate": 0.3}, {"type": "flatten"},
        {"type": "dense", "units": 3, "activation": "softmax"})"),
        {.sets = all_sets()})));
    for (const std::string &text : texts) {
        const Plan plan = parse_plan(text);
        CHECK(to_json(plan) == text);
    }
    const Plan plan = parse_plan(texts.back());
    const auto &kernels = plan.sets[0].kernels;
    const auto stats = std::ranges::find_if(kernels, [](const CompiledKernel &k) { return k.kernel.core == "batch_norm_stats"; });
    REQUIRE(stats != kernels.end());
    CHECK(stats->kernel.shape.momentum == 0.123f);
    CHECK(stats->kernel.shape.epsilon == 1e-5f);
    CHECK(plan.dropout_rates == std::vector<double>{0.3});
}

TEST_CASE("a plan that cannot be read says so") {
    const std::string text = to_json(make_plan(make_model(small), {.sets = {x86_avx2()}}));
    const auto failure = [](const std::string &text) { return failure_of([&] { parse_plan(text); }); };
    for (const std::string &bad : {std::string("{"), std::string("{}"), std::string("[]"), std::string("1e999"), std::string("\"\xff\""),
                                   text.substr(0, text.size() / 2), std::string(R"({"version": "3"})")}) {
        CAPTURE(bad);
        CHECK(failure(bad).starts_with("the plan cannot be read (a JSON value is not as expected: "));
        CHECK(failure(bad).ends_with("); build the model again with this version's halcyonc"));
        CHECK(failure(bad).find("json.exception") == std::string::npos);
    }
    CHECK(failure(R"({"version": 5e55})").find("(5e+55 is no number of a plan)") != std::string::npos);
    CHECK(failure(std::string(100, '[') + std::string(100, ']')).find("(its values are nested too deeply)") != std::string::npos);
    std::string newer = text;
    newer.replace(newer.find("\"version\": 4"), 12, "\"version\": 9");
    CHECK(failure(newer) ==
          "the plan cannot be read (its version is 9, this program reads 4); build the model again with this version's halcyonc");
    std::string beyond = text;
    const std::string trainable = "\"trainable\"";
    beyond.insert(beyond.find(trainable), "\"feature_layers\": 8, ");
    CHECK(failure(beyond).find("(8 of 7 layers make features)") != std::string::npos);
    std::string lost = text;
    const std::size_t name = lost.find("\"name\":\"d dense/kernel\"");
    REQUIRE(name != std::string::npos);
    lost.replace(name, 23, "\"name\":\"e dense/kernel\"");
    CHECK(failure(lost).find("names no buffer: \"d dense/kernel\"") != std::string::npos);
}
