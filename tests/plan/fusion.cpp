// Fusion: each rewrite, placement and pair where it applies, and nowhere else.
#include "compiler/fuse.h"
#include "compiler/report.h"
#include "tests/catch.h"
#include "tests/plan/support.h"
#include "tests/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

using namespace halcyon;

using Calls = std::vector<std::string>;

namespace {

const std::string batch_norm = R"({"type": "batch_normalization"})", relu = R"({"type": "relu"})";
const std::string padded_pool = R"({"type": "max_pooling2d", "padding": "same"})";
const std::string dropout = R"({"type": "dropout"})";

/// A convolution of 3x3 with `filters`, over a padded input unless it is "valid".
std::string convolution(const std::string &activation = "linear", int filters = 4, const std::string &padding = "same") {
    return fmt::format(R"({{"type": "conv2d", "filters": {}, "kernel_size": 3, "padding": "{}", "activation": "{}"}})", filters, padding,
                       activation);
}

const std::string padded_conv = convolution(), conv_relu = convolution("relu");

Graph training_graph(const std::string &layers) {
    const Model model = make_model(layers + head);
    return lower_training(model, lay_out_slabs(model));
}

Graph inference_graph(const std::string &layers) {
    const Model model = make_model(layers + head);
    return lower_inference(model, lay_out_slabs(model));
}

/// The call of `name` that reads `value`.
const Operation &reader(const Graph &graph, int value, const std::string &name) {
    for (const int i : readers(graph, value))
        if (graph.operations[i].core == name || name_of(graph.operations[i]) == name) return graph.operations[i];
    throw std::out_of_range(fmt::format("no {} reads it", name));
}

/// Whether any call reads or writes `value`.
bool is_used(const Graph &graph, int value) { return !readers(graph, value).empty() || writer(graph, value) >= 0; }

/// The operands of a link of a chain.
const Operands &operands(const Operation &call, const std::string &place, std::size_t link = 0) {
    return call.chain(place).at(link).operands;
}

std::vector<std::string> lines(const std::vector<Fusion> &fusions, bool taken) {
    std::vector<std::string> found;
    for (const Fusion &fusion : fusions)
        if (fusion.taken == taken) found.push_back(fusion.line);
    return found;
}

bool contains(const std::vector<std::string> &list, const std::string &line) { return std::ranges::find(list, line) != list.end(); }

/// The line of a pass that was left alone; "" where there is none.
std::string line_of_pass(const std::vector<Fusion> &fusions, const std::string &pass) {
    for (const std::string &line : lines(fusions, false))
        if (line.starts_with(pass + " stands alone")) return line;
    return "";
}

/// What is written and read of a program after fusion: each value before it is read, and once; nothing that nobody needs.
void check_sound(const Graph &before, const Graph &graph) {
    INFO(fmt::format("{}", fmt::join(calls_of(graph), "\n")));
    const auto is_own = [&](int value) {
        const Home home = graph.values[value].home;
        return home == Home::arena_batch || home == Home::arena_fixed;
    };
    std::set<int> written;
    for (const Operation &call : graph.operations) {
        INFO(call.layer << ": " << name_of(call));
        CHECK(call.arguments().size() == arguments_of(call.kernel()).size());
        bool reads_what_is_there = true, writes_once = true;
        for (const int value : call.values_read()) reads_what_is_there = reads_what_is_there && (!is_own(value) || written.contains(value));
        for (const Operand &output : call.outputs) writes_once = written.insert(output.value).second && writes_once;
        CHECK(reads_what_is_there);
        CHECK(writes_once);
    }
    // What anybody outside reads is written as before, and every call writes something that is read.
    std::set<int> results;
    for (const Operation &call : before.operations)
        for (const Operand &output : call.outputs)
            if (!is_own(output.value)) results.insert(output.value);
    for (const int result : results) CHECK(written.contains(result));
    for (const int value : written)
        if (!is_own(value)) CHECK(results.contains(value));
    for (const Operation &call : graph.operations) {
        INFO(call.layer << ": " << name_of(call));
        CHECK(std::ranges::any_of(call.outputs, [&](const Operand &o) { return !is_own(o.value) || !readers(graph, o.value).empty(); }));
    }
}

/// Fuses, and checks that the program is sound.
std::vector<Fusion> fuse_soundly(Graph &graph, Menu menu = tuned_menu, const Set &set = x86_avx2()) {
    const Graph before = graph;
    std::vector<Fusion> fusions = fuse(graph, set, menu);
    check_sound(before, graph);
    return fusions;
}

/// The calls that stay of a program.
Calls fused_calls(Graph graph, Menu menu = tuned_menu, const std::string &set = "x86_avx2") {
    fuse_soundly(graph, menu, select_sets({set}).front());
    return calls_of(graph);
}

/// Every core has a tuned entry that takes everything.
const std::vector<Entry> &willing_menu(std::string_view) {
    static const std::vector<Entry> entries = {{"tuned", [](const Shape &, const Set &) { return std::string(); }, nullptr,
                                                [](const Kernel &, const Set &) { return std::string(); }}};
    return entries;
}

}  // namespace

// Placement

TEST_CASE("a pass goes behind what makes its input, where a tuned entry takes it") {
    // The first convolution has 3 input channels, which the menu's tuned entry refuses.
    Graph graph = training_graph(conv_relu + ", " + conv_relu);
    const Operation first = find(graph, "relu", "conv2d"), second = find(graph, "relu", "conv2d_1");
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    CHECK(lines(fusions, true) == Calls{"relu of conv2d_1 behind conv2d_fwd of conv2d_1: tuned",
                                        "mask of conv2d_1 behind conv2d_bwd_data of dense: tuned",
                                        "mask of conv2d behind conv2d_bwd_data of conv2d_1: tuned"});
    CHECK(contains(line_of_pass(fusions, "relu of conv2d"), "behind conv2d_fwd of conv2d: tuned: 3 channels"));
    CHECK(count(graph, "relu") == 1);
    CHECK(find(graph, "conv2d_fwd output[relu]").outputs == second.outputs);
    CHECK_FALSE(is_used(graph, second.inputs["input"]));
    CHECK(operands(find(graph, "conv2d_bwd_data", "conv2d_1"), "d_input")["of"] == first.outputs["output"]);
    CHECK(operands(find(graph, "conv2d_bwd_data", "dense"), "d_input")["of"] == second.outputs["output"]);
}

TEST_CASE("without a tuned entry the parts stay") {
    Graph graph = training_graph(conv_relu + ", " + batch_norm);
    const Calls before = calls_of(graph);
    for (const Fusion &fusion : fuse_soundly(graph, reference_menu)) CHECK_FALSE(fusion.taken);
    CHECK(calls_of(graph) == before);
}

TEST_CASE("passes go behind pools, their gradients and each other") {
    Graph graph = training_graph(conv_relu + ", " + padded_pool + ", " + relu + ", " + dropout);
    const Operation drop = find(graph, "dropout"), mask = find(graph, "mask", "conv2d");
    fuse_soundly(graph);
    CHECK(find(graph, "max_pool2d_fwd output[relu, dropout]").outputs == drop.outputs);
    CHECK(find(graph, "max_pool2d_bwd d_input[mask]").outputs["d_input"] == mask.outputs["output"]);
    CHECK(count(graph, "conv2d_bwd_data d_input[kept, mask]") == 1);

    Graph passes =
        inference_graph(padded_conv + ", " + batch_norm + ", " + relu + ", " + R"({"type": "add", "inputs": ["re_lu", "conv2d"]})");
    fuse_soundly(passes, behind_menu);
    const Operation &pass = find(passes, "affine, relu, add");
    CHECK(pass.inputs["input"] == find(passes, "conv2d_fwd").outputs["output"]);
    CHECK(pass.kernel().chain("output").back().same_as == 0);  // what it adds is what it reads
    CHECK(pass.arguments().size() == 4);
}

TEST_CASE("a pass stays where others read its input, and where it reads it twice") {
    Graph graph = training_graph(R"({"type": "relu"}, {"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3},
        {"name": "d", "type": "conv2d", "filters": 4, "kernel_size": 1}, {"name": "r", "type": "relu"}, {"type": "add", "inputs": ["d", "r"]})");
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    CHECK(contains(line_of_pass(fusions, "relu of r"), "behind conv2d_fwd of d: others read its input"));
    CHECK(contains(line_of_pass(fusions, "relu of re_lu"), "nothing here makes its input"));
    // What the runtime reads is others' as well.
    CHECK(contains(line_of_pass(fusions, "onehotgradient of loss"), "behind softmax_cross_entropy_fwd of loss: others read its input"));

    Graph twice = inference_graph(padded_conv + R"(, {"type": "add", "inputs": ["conv2d", "conv2d"]})");
    CHECK(contains(line_of_pass(fuse_soundly(twice, behind_menu), "add of add"), "behind conv2d_fwd of conv2d: others read its input"));
}

TEST_CASE("a sum goes behind what makes either of the two") {
    const std::string stem = R"({"name": "s", "type": "conv2d", "filters": 4, "kernel_size": 3}, {"name": "p", "type": "relu"})";
    const std::string branch = R"(, {"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 1, "inputs": ["p"]})";
    for (const char *order : {R"("c", "p")", R"("p", "c")"}) {
        CAPTURE(order);
        Graph graph = inference_graph(stem + branch + R"(, {"type": "add", "inputs": [)" + order + "]}");
        const int kept = find(graph, "relu").outputs["output"], sum = find(graph, "add").outputs["output"];
        CHECK(contains(lines(fuse_soundly(graph, behind_menu), true), "add of add behind conv2d_fwd of c: tuned"));
        const Operation &fused = find(graph, "conv2d_fwd output[add]");
        CHECK(operands(fused, "output")["addend"] == kept);
        CHECK(fused.outputs["output"] == sum);
        CHECK(fused.kernel().chain("output").front().same_as == 0);
    }
    // Neither: both are read by others. The pass is as it was.
    Graph graph =
        inference_graph(stem + branch + R"(, {"name": "a", "type": "add", "inputs": ["c", "p"]}, {"type": "add", "inputs": ["a", "c"]})");
    const Operation before = find(graph, "add", "a");
    const std::vector<Fusion> fusions = fuse_soundly(graph, behind_menu);
    const Operation &both = find(graph, "add, add");
    CHECK(both.inputs == before.inputs);
    CHECK(both.chain("output").front() == before.chain("output").front());
    CHECK(contains(line_of_pass(fusions, "add, add of a"),
                   "behind conv2d_fwd of c: others read its input; behind relu of p: others read its input"));
}

TEST_CASE("a call whose new operands come later moves to where the pass stood") {
    SECTION("behind the branch that came first") {
        Graph graph = inference_graph(
            R"({"name": "s", "type": "conv2d", "filters": 4, "kernel_size": 3}, {"name": "a", "type": "conv2d", "filters": 4, "kernel_size": 1},
            {"name": "b", "type": "conv2d", "filters": 4, "kernel_size": 1, "inputs": ["s"]}, {"type": "add", "inputs": ["a", "b"]})");
        fuse_soundly(graph, behind_menu);
        CHECK(calls_of(graph) ==
              Calls{"s: conv2d_fwd", "b: conv2d_fwd", "a: conv2d_fwd output[add]", "dense: conv2d_fwd", "loss: softmax_cross_entropy_fwd"});
    }
    SECTION("behind the sums of a batch norm's gradient") {
        const Calls calls = fused_calls(training_graph(conv_relu + ", " + batch_norm + ", " + padded_pool));
        const auto stats = std::ranges::find(calls, "batch_normalization: batch_norm_pool_bwd_stats input[affine]");
        REQUIRE(stats != calls.end());
        CHECK(*(stats + 1) == "max_pooling2d: max_pool2d_bwd input[affine] d_input[normgradient, mask]");
    }
    SECTION("unless what stands between reads another of its outputs") {
        // batch_norm_bwd makes d_gamma, a pass makes an addend of that, and another adds it to the same call's d_input.
        Graph graph;
        for (const char *name : {"d", "x", "gamma", "mean", "inv_std", "d_gamma", "d_beta", "d_x", "addend", "sum"})
            graph.values.push_back({.name = name, .type = "float32", .extents = {4}, .home = Home::arena_batch});
        const Operands factors = {{"input", 1}, {"gamma", 2}, {"mean", 3}, {"inv_std", 4}, {"d_gamma", 5}, {"d_beta", 6}};
        graph.operations = {{"batch_norm_bwd",
                             "b",
                             {},
                             {{"d_output", 0}, {"input", 1}, {"gamma", 2}, {"mean", 3}, {"inv_std", 4}},
                             {{"d_gamma", 5}, {"d_beta", 6}, {"d_input", 7}}},
                            {"pointwise", "n", {}, {{"input", 1}}, {{"output", 8}}, {{"output", {{"normgradient", factors}}}}},
                            {"pointwise", "a", {}, {{"input", 7}}, {{"output", 9}}, {{"output", {{"add", {{"addend", 8}}}}}}}};
        graph.values[9].home = Home::external;
        const std::vector<Fusion> fusions = fuse(graph, x86_avx2(), willing_menu);
        CHECK(lines(fusions, true) == Calls{"add of a behind normgradient of n: tuned"});
        REQUIRE(graph.operations.size() == 2);
        CHECK(graph.operations[0].core == "batch_norm_bwd");

        // Another reads the pass' output too, so that the sum cannot go behind that either.
        graph.operations = {{"batch_norm_bwd",
                             "b",
                             {},
                             {{"d_output", 0}, {"input", 1}, {"gamma", 2}, {"mean", 3}, {"inv_std", 4}},
                             {{"d_gamma", 5}, {"d_beta", 6}, {"d_input", 7}}},
                            {"pointwise", "n", {}, {{"input", 1}}, {{"output", 8}}, {{"output", {{"normgradient", factors}}}}},
                            {"pointwise", "a", {}, {{"input", 7}}, {{"output", 9}}, {{"output", {{"add", {{"addend", 8}}}}}}},
                            {"max_pool2d_fwd", "p", {}, {{"input", 8}}, {{"output", 0}}}};
        const std::string line = line_of_pass(fuse(graph, x86_avx2(), willing_menu), "add of a");
        CHECK(contains(line, "behind batch_norm_bwd of b: its operands come later; behind normgradient of n: others read its input"));
    }
}

TEST_CASE("a chain has at most six links, wherever they come from") {
    std::string layers = padded_conv;
    for (int i = 0; i < 20; ++i) layers += ", " + relu;
    Graph graph = inference_graph(layers);
    for (Operation &operation : graph.operations) operation.shape.in_c = 4;  // which the menu does not refuse
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    const std::string six = "relu, relu, relu, relu, relu, relu";
    CHECK(calls_of(graph) == Calls{"conv2d: winograd_weights", "conv2d: conv2d_fwd output[" + six + "]", "re_lu_6: " + six,
                                   "re_lu_12: " + six, "dense: conv2d_fwd input[relu, relu]", "loss: softmax_cross_entropy_fwd"});
    CHECK(contains(line_of_pass(fusions, six + " of re_lu_6"), "behind conv2d_fwd of conv2d: a chain has at most 6 links"));
    CHECK(contains(line_of_pass(fusions, six + " of re_lu_12"), "before conv2d_fwd of dense: a chain has at most 6 links"));
}

TEST_CASE("no chain adds and subtracts one value, of which Halide would make none") {
    const std::string branches =
        padded_conv + R"(, {"name": "p", "type": "relu"}, {"name": "q", "type": "conv2d", "filters": 4, "kernel_size": 1},
        )";
    const std::string cancelling =
        R"({"name": "d", "type": "subtract", "inputs": ["q", "p"]}, {"name": "s", "type": "add", "inputs": ["d", "p"]})";
    Graph graph = inference_graph(branches + cancelling);
    const std::vector<Fusion> fusions = fuse_soundly(graph, behind_menu);
    CHECK(count(graph, "conv2d_fwd output[subtract]") == 1);
    CHECK(contains(line_of_pass(fusions, "add of s"), "behind conv2d_fwd of q: a chain would add and subtract one value"));
    // Backward the gradient of p is that of s without that of d, which is the same.
    Graph gradients = training_graph(branches + cancelling);
    fuse_soundly(gradients, willing_menu);
    for (const Operation &call : gradients.operations)
        for (const auto &[place, chain] : call.chains) CHECK_FALSE((chain.size() > 1 && chain[0].row == "times" && chain[1].row == "add"));
    // A function between them keeps both.
    const std::string kept = R"({"name": "d", "type": "subtract", "inputs": ["q", "p"]}, {"name": "r", "type": "relu"},
        {"name": "s", "type": "add", "inputs": ["r", "p"]})";
    CHECK(contains(fused_calls(inference_graph(branches + kept), behind_menu), "q: conv2d_fwd output[subtract, relu, add]"));
}

TEST_CASE("what would have no name is not fused") {
    const auto planned = [](std::size_t length) {
        std::string text = model_text(conv_relu + ", " + batch_norm + ", " + padded_pool + ", " + dropout + head);
        text.replace(text.find("\"t\"") + 1, 1, std::string(length, 'n'));
        return parse_model(text, "t.json");
    };
    const Model short_named = planned(50), long_named = planned(100);
    const PlanOptions options{.sets = {x86_avx2()}};
    Graph with = lower_training(short_named, lay_out_slabs(short_named)), without = lower_training(long_named, lay_out_slabs(long_named));
    fuse(with, x86_avx2(), options);
    const std::vector<Fusion> fusions = fuse(without, x86_avx2(), options);
    CHECK(count(with, "conv2d_pool_bwd_weights") == 1);
    CHECK(count(without, "conv2d_pool_bwd_weights") == 0);
    CHECK(contains(lines(fusions, false), "max_pool2d_bwd of max_pooling2d and conv2d_bwd_weights of conv2d stay apart: "
                                          "rows: its name would have 229 characters, more than 220"));
    CHECK(failure_of([&] { make_plan(long_named, options); }) == "");
}

TEST_CASE("no pass goes where a call would get a worse entry than it has") {
    const auto best_first = [](std::string_view core) -> const std::vector<Entry> & {
        static const std::vector<Entry> entries = {
            {"best", [](const Shape &, const Set &) -> std::string { return ""; }, nullptr,
             [](const Kernel &kernel, const Set &) -> std::string { return kernel.chains.empty() ? "" : "no chains"; }},
            tuned_menu(core).front()};
        return core == "conv2d_fwd" ? entries : tuned_menu(core);
    };
    Graph graph = inference_graph(padded_conv + ", " + conv_relu);
    const std::string line = line_of_pass(fuse_soundly(graph, +best_first), "relu of conv2d_1");
    CHECK(contains(line, "behind conv2d_fwd of conv2d_1: it would be made by tuned instead of best"));
    CHECK(contains(line, "before conv2d_fwd of dense: it would be made by tuned instead of best"));
    CHECK(count(graph, "relu") == 1);
}

TEST_CASE("a pass goes before all that read it, where they stage what they read and much is saved") {
    // The readers of the affine pass' output, 4 channels, make 2: they read and write less than the pass does.
    const std::string two = convolution("linear", 2);
    Graph graph = training_graph(padded_conv + ", " + batch_norm + ", " + two);
    const Operation affine = find(graph, "affine");
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    CHECK(contains(lines(fusions, true),
                   "affine of batch_normalization before conv2d_fwd of conv2d_1: tuned, conv2d_bwd_weights of conv2d_1: tuned"));
    CHECK_FALSE(is_used(graph, affine.outputs["output"]));
    for (const char *name : {"conv2d_fwd input[affine]", "conv2d_bwd_weights input[affine]"}) {
        const Operation &call = find(graph, name);
        CHECK(call.layer == "conv2d_1");
        CHECK(call.inputs["input"] == affine.inputs["input"]);
        CHECK(call.chain("input") == affine.chain("output"));
    }

    SECTION("not where they do not stage it") {
        Graph apart = training_graph(padded_conv + ", " + batch_norm + ", " + two);
        CHECK(contains(line_of_pass(fuse_soundly(apart, behind_menu), "affine of batch_normalization"),
                       "before conv2d_fwd of conv2d_1: tuned: it reads its input again and again"));
        CHECK(count(apart, "affine") == 1);
    }
    SECTION("not where little is saved") {
        // 8x8 floats of 4 channels are 1 KiB: the pass moves two of them. Its readers read one and read or write 16 channels, four more.
        Graph apart = training_graph(padded_conv + ", " + batch_norm + ", " + convolution("linear", 16));
        CHECK(
            line_of_pass(fuse_soundly(apart), "affine of batch_normalization") ==
            "affine of batch_normalization stands alone and moves 2048 bytes an image. behind conv2d_fwd of conv2d: others read its input; "
            "before its readers they would move 10240 bytes an image instead of 12288");
    }
    SECTION("not where it draws random numbers") {
        Graph apart = inference_graph(padded_conv + ", " + relu + ", " + two);
        for (Operation &operation : apart.operations)
            if (name_of(operation) == "relu")
                operation.chains["output"] = {{"dropout", {{"step", find(apart, "softmax_cross_entropy_fwd").inputs["step"]}}}};
        CHECK(contains(line_of_pass(fuse_soundly(apart), "dropout of re_lu"), "before its readers: it draws random numbers"));
    }
    SECTION("not where its output is read outside") {
        Graph apart = inference_graph(padded_conv + ", " + batch_norm + ", " + two);
        apart.values[find(apart, "affine").outputs["output"]].home = Home::external;
        CHECK(line_of_pass(fuse_soundly(apart), "affine of batch_normalization").ends_with("; its output is read outside"));
    }
    SECTION("not where it is an operand of a link") {
        Graph apart = inference_graph(padded_conv + R"(, {"name": "r", "type": "relu"}, )" + two + ", " + convolution("linear", 4) +
                                      R"(, {"type": "add", "inputs": ["conv2d_2", "r"]})");
        CHECK(
            contains(line_of_pass(fuse_soundly(apart), "relu of r"), "before conv2d_fwd of conv2d_2: it reads the output in another way"));
    }
}

TEST_CASE("the mask of a ReLU that is gone into its readers is made of the affine values again") {
    Graph graph = training_graph(padded_conv + ", " + batch_norm + ", " + relu + ", " + convolution("linear", 2));
    const Operation affine = find(graph, "affine");
    const int scale = operands(affine, "output")["scale"], shift = operands(affine, "output")["shift"];
    fuse_soundly(graph);
    CHECK(count(graph, "conv2d_fwd input[affine, relu]") == 1);
    CHECK(count(graph, "conv2d_bwd_weights input[affine, relu]") == 1);
    const Operation &gradient = find(graph, "conv2d_bwd_data d_input[affinemask]");
    CHECK(operands(gradient, "d_input") == Operands{{"of", affine.inputs["input"]}, {"scale", scale}, {"shift", shift}});
    CHECK(count(graph, "affine, relu") == 0);
}

// Rewrites

TEST_CASE("zeros before a convolution are its padding, forward and backward, where no window holds zeros alone") {
    const std::string valid = convolution("linear", 4, "valid");
    const auto padded = [&](int zeros) {
        return padded_conv + fmt::format(R"(, {{"type": "zero_padding2d", "padding": {}}}, )", zeros) + valid;
    };
    Graph training = training_graph(padded(2)), inference = inference_graph(padded(2));
    for (Graph *graph : {&training, &inference}) {
        fuse_soundly(*graph);
        int convolutions = 0;
        for (const Operation &call : graph->operations) {
            CHECK(call.layer != "zero_padding2d");
            if (call.layer != "conv2d_1" || !call.core.starts_with("conv2d")) continue;
            convolutions++;
            CHECK(call.shape.in_h == 8);
            CHECK((call.shape.pad_top == 2 && call.shape.pad_left == 2 && call.shape.pad_bottom() == 2 && call.shape.pad_right() == 2));
        }
        CHECK(convolutions == (graph == &training ? 3 : 1));
    }

    CHECK(contains(fused_calls(training_graph(padded(3))), "zero_padding2d: window_sum2d_fwd"));
    const std::string two = padded_conv + R"(, {"type": "zero_padding2d", "name": "zeros"}, )" + valid +
                            R"(, {"type": "conv2d", "filters": 4, "kernel_size": 3, "inputs": ["zeros"]}, )" +
                            R"({"type": "add", "inputs": ["conv2d_1", "conv2d_2"]})";
    CHECK(contains(fused_calls(training_graph(two)), "zeros: window_sum2d_fwd"));
    CHECK(contains(fused_calls(inference_graph(two)), "zeros: window_sum2d_fwd"));
}

TEST_CASE("a ReLU between a batch norm and a pool goes behind the pool, forward and backward") {
    const std::string layers = padded_conv + ", " + padded_conv + ", " + batch_norm + ", " + relu + ", " + padded_pool;
    Graph graph = training_graph(layers);
    const Operation affine = find(graph, "affine"), pooling = find(graph, "max_pool2d_fwd"), unpool = find(graph, "max_pool2d_bwd"),
                    mask = find(graph, "mask");
    // A menu without entries: the rewrite asks none.
    const std::vector<Fusion> fusions = fuse_soundly(graph, reference_menu);
    CHECK(lines(fusions, true) == Calls{"relu of re_lu goes behind max_pool2d_fwd of max_pooling2d, which has fewer values"});
    const Operation &forward = find(graph, "max_pool2d_fwd"), &moved = find(graph, "relu"), &moved_mask = find(graph, "mask"),
                    &backward = find(graph, "max_pool2d_bwd");
    CHECK(forward.inputs["input"] == affine.outputs["output"]);
    CHECK(moved.inputs["input"] == forward.outputs["output"]);
    CHECK(moved.outputs == pooling.outputs);
    CHECK(moved_mask.inputs["input"] == unpool.inputs["d_output"]);
    CHECK(operands(moved_mask, "output")["of"] == pooling.outputs["output"]);
    CHECK(backward.inputs == Operands{{"d_output", moved_mask.outputs["output"]}, {"input", affine.outputs["output"]}});
    CHECK(backward.outputs["d_input"] == mask.outputs["output"]);
    for (const Operation *pass : {&moved, &moved_mask}) {
        CHECK(pass->shape.in_h == pooling.shape.out_h);
        CHECK(pass->shape.in_w == pooling.shape.out_w);
        CHECK(pass->shape.in_c == pooling.shape.out_c);
    }

    SECTION("not where others read what it makes") {
        Graph apart = training_graph(R"({"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3}, {"type": "batch_normalization"},
            {"name": "r", "type": "relu"}, {"name": "p", "type": "max_pooling2d", "pool_size": 1}, {"type": "add", "inputs": ["r", "p"]})");
        CHECK(lines(fuse_soundly(apart, reference_menu), true).empty());
    }
    SECTION("not behind a convolution, whose loop it is part of") {
        Graph apart = training_graph(conv_relu + ", " + padded_pool);
        CHECK(lines(fuse_soundly(apart, reference_menu), true).empty());
    }
    SECTION("not in inference, where the convolution takes both") {
        Graph apart = inference_graph(layers);
        CHECK(lines(fuse_soundly(apart, reference_menu), true).empty());
    }
}

TEST_CASE("in inference a batch norm is folded into the convolution before it") {
    Graph graph = inference_graph(conv_relu + ", " + padded_conv + ", " + batch_norm);
    const Operation affine = find(graph, "affine");
    CHECK(contains(lines(fuse_soundly(graph), true),
                   "conv2d_fwd of conv2d_1 and affine of batch_normalization are one call with folded weights: tuned"));
    CHECK(count(graph, "affine") == 0);
    const Operation &fold = find(graph, "conv2d_fold_output");
    CHECK(graph.values[fold.inputs["weights"]].name == "conv2d_1/kernel");
    CHECK(graph.values[fold.inputs["bias"]].name == "conv2d_1/bias");
    for (const char *name : {"scale", "shift"}) CHECK(fold.inputs[name] == operands(affine, "output")[name]);
    const Operation &convolution = find(graph, "conv2d_fwd", "conv2d_1");
    CHECK(convolution.outputs == affine.outputs);
    CHECK(convolution.inputs["bias"] == fold.outputs["folded_bias"]);
    CHECK(find(graph, "winograd_weights").inputs["weights"] == fold.outputs["folded_weights"]);

    SECTION("in every branch") {
        Graph branches = inference_graph(
            padded_conv +
            R"(, {"name": "a", "type": "conv2d", "filters": 4, "kernel_size": 1}, {"name": "b", "type": "conv2d", "filters": 4, "kernel_size": 1, "inputs": ["conv2d"]},
            {"name": "na", "type": "batch_normalization", "inputs": ["a"]}, {"name": "nb", "type": "batch_normalization", "inputs": ["b"]}, {"type": "add", "inputs": ["na", "nb"]})");
        fuse_soundly(branches);
        CHECK(count(branches, "conv2d_fold_output") == 2);
    }
    SECTION("not behind a ReLU, nor where others read the convolution, nor in training") {
        for (Graph apart :
             {inference_graph(conv_relu + ", " + conv_relu + ", " + batch_norm),
              inference_graph(
                  conv_relu +
                  R"(, {"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 1}, {"name": "b", "type": "batch_normalization"},
                                {"type": "add", "inputs": ["b", "c"]})"),
              training_graph(conv_relu + ", " + padded_conv + ", " + batch_norm)}) {
            fuse_soundly(apart);
            CHECK(count(apart, "conv2d_fold_output") == 0);
        }
    }
    SECTION("not where no entry folds it") {
        Graph apart = inference_graph(padded_conv + ", " + batch_norm);
        CHECK(contains(lines(fuse_soundly(apart), false),
                       "conv2d_fwd of conv2d and affine of batch_normalization stay apart: tuned: 3 channels"));
    }
}

TEST_CASE("in inference a batch norm is folded into the convolution after it, unless that is padded") {
    const std::string valid = convolution("relu", 4, "valid");
    Graph graph = inference_graph(valid + ", " + batch_norm + ", " + valid);
    const Operation affine = find(graph, "affine");
    fuse_soundly(graph, behind_menu);
    CHECK(count(graph, "affine") == 0);
    const Operation &fold = find(graph, "conv2d_fold");
    CHECK(graph.values[fold.inputs["weights"]].name == "conv2d_1/kernel");
    CHECK(graph.values[fold.inputs["bias"]].name == "conv2d_1/bias");
    for (const char *name : {"scale", "shift"}) CHECK(fold.inputs[name] == operands(affine, "output")[name]);
    const Operation &weights = reader(graph, fold.outputs["folded_weights"], "winograd_weights");
    const Operation &folded = reader(graph, affine.inputs["input"], "conv2d_fwd");
    CHECK(folded.inputs == Operands{{"input", affine.inputs["input"]},
                                    {"weights", weights.outputs["transformed_weights"]},
                                    {"bias", fold.outputs["folded_bias"]}});

    // Between two batch norms a convolution takes both, the one behind it first.
    const std::string linear = convolution("linear", 4, "valid");
    Graph both = inference_graph(valid + ", " + batch_norm + ", " + linear + ", " + batch_norm);
    fuse_soundly(both, behind_menu);
    CHECK(find(both, "conv2d_fold").inputs["weights"] == find(both, "conv2d_fold_output").outputs["folded_weights"]);
    CHECK(find(both, "conv2d_fold").inputs["bias"] == find(both, "conv2d_fold_output").outputs["folded_bias"]);
    CHECK(&find(both, "conv2d_fold_output") < &find(both, "conv2d_fold"));
    CHECK(count(both, "affine") == 0);

    Graph apart = inference_graph(valid + ", " + batch_norm + ", " + conv_relu);
    fuse_soundly(apart);
    CHECK(count(apart, "conv2d_fold") == 0);
    CHECK(count(apart, "conv2d_fwd input[relu, affine] output[relu]") == 1);
}

TEST_CASE("in training a batch norm is folded where weights are few, and its gradient follows from the folded weights'") {
    const std::string valid = convolution("relu", 4, "valid");
    Graph graph = training_graph(valid + ", " + batch_norm + ", " + valid);
    const Operation affine = find(graph, "affine"), stats = find(graph, "batch_norm_bwd_stats"), pass = find(graph, "normgradient"),
                    mask = find(graph, "mask", "conv2d");
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    CHECK(contains(lines(fusions, true),
                   "affine of batch_normalization and conv2d_fwd of conv2d_1 take folded weights, forward and backward"));
    for (const char *gone : {"affine", "batch_norm_bwd_stats"}) CHECK(count(graph, gone) == 0);
    CHECK_FALSE(is_used(graph, affine.outputs["output"]));

    const Operation &fold = find(graph, "conv2d_fold"), &fold_backward = find(graph, "conv2d_fold_bwd");
    const int input = affine.inputs["input"], scale = operands(affine, "output")["scale"], shift = operands(affine, "output")["shift"];
    const int weights = fold.inputs["weights"];
    CHECK(fold.inputs == Operands{{"weights", weights}, {"bias", fold.inputs["bias"]}, {"scale", scale}, {"shift", shift}});
    CHECK(readers(graph, input).size() == 4);  // the statistics, the convolution and two gradients
    const Operation &forward = reader(graph, input, "conv2d_fwd"), &backward_weights = reader(graph, input, "conv2d_bwd_weights");
    CHECK(forward.inputs == Operands{{"input", input}, {"weights", fold.outputs["folded_weights"]}, {"bias", fold.outputs["folded_bias"]}});
    CHECK(fold_backward.inputs == Operands{{"weights", weights},
                                           {"scale", scale},
                                           {"shift", shift},
                                           {"mean", stats.inputs["mean"]},
                                           {"inv_std", stats.inputs["inv_std"]},
                                           {"d_folded_weights", backward_weights.outputs["d_weights"]},
                                           {"d_bias", backward_weights.outputs["d_bias"]}});
    CHECK(graph.values[fold_backward.outputs["d_weights"]].name == "d conv2d_1/kernel");
    for (const char *name : {"d_gamma", "d_beta"}) CHECK(fold_backward.outputs[name] == stats.outputs[name]);
    CHECK(&backward_weights < &fold_backward);

    // The gradient of the data takes the rest, and waits for the sums.
    const Operation &backward_data = find(graph, "conv2d_bwd_data d_input[normgradient, mask]");
    CHECK(&fold_backward < &backward_data);
    CHECK(backward_data.chain("d_input") == AppliedChain{pass.chain("output").front(), mask.chain("output").front()});
    CHECK(backward_data.outputs["d_input"] == mask.outputs["output"]);
    CHECK(backward_data.inputs["weights"] == weights);

    SECTION("not where weights are many") {
        Graph apart = training_graph(valid + ", " + batch_norm + ", " + convolution("relu", 64, "valid"));
        CHECK(contains(lines(fuse_soundly(apart), false),
                       "affine of batch_normalization and conv2d_fwd of conv2d_1 stay apart: the weights are many beside the input"));
        CHECK(count(apart, "batch_norm_bwd_stats") == 1);
    }
    SECTION("not where the convolution is padded, or others read the batch norm") {
        for (Graph apart :
             {training_graph(valid + ", " + batch_norm + ", " + conv_relu),
              training_graph(
                  valid +
                  R"(, {"name": "b", "type": "batch_normalization"}, {"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 1},
                                {"type": "add", "inputs": ["b", "c"]})")}) {
            fuse_soundly(apart);
            CHECK(count(apart, "conv2d_fold") == 0);
            CHECK(count(apart, "batch_norm_bwd_stats") == 1);
        }
    }
}

TEST_CASE("the sums of a batch norm before a pool are of the pool's outputs alone") {
    Graph graph = training_graph(conv_relu + ", " + batch_norm + ", " + padded_pool + ", " + dropout);
    const Operation affine = find(graph, "affine"), pooling = find(graph, "max_pool2d_fwd"), drop = find(graph, "dropout");
    const Operation stats = find(graph, "batch_norm_bwd_stats"), mask = find(graph, "mask"), unpool = find(graph, "max_pool2d_bwd"),
                    pass = find(graph, "normgradient");
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    CHECK(lines(fusions, true) ==
          Calls{"max_pool2d_bwd of max_pooling2d and batch_norm_bwd_stats of batch_normalization need the pool's outputs alone: tuned",
                "dropout of dropout behind max_pool2d_fwd of max_pooling2d: tuned",
                "dropout of dropout behind conv2d_bwd_data of dense: tuned",
                "normgradient of batch_normalization behind max_pool2d_bwd of max_pooling2d: tuned",
                "mask of conv2d behind max_pool2d_bwd of max_pooling2d: tuned",
                "affine of batch_normalization before max_pool2d_fwd of max_pooling2d: tuned, max_pool2d_bwd of max_pooling2d: tuned"});
    for (int value : {affine.outputs["output"], pooling.outputs["output"], unpool.outputs["d_input"]}) CHECK_FALSE(is_used(graph, value));

    const int input = affine.inputs["input"];
    const Operation &forward = find(graph, "max_pool2d_fwd input[affine] output[dropout]");
    CHECK(forward.inputs["input"] == input);
    CHECK(forward.chain("input") == affine.chain("output"));
    CHECK(operands(forward, "output")["step"] == operands(drop, "output")["step"]);
    CHECK(forward.outputs == drop.outputs);

    const int d_pooled = find(graph, "conv2d_bwd_data d_input[dropout]").outputs["d_input"];
    const Operation &backward_stats = find(graph, "batch_norm_pool_bwd_stats input[affine]");
    CHECK(backward_stats.inputs ==
          Operands{{"d_output", d_pooled}, {"input", input}, {"mean", stats.inputs["mean"]}, {"inv_std", stats.inputs["inv_std"]}});
    CHECK(backward_stats.chain("input") == affine.chain("output"));
    CHECK(backward_stats.outputs == stats.outputs);

    const Operation &data = find(graph, "max_pool2d_bwd input[affine] d_input[normgradient, mask]");
    CHECK(data.inputs == Operands{{"d_output", d_pooled}, {"input", input}});
    CHECK(data.chain("d_input") == AppliedChain{pass.chain("output").front(), mask.chain("output").front()});
    CHECK(graph.values[operands(data, "d_input")["gamma"]].name == "batch_normalization/gamma");
    CHECK(data.outputs["d_input"] == mask.outputs["output"]);
    // The convolution's output, which all of them read, is one argument.
    CHECK(data.kernel().chain("d_input")[0].same_as == 1);
    CHECK(data.kernel().chain("d_input")[1].same_as == 1);
    for (const Operation *fused : {&forward, &backward_stats, &data}) CHECK(fused->shape == pooling.shape);

    SECTION("not where others read the batch norm") {
        const std::string branching =
            R"({"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3}, {"name": "b", "type": "batch_normalization"},
            {"name": "p", "type": "max_pooling2d", "pool_size": 1}, {"type": "add", "inputs": ["b", "p"]})";
        for (Graph apart : {training_graph(branching), inference_graph(branching)}) {
            fuse_soundly(apart);
            CHECK(count(apart, "batch_norm_pool_bwd_stats") == 0);
            CHECK(count(apart, "affine") + count(apart, "conv2d_fold_output") == 1);
        }
    }
    SECTION("not where a sum was pooled") {
        // The image needs no gradient: the pool's gradient goes to the batch norm alone, whose output is not what was pooled.
        Graph apart =
            training_graph(R"({"name": "c", "type": "conv2d", "filters": 3, "kernel_size": 1}, {"name": "b", "type": "batch_normalization"},
            {"type": "add", "inputs": ["b", "input"]}, )" +
                           padded_pool);
        fuse_soundly(apart, willing_menu);
        CHECK(count(apart, "batch_norm_pool_bwd_stats") == 0);
        CHECK(count(apart, "batch_norm_pool_bwd") == 0);
    }
    SECTION("not where no entry makes them") {
        Graph apart = training_graph(conv_relu + ", " + batch_norm + ", " + padded_pool);
        CHECK(contains(lines(fuse_soundly(apart, behind_menu), false),
                       "max_pool2d_bwd of max_pooling2d and batch_norm_bwd_stats of batch_normalization stay apart: tuned: it reads its "
                       "input again and again"));
        CHECK(count(apart, "normgradient, mask") == 1);
    }
}

TEST_CASE("a ReLU before a dropout is masked by what the dropout made, and what it wrote itself is not kept") {
    Graph graph = training_graph(conv_relu + ", " + conv_relu + ", " + dropout);
    const Operation drop = find(graph, "dropout"), relu_pass = find(graph, "relu", "conv2d_1"), mask = find(graph, "mask", "conv2d_1");
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    CHECK(lines(fusions, true) == Calls{"dropout of dropout and mask of conv2d_1 are one pass by what the dropout made",
                                        "relu of conv2d_1 behind conv2d_fwd of conv2d_1: tuned",
                                        "dropout of dropout behind conv2d_fwd of conv2d_1: tuned",
                                        "kept, mask of conv2d_1 behind conv2d_bwd_data of dense: tuned",
                                        "mask of conv2d behind conv2d_bwd_data of conv2d_1: tuned"});
    const Operation &fused = find(graph, "conv2d_bwd_data d_input[kept, mask]");
    CHECK(operands(fused, "d_input", 0) == operands(drop, "output"));
    CHECK(fused.chain("d_input")[0].number == drop.chain("output").front().number);
    CHECK(operands(fused, "d_input", 1)["of"] == drop.outputs["output"]);
    CHECK(fused.outputs["d_input"] == mask.outputs["output"]);
    CHECK(find(graph, "conv2d_fwd output[relu, dropout]").outputs["output"] == drop.outputs["output"]);
    CHECK_FALSE(is_used(graph, relu_pass.outputs["output"]));

    SECTION("by the dropout's own number") {
        Graph two = training_graph(conv_relu + ", " + dropout + ", " + conv_relu + ", " + dropout);
        fuse_soundly(two, reference_menu);
        const std::vector<Operation> kept = find_all(two, "kept, mask");
        REQUIRE(kept.size() == 2);
        CHECK(kept[0].chain("output")[0].number == 1);
        CHECK(kept[1].chain("output")[0].number == 0);
    }
    SECTION("a spatial one too") {
        Graph spatial = training_graph(conv_relu + ", " + conv_relu + R"(, {"type": "spatial_dropout2d"})");
        fuse_soundly(spatial);
        CHECK(count(spatial, "conv2d_bwd_data d_input[kept, mask]") == 1);
        CHECK(count(spatial, "conv2d_fwd output[relu, spatialdropout]") == 1);
    }
    SECTION("not where anything lies between, or others read the ReLU") {
        for (
            const std::string &layers :
            {conv_relu + ", " + batch_norm + ", " + dropout,
             std::string(
                 R"({"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3, "activation": "relu"}, {"name": "d", "type": "dropout"}, {"type": "add", "inputs": ["c", "d"]})")}) {
            Graph apart = training_graph(layers);
            fuse_soundly(apart, reference_menu);
            CHECK(count(apart, "kept, mask") == 0);
            CHECK(count(apart, "dropout") == 2);
        }
    }
}

// Pairs

TEST_CASE("in inference a convolution normalises and pools what it computes") {
    const std::string layers = conv_relu + ", " + conv_relu + ", " + batch_norm + ", " + padded_pool;
    Graph graph = inference_graph(layers);
    const Operation affine = find(graph, "affine"), pooling = find(graph, "max_pool2d_fwd");
    fuse_soundly(graph);
    const Operation &fused = find(graph, "conv2d_pool_fwd");
    CHECK(name_of(fused) == "conv2d_pool_fwd input[relu] convolution[relu, affine]");
    CHECK(operands(fused, "convolution", 1) == operands(affine, "output"));
    CHECK(fused.outputs == pooling.outputs);
    CHECK(fused.shape.pool() == pooling.shape);
    CHECK_FALSE(is_used(graph, affine.inputs["input"]));

    Graph training = training_graph(layers);
    fuse_soundly(training);
    CHECK(count(training, "conv2d_pool_fwd") == 0);
}

TEST_CASE("a convolution whose output is also added before the pool stays apart from it") {
    // The pool makes its input of the batch norm's and adds the convolution's output: that is not its input.
    Graph graph = inference_graph(
        R"({"name": "s", "type": "conv2d", "filters": 4, "kernel_size": 3, "padding": "same"}, {"name": "r", "type": "relu"}, {"name": "b", "type": "batch_normalization"},
        {"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3, "padding": "same", "inputs": ["r"]},
        {"name": "a", "type": "add", "inputs": ["b", "c"]}, {"name": "p", "type": "max_pooling2d", "inputs": ["a"]},
        {"name": "q", "type": "max_pooling2d", "inputs": ["r"]}, {"type": "add", "inputs": ["p", "q"]})");
    fuse_soundly(graph, willing_menu);
    CHECK(count(graph, "conv2d_pool_fwd") == 0);
    CHECK(count(graph, "max_pool2d_fwd") == 2);
}

TEST_CASE("weights are transformed once where they stay the same and tiles take them") {
    const Model model = cifar10();
    const auto tiles = [](Graph graph, const PlanOptions &options) {
        fuse(graph, x86_avx2(), options);
        std::vector<int> found;
        for (const Operation &operation : find_all(graph, "winograd_weights")) found.push_back(operation.shape.tile);
        return found;
    };
    const Slabs slabs = lay_out_slabs(model);
    CHECK(tiles(lower_inference(model, slabs), {}) == std::vector<int>{4, 4, 4, 2});
    // A single image has too few tiles of 4x4 in the late layers, and too few of 2x2 in the last.
    CHECK(tiles(lower_inference(model, slabs, 1), {}) == std::vector<int>{4, 4, 2});
    CHECK(tiles(lower_training(model, slabs), {}).empty());
    CHECK(tiles(lower_inference(model, slabs), {.sets = {}, .without = {"winograd"}}).empty());
    CHECK(tiles(lower_inference(model, slabs), {.sets = {}, .without = {"winograd_f4"}}) == std::vector<int>{2, 2, 2, 2});
}

TEST_CASE("the first layer's weights take the gradient of its outputs from the pass that makes it") {
    const std::string block = conv_relu + ", " + batch_norm + ", " + padded_pool;
    Graph graph = training_graph(block + ", " + block);
    const Operation forward = find(graph, "conv2d_fwd"), affine = find(graph, "affine"), pooling = find(graph, "max_pool2d_fwd");
    const Operation weights = reader(graph, forward.inputs["input"], "conv2d_bwd_weights");
    fuse_soundly(graph, menu);
    CHECK(count(graph, "max_pool2d_bwd input[affine] d_input[normgradient, mask]") ==
          1);                                        // the second layer's, which its data gradient reads as well
    CHECK(count(graph, "conv2d_bwd_weights") == 2);  // of the second layer and the dense one

    const Operation &fused = find(graph, "conv2d_pool_bwd_weights convolution[affine] d_convolution[normgradient, mask]");
    const Operation &stats = reader(graph, affine.inputs["input"], "batch_norm_pool_bwd_stats");
    CHECK(fused.inputs ==
          Operands{{"input", forward.inputs["input"]}, {"d_output", stats.inputs["d_output"]}, {"convolution", affine.inputs["input"]}});
    CHECK(fused.chain("convolution") == affine.chain("output"));
    CHECK(graph.values[operands(fused, "d_convolution")["gamma"]].name == "batch_normalization/gamma");
    CHECK(operands(fused, "d_convolution")["d_gamma"] == stats.outputs["d_gamma"]);
    CHECK(operands(fused, "d_convolution", 1)["of"] == affine.inputs["input"]);
    CHECK(fused.outputs == weights.outputs);
    CHECK(fused.shape.pool() == pooling.shape);
    CHECK_FALSE(is_used(graph, weights.inputs["d_output"]));
}

TEST_CASE("the loss and its gradient are one call where a device trains, with the logits where a block makes all classes") {
    struct Expected {
        const char *set;
        int classes, with_logits, together;
    };
    for (const Expected &expected : {Expected{"cuda", 10, 1, 0}, {"cuda", 255, 0, 1}, {"x86_avx2", 10, 0, 0}}) {
        CAPTURE(expected.set, expected.classes);
        const Model model = make_model(
            fmt::format(R"({{"type": "flatten"}}, {{"type": "dense", "units": {}, "activation": "softmax"}})", expected.classes));
        Graph training = lower_training(model, lay_out_slabs(model));
        const Operation logits = find(training, "conv2d_fwd"), loss = find(training, "softmax_cross_entropy_fwd"),
                        gradient = find(training, "onehotgradient");
        fuse_soundly(training, menu, select_sets({expected.set}).front());
        CHECK(count(training, "conv2d_softmax_cross_entropy") == expected.with_logits);
        CHECK(count(training, "softmax_cross_entropy") == expected.together);
        CHECK(count(training, "onehotgradient") == 1 - expected.with_logits - expected.together);
        if (expected.with_logits + expected.together == 0) continue;
        const Operation &fused = find(training, expected.with_logits ? "conv2d_softmax_cross_entropy" : "softmax_cross_entropy");
        Operands inputs = expected.with_logits ? logits.inputs : Operands{{"logits", logits.outputs["output"]}};
        for (const char *name : {"labels", "indices", "step"}) inputs.insert(name, operands(gradient, "output")[name]);
        CHECK(fused.inputs == inputs);
        Operands outputs = loss.outputs;
        outputs.insert("d_logits", gradient.outputs["output"]);
        CHECK(fused.outputs == outputs);
    }
}

TEST_CASE("where a device trains, a batch norm of few pixels makes its statistics in the pass that wants them, forward and backward") {
    const Model model = cifar10();
    for (const auto &[set, together] : {std::pair{"cuda", 1}, {"x86_avx2", 0}}) {
        CAPTURE(set);
        Graph graph = lower_training(model, lay_out_slabs(model));
        const std::vector<Operation> stats = find_all(graph, "batch_norm_stats");
        REQUIRE(stats.size() == 5);  // the last two of 4x4 and 2x2 pixels
        const Operation last_pool = find(graph, "max_pool2d_fwd", "max_pooling2d_2");
        fuse_soundly(graph, menu, select_sets({set}).front());
        for (const char *name : {"batch_norm_stats_fwd", "batch_norm_stats_pool_fwd output[dropout]", "batch_norm_bwd d_input[mask]",
                                 "batch_norm_pool_bwd input[affine] d_input[mask]"}) {
            CAPTURE(name);
            CHECK(count(graph, name) == together);
        }
        CHECK(count(graph, "batch_norm_stats") == 5 - 2 * together);
        if (!together) continue;

        const Operation &pooled = find(graph, "batch_norm_stats_pool_fwd"), &backward = find(graph, "batch_norm_pool_bwd");
        Operands outputs = stats[4].outputs;
        outputs.insert("output", pooled.outputs["output"]);
        CHECK(pooled.inputs == stats[4].inputs);
        CHECK(pooled.outputs == outputs);
        CHECK(graph.values[operands(pooled, "output")["step"]].name == "step");
        CHECK(readers(graph, pooled.outputs["output"]).size() == 2);  // the dense layer, forward and for its weights
        Shape shape = last_pool.shape;
        shape.epsilon = stats[4].shape.epsilon, shape.momentum = stats[4].shape.momentum;
        CHECK(pooled.shape == shape);

        Operands backward_inputs = {{"d_output", find(graph, "conv2d_bwd_data d_input[dropout]").outputs["d_input"]}};
        for (const char *name : {"input", "gamma"}) backward_inputs.insert(name, stats[4].inputs[name]);
        for (const char *name : {"mean", "inv_std"}) backward_inputs.insert(name, stats[4].outputs[name]);
        CHECK(backward.inputs == backward_inputs);
        for (const char *name : {"scale", "shift"}) CHECK(operands(backward, "input")[name] == stats[4].outputs[name]);
        CHECK(operands(backward, "d_input")["of"] == stats[4].inputs["input"]);
        CHECK(graph.values[backward.outputs["d_gamma"]].name == "d batch_normalization_4/gamma");
        CHECK(graph.values[backward.outputs["d_beta"]].name == "d batch_normalization_4/beta");
    }
}

TEST_CASE("statistics and their pass stay apart where another call stands between") {
    // The second batch norm's statistics come between the first's and its pass, which is part of the sum.
    const std::string layers =
        R"({"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3}, {"name": "a", "type": "batch_normalization"},
        {"name": "b", "type": "batch_normalization", "inputs": ["c"]}, {"type": "add", "inputs": ["a", "b"]})";
    const Calls calls = fused_calls(training_graph(layers), willing_menu);
    for (const char *call : {"a: batch_norm_stats", "b: batch_norm_stats_fwd", "a: affine, add"}) {
        CAPTURE(call);
        CHECK(contains(calls, call));
    }
}

TEST_CASE("what tuned entries refuse stays apart, forward and backward") {
    Graph graph = training_graph(convolution("linear", 3) + ", " + batch_norm + ", " + padded_pool + ", " + dropout);
    const Calls before = calls_of(graph);
    const std::vector<Fusion> fusions = fuse_soundly(graph);
    CHECK(calls_of(graph) == before);
    CHECK(lines(fusions, true).empty());
    const std::vector<std::string> refused = lines(fusions, false);
    for (const char *line :
         {"max_pool2d_bwd of max_pooling2d and batch_norm_bwd_stats of batch_normalization stay apart: tuned: 3 channels",
          "softmax_cross_entropy_fwd of loss and onehotgradient of loss stay apart: tuned: 3 channels",
          "batch_norm_stats of batch_normalization and affine of batch_normalization stay apart: no tuned entry",
          "batch_norm_bwd_stats of batch_normalization and normgradient of batch_normalization stay apart: no tuned entry"}) {
        CAPTURE(line);
        CHECK(contains(refused, line));
    }

    // The menu itself: a pool whose windows overlap has no tuned gradient by windows, but one by channels that takes the chain.
    Graph overlapping = training_graph(conv_relu + ", " + batch_norm + R"(, {"type": "max_pooling2d", "pool_size": 3, "strides": 2})");
    CHECK(contains(lines(fuse_soundly(overlapping, menu), false),
                   "max_pool2d_bwd of max_pooling2d and conv2d_bwd_weights of conv2d stay apart: rows: the windows overlap; autoscheduled: "
                   "the set has no autoscheduler"));
}

TEST_CASE("every pass that is left alone is listed with its bytes and why") {
    for (const std::string &layers : {conv_relu + ", " + batch_norm + ", " + padded_pool + ", " + dropout,
                                      padded_conv + ", " + batch_norm + ", " + relu + ", " + padded_conv}) {
        for (const Menu entries : {tuned_menu, behind_menu, reference_menu, menu}) {
            Graph graph = training_graph(layers);
            const std::vector<Fusion> fusions = fuse_soundly(graph, entries);
            for (const Operation &pass : find_all(graph, "pointwise")) {
                const std::string line = line_of_pass(fusions, name_of(pass) + " of " + pass.layer);
                CAPTURE(name_of(pass), pass.layer, line);
                CHECK(contains(line, " and moves "));
                CHECK(contains(line, " bytes an image. "));
                CHECK((contains(line, "behind ") || contains(line, "nothing here makes its input")));
                CHECK((contains(line, "; before ") || line.ends_with("its output is read outside")));
            }
        }
    }
    const Model model = cifar10();
    const PlanOptions options{.sets = {x86_avx2()}};
    const std::string text = explain(model, make_plan(model, options), options);
    CHECK(contains(
        text, "  not    gradients: dropout of dropout stands alone and moves 57600 bytes an image. behind conv2d_bwd_data of conv2d_1: "));
}

// Whole cases, by the entries of x86_avx2

TEST_CASE("the shipped network's blocks: convolution, ReLU, batch norm, pool, dropout") {
    const std::string valid = convolution("relu", 8, "valid");
    const std::string layers = valid + ", " + batch_norm + R"(, {"type": "max_pooling2d"}, )" + dropout + ", " + valid + ", " + batch_norm;
    CHECK(fused_calls(training_graph(layers), menu) ==
          Calls{"conv2d: conv2d_fwd output[relu]", "batch_normalization: batch_norm_stats",
                "max_pooling2d: max_pool2d_fwd input[affine] output[dropout]", "conv2d_1: conv2d_fwd output[relu]",
                "batch_normalization_1: batch_norm_stats", "dense: conv2d_fold", "dense: conv2d_fwd", "loss: softmax_cross_entropy_fwd",
                "loss: onehotgradient", "dense: conv2d_bwd_weights", "dense: conv2d_fold_bwd",
                "dense: conv2d_bwd_data d_input[normgradient, mask]", "conv2d_1: conv2d_bwd_weights", "conv2d_1: conv2d_bwd_data",
                "dropout: dropout", "batch_normalization: batch_norm_pool_bwd_stats input[affine]",
                "conv2d: conv2d_pool_bwd_weights convolution[affine] d_convolution[normgradient, mask]"});
    CHECK(fused_calls(inference_graph(layers), menu) ==
          Calls{"batch_normalization: batch_norm_fold", "conv2d: conv2d_pool_fwd convolution[relu, affine]",
                "conv2d_1: conv2d_fwd output[relu]", "batch_normalization_1: batch_norm_fold", "dense: conv2d_fold", "dense: conv2d_fwd",
                "loss: softmax_cross_entropy_fwd"});
}

TEST_CASE("convolution, batch norm, ReLU") {
    const std::string layers = padded_conv + ", " + batch_norm + ", " + relu + ", " + padded_conv + ", " + batch_norm + ", " + relu;
    CHECK(fused_calls(training_graph(layers), menu) ==
          Calls{"conv2d: conv2d_fwd", "batch_normalization: batch_norm_stats", "batch_normalization: affine, relu", "conv2d_1: conv2d_fwd",
                "batch_normalization_1: batch_norm_stats", "batch_normalization_1: affine, relu", "dense: conv2d_fwd",
                "loss: softmax_cross_entropy_fwd", "loss: onehotgradient", "dense: conv2d_bwd_weights",
                "dense: conv2d_bwd_data d_input[mask]", "batch_normalization_1: batch_norm_bwd_stats",
                "batch_normalization_1: normgradient", "conv2d_1: conv2d_bwd_weights", "conv2d_1: conv2d_bwd_data d_input[mask]",
                "batch_normalization: batch_norm_bwd_stats", "batch_normalization: normgradient", "conv2d: conv2d_bwd_weights"});
    CHECK(fused_calls(inference_graph(layers), menu) == Calls{"batch_normalization: batch_norm_fold", "conv2d: conv2d_fold_output",
                                                              "conv2d: conv2d_fwd output[relu]", "batch_normalization_1: batch_norm_fold",
                                                              "conv2d_1: conv2d_fold_output", "conv2d_1: conv2d_fwd output[relu]",
                                                              "dense: conv2d_fwd", "loss: softmax_cross_entropy_fwd"});
}

TEST_CASE("convolution, batch norm, ReLU, pool") {
    const std::string layers = padded_conv + ", " + batch_norm + ", " + relu + ", " + padded_pool + ", " + padded_conv + ", " + batch_norm +
                               ", " + relu + ", " + padded_pool;
    CHECK(fused_calls(training_graph(layers), menu) ==
          Calls{"conv2d: conv2d_fwd", "batch_normalization: batch_norm_stats", "max_pooling2d: max_pool2d_fwd input[affine] output[relu]",
                "conv2d_1: conv2d_fwd", "batch_normalization_1: batch_norm_stats",
                "max_pooling2d_1: max_pool2d_fwd input[affine] output[relu]", "dense: conv2d_fwd", "loss: softmax_cross_entropy_fwd",
                "loss: onehotgradient", "dense: conv2d_bwd_weights", "dense: conv2d_bwd_data d_input[mask]",
                "batch_normalization_1: batch_norm_pool_bwd_stats input[affine]",
                "max_pooling2d_1: max_pool2d_bwd input[affine] d_input[normgradient]", "conv2d_1: conv2d_bwd_weights",
                "conv2d_1: conv2d_bwd_data d_input[mask]", "batch_normalization: batch_norm_pool_bwd_stats input[affine]",
                "conv2d: conv2d_pool_bwd_weights convolution[affine] d_convolution[normgradient]"});
    CHECK(fused_calls(inference_graph(layers), menu) ==
          Calls{"batch_normalization: batch_norm_fold", "conv2d: conv2d_fold_output", "conv2d: conv2d_pool_fwd convolution[relu]",
                "batch_normalization_1: batch_norm_fold", "conv2d_1: conv2d_fold_output", "conv2d_1: conv2d_pool_fwd convolution[relu]",
                "dense: conv2d_fwd", "loss: softmax_cross_entropy_fwd"});
}

TEST_CASE("a block of a residual network") {
    const std::string sixteen = R"("type": "conv2d", "filters": 16, "kernel_size": 3, "padding": "same")";
    const std::string layers = fmt::format(
        R"({{"name": "stem", {0}, "activation": "relu"}}, {{"name": "c1", {0}}}, {{"name": "b1", "type": "batch_normalization"}},
        {{"name": "r1", "type": "relu"}}, {{"name": "c2", {0}}}, {{"name": "b2", "type": "batch_normalization"}},
        {{"name": "sum", "type": "add", "inputs": ["b2", "stem"]}}, {{"name": "r2", "type": "relu"}})",
        sixteen);
    CHECK(fused_calls(training_graph(layers), menu) == Calls{"stem: conv2d_fwd output[relu]",
                                                             "c1: conv2d_fwd",
                                                             "b1: batch_norm_stats",
                                                             "c2: conv2d_fwd input[affine, relu]",
                                                             "b2: batch_norm_stats",
                                                             "b2: affine, add, relu",
                                                             "dense: conv2d_fwd",
                                                             "loss: softmax_cross_entropy_fwd",
                                                             "loss: onehotgradient",
                                                             "dense: conv2d_bwd_weights",
                                                             "dense: conv2d_bwd_data d_input[mask]",
                                                             "b2: batch_norm_bwd_stats",
                                                             "b2: normgradient",
                                                             "c2: conv2d_bwd_weights input[affine, relu]",
                                                             "c2: conv2d_bwd_data d_input[affinemask]",
                                                             "b1: batch_norm_bwd_stats",
                                                             "b1: normgradient",
                                                             "c1: conv2d_bwd_weights",
                                                             "c1: conv2d_bwd_data d_input[add, mask]",
                                                             "stem: conv2d_bwd_weights"});
    CHECK(fused_calls(inference_graph(layers), menu) ==
          Calls{"stem: conv2d_fwd output[relu]", "b1: batch_norm_fold", "c1: conv2d_fold_output", "c1: winograd_weights",
                "c1: conv2d_fwd output[relu]", "b2: batch_norm_fold", "c2: conv2d_fold_output", "c2: winograd_weights",
                "c2: conv2d_fwd output[add, relu]", "dense: conv2d_fwd", "loss: softmax_cross_entropy_fwd"});
}

// Properties

TEST_CASE("fused programs of random networks read what is written, write what they must, and nothing else", "[exhaustive]") {
    std::mt19937 random(11);
    int fewer = 0;
    const auto check = [&](const Model &model) {
        for (const Graph &lowered : lower_programs(model, lay_out_slabs(model)))
            for (const Menu entries : {tuned_menu, behind_menu, willing_menu, menu})
                for (const char *set : {"x86_avx512", "cuda", "li2018", "adams2019"}) {
                    if (entries != static_cast<Menu>(menu) && set != std::string("cuda")) continue;
                    Graph graph = lowered;
                    CAPTURE(lowered.name, set);
                    const std::vector<Fusion> fusions = fuse_soundly(graph, entries, select_sets({set}).front());
                    fewer += graph.operations.size() < lowered.operations.size();
                    for (const Operation &call : graph.operations)
                        for (const auto &[place, chain] : call.chains) CHECK((chain.size() <= 6 && !chain.empty()));
                    // A pass that is left alone has been asked for by each of its neighbours.
                    CHECK(count(graph, "pointwise") <= int(lines(fusions, false).size()));
                }
    };
    for (int round = 0; round < 60; ++round) {
        CAPTURE(round);
        Model model = random_model(random, 1 + round % 20);
        check(model);
        for (std::size_t i = 0; i + 1 < model.layers.size(); ++i) model.layers[i]->trainable = random() % 2;
        check(model);
    }
    int chains = 0;
    for (int round = 0; round < 120; ++round) {
        const std::string text = random_chain(random, 3 + round % 10, {1, 2, 3, 4, 8, 16});
        std::optional<Model> model;
        if (!failure_of([&] { model = parse_model(text, "t.json"); }).empty()) continue;
        CAPTURE(text);
        check(*model);
        ++chains;
    }
    CHECK(chains > 40);
    CHECK(fewer > 1000);
}

TEST_CASE("an activation costs no pass behind a convolution, nor does its gradient, which has the same constants") {
    const Model model = load_model(HALCYON_SOURCE_DIR "/tests/kernels/activations.json");
    const Plan plan = make_plan(model, {.sets = select_sets({"x86_avx2"})});
    std::set<std::string> works;
    for (const CompiledKernel &compiled : plan.sets[0].kernels) works.insert(work_name(compiled.kernel));
    for (const char *work :
         {"conv2d_fwd__tanh", "conv2d_bwd_data__tanhgradient", "conv2d_fwd__leakyreluv0p2", "conv2d_bwd_data__leakymaskv0p2",
          "conv2d_fwd__boundedreluv2v0p25v0p5", "conv2d_bwd_data__boundedmaskv2v0p25v0p5", "conv2d_bwd_data__gelugradient"})
        CHECK(works.contains(work));
}
