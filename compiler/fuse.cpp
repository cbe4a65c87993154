#include "compiler/fuse.h"

#include "compiler/planner.h"
#include "plan/traffic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

namespace halcyon {
namespace {

/// What the menu says of a call: the tuned entry that serves it, or why each of them does not.
struct Verdict {
    bool taken = false;
    std::string line;
};

/// A chain's operands are arguments of the kernel, which stay few.
constexpr std::size_t most_links = 6;

bool is_pointwise(const Operation &operation) { return operation.core == "pointwise"; }

/// Whether a chain adds and subtracts one value: Halide makes x of x - y + y, and a y that is no number would be hidden.
bool cancels(const Operation &operation) {
    for (const auto &[place, chain] : operation.chains) {
        std::vector<int> added, subtracted;
        const std::string start = is_pointwise(operation) ? "input" : place;
        if (operation.inputs.contains(start)) added.push_back(operation.inputs[start]);
        for (const AppliedLink &link : chain) {
            if (link.row == "add")
                added.push_back(link.operands["addend"]);
            else if (link.row == "subtract")
                subtracted.push_back(link.operands["subtrahend"]);
            else if (link.row == "times" && link.constants.front() == -1)
                std::swap(added, subtracted);
            else
                added.clear(), subtracted.clear();
            if (std::ranges::find_first_of(added, subtracted) != added.end()) return true;
        }
    }
    return false;
}

/// What rules work on. Who reads and writes a value is found without a search through all calls, of which a deep network has thousands. A
/// call that goes leaves a gap, which has no core, and one that comes waits, so that the others keep their places until tidy().
class Fusing {
public:
    Graph &graph;
    const Set &set;
    const PlanOptions &options;

    Fusing(Graph &graph, const Set &set, const PlanOptions &options) : graph(graph), set(set), options(options) { find_users(); }

    const Operation &at(int i) const { return graph.operations[i]; }

    /// The call at `i`, to be changed before the next question of who reads or writes a value.
    Operation &change(int i) {
        changed_.push_back(i);
        return graph.operations[i];
    }

    void erase(int i) { change(i) = {}; }
    void add_before(int i, Operation operation) { added_.emplace_back(i, std::move(operation)); }

    /// Puts in what was added, and closes the gaps.
    void tidy() {
        std::ranges::stable_sort(added_, {}, &std::pair<int, Operation>::first);
        std::vector<Operation> tidied;
        auto next = added_.begin();
        for (int i = 0; i < int(graph.operations.size()); ++i) {
            for (; next != added_.end() && next->first == i; ++next) tidied.push_back(std::move(next->second));
            if (!at(i).core.empty()) tidied.push_back(std::move(graph.operations[i]));
        }
        graph.operations = std::move(tidied);
        added_.clear();
        find_users();
    }

    /// The operations that read `value`, in order.
    std::vector<int> readers(int value) {
        note_changes();
        std::vector<int> found;
        for (const int i : readers_[value])
            if (at(i).reads(value)) found.push_back(i);
        std::ranges::sort(found);
        found.erase(std::unique(found.begin(), found.end()), found.end());  // clang 14 does not compile the ranges's
        return found;
    }

    /// The operation that writes `value`; weights, and what the runtime binds to be read, have none.
    std::optional<int> writer(int value) {
        note_changes();
        const int i = writers_[value];
        return i >= 0 && at(i).outputs.holds(value) ? std::optional(i) : std::nullopt;
    }

    Verdict ask(const Operation &operation) const {
        const auto is_long = [](const auto &chain) { return chain.second.size() > most_links; };
        if (std::ranges::any_of(operation.chains, is_long)) return {false, fmt::format("a chain has at most {} links", most_links)};
        if (cancels(operation)) return {false, "a chain would add and subtract one value"};
        std::vector<std::string> refusals;
        const Kernel kernel = operation.kernel();
        for (const Entry &entry : options.menu(kernel.core)) {
            if (is_reference(entry.name)) continue;
            const std::string reason = refusal(entry, kernel, set, options);
            if (reason.empty()) return with_name(kernel, entry);
            refusals.push_back(entry.name + ": " + reason);
        }
        if (refusals.empty()) return {false, "no tuned entry"};
        return {false, fmt::format("{}", fmt::join(refusals, "; "))};
    }

    /// The same for a call that would take a pass: no worse an entry than it has without may serve it.
    Verdict ask_instead_of(const Operation &without, const Operation &with) const {
        const Verdict now = ask(without);
        Verdict then = ask(with);
        const auto place = [&](const Verdict &verdict) { return std::ranges::find(options.menu(with.core), verdict.line, &Entry::name); };
        if (!now.taken || !then.taken || place(then) <= place(now)) return then;
        return {false, fmt::format("it would be made by {} instead of {}", then.line, now.line)};
    }

    /// The one operation that reads `value`, once and as its core's input, if it is of `core`. What the runtime reads nobody may take.
    std::optional<int> only_reader(int value, std::string_view core) {
        const std::vector<int> of_value = readers(value);
        if (of_value.size() != 1 || !is_between(value)) return {};
        const Operation &reader = at(of_value[0]);
        const bool reads_once = reader.inputs.holds(value) && std::ranges::count(reader.values_read(), value) == 1;
        return reader.core == core && reads_once ? std::optional(of_value[0]) : std::nullopt;
    }

    bool is_between(int value) const {
        return graph.values[value].home == Home::arena_batch || graph.values[value].home == Home::arena_fixed;
    }

private:
    /// The entry is taken, unless no file can be named after its symbol.
    Verdict with_name(const Kernel &kernel, const Entry &entry) const {
        const std::size_t length = symbol_name(graph.model, kernel, set.name, entry.name).size();
        if (length <= longest_symbol) return {true, entry.name};
        return {false, fmt::format("{}: its name would have {} characters, more than {}", entry.name, length, longest_symbol)};
    }

    void find_users() {
        readers_.clear();
        writers_.clear();
        changed_.resize(graph.operations.size());
        std::iota(changed_.begin(), changed_.end(), 0);
        note_changes();
    }

    void note_changes() {
        readers_.resize(graph.values.size());
        writers_.resize(graph.values.size(), -1);
        for (const int i : changed_) {
            for (const int value : at(i).values_read()) readers_[value].push_back(i);
            for (const Operand &output : at(i).outputs) writers_[output.value] = i;
        }
        changed_.clear();
    }

    // By value: the calls that read it or once did, and the last that came to write it.
    std::vector<std::vector<int>> readers_;
    std::vector<int> writers_;

    std::vector<int> changed_;                      // and not noted yet
    std::vector<std::pair<int, Operation>> added_;  // each before that place
};

/// Whether it applies the rows and no others.
bool applies(const Operation &operation, const std::vector<std::string> &rows) {
    return is_pointwise(operation) && std::ranges::equal(operation.chain("output"), rows, {}, &AppliedLink::row);
}

/// "conv2d_fwd of conv2d", "affine, relu of batch_normalization".
std::string call_of(const Operation &operation) {
    if (!is_pointwise(operation)) return fmt::format("{} of {}", operation.core, operation.layer);
    std::vector<std::string> rows;
    for (const AppliedLink &link : operation.chain("output")) rows.push_back(link.row);
    return fmt::format("{} of {}", fmt::join(rows, ", "), operation.layer);
}

/// `first` and then `second`.
AppliedChain joined(AppliedChain first, const AppliedChain &second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

/// Gives `operation` a chain, unless it is empty.
void set_chain(Operation &operation, const std::string &place, AppliedChain chain) {
    if (chain.empty())
        operation.chains.erase(place);
    else
        operation.chains[place] = std::move(chain);
}

/// Makes the call at `at`, and `other`, which goes, the one call `merged`, if a tuned entry does it.
Fusion merge(Fusing &f, int at, int other, Operation merged) {
    const std::string both = fmt::format("{} and {}", call_of(f.at(std::min(at, other))), call_of(f.at(std::max(at, other))));
    const Verdict tuned = f.ask(merged);
    if (!tuned.taken) return {false, fmt::format("{} stay apart: {}", both, tuned.line)};
    f.change(at) = std::move(merged);
    f.erase(other);
    return {true, fmt::format("{} are one call: {}", both, tuned.line)};
}

// Rewrites: what changes the algebra.

/// Zeros around the input of one convolution, as many as its window reaches into, are that convolution's padding.
std::optional<Fusion> zeros_into_convolution(Fusing &f, int at) {
    const Shape zeros = f.at(at).shape;
    if (f.at(at).core != "window_sum2d_fwd" || zeros.kernel_h != 1 || zeros.kernel_w != 1 || !zeros.padded()) return {};
    std::vector<int> convolutions = f.readers(f.at(at).outputs["output"]);
    if (convolutions.empty() || f.at(convolutions[0]).core != "conv2d_fwd" || convolutions.size() > 2) return {};
    std::optional<int> backward;  // takes the zeros' gradient away
    if (convolutions.size() == 2) {
        if (f.at(convolutions[1]).core != "conv2d_bwd_weights") return {};
        for (const int reader : f.readers(f.at(convolutions[1]).inputs["d_output"])) {
            const Operation &data = f.at(reader);
            if (data.core != "conv2d_bwd_data" || data.inputs["weights"] != f.at(convolutions[0]).inputs["weights"]) continue;
            backward = f.only_reader(data.outputs["d_input"], "window_sum2d_bwd");
            if (!backward) return {};
            convolutions.push_back(reader);
        }
    }

    const std::string both = fmt::format("{} and {}", call_of(f.at(at)), call_of(f.at(convolutions[0])));
    std::vector<Operation> merged;
    for (const int i : convolutions) {
        Operation convolution = f.at(i);
        Shape &s = convolution.shape;
        s.in_h = zeros.in_h, s.in_w = zeros.in_w;
        s.pad_top += zeros.pad_top, s.pad_left += zeros.pad_left;
        if (std::max(s.pad_top, s.pad_bottom()) >= s.span_h() || std::max(s.pad_left, s.pad_right()) >= s.span_w())
            return Fusion{false, fmt::format("{} stay apart: a window would hold zeros alone", both)};
        if (convolution.core == "conv2d_bwd_data")
            convolution.outputs = {{"d_input", f.at(*backward).outputs["d_input"]}};
        else
            convolution.inputs.replace("input", f.at(at).inputs["input"]);
        const Verdict tuned = f.ask_instead_of(f.at(i), convolution);
        if (!tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", both, tuned.line)};
        merged.push_back(std::move(convolution));
    }
    for (std::size_t i = 0; i < convolutions.size(); ++i) f.change(convolutions[i]) = std::move(merged[i]);
    f.erase(at);
    if (backward) f.erase(*backward);
    return Fusion{true, fmt::format("{} are one call, with padding", both)};
}

/// A maximum over ReLUs is the ReLU of the maximum, whose gradient the pool passes on: of a window that has nothing positive there is none.
/// Behind a pool a ReLU has fewer values, and the pool and its gradient read what a batch norm made.
std::optional<Fusion> relu_behind_pool(Fusing &f, int at) {
    if (!applies(f.at(at), {"relu"})) return {};
    const int before = f.at(at).inputs["input"], rectified = f.at(at).outputs["output"];
    const std::optional<int> producer = f.writer(before);
    if (!producer || !is_pointwise(f.at(*producer))) return {};
    const std::vector<int> readers = f.readers(rectified);
    if (readers.size() != 3 || f.at(readers[0]).core != "max_pool2d_fwd" || f.at(readers[1]).core != "max_pool2d_bwd" ||
        !applies(f.at(readers[2]), {"mask"}) || f.at(readers[2]).inputs["input"] != f.at(readers[1]).outputs["d_input"])
        return {};
    const int pool = readers[0], pool_backward = readers[1], mask = readers[2];
    const std::string line = fmt::format("{} goes behind {}, which has fewer values", call_of(f.at(at)), call_of(f.at(pool)));

    // The values keep their extents: what the ReLU wrote is now nobody's, and what the pool wrote is the ReLU's.
    const int pooled = f.at(pool).outputs["output"], d_pooled = f.at(pool_backward).inputs["d_output"];
    const auto add_value = [&](int like, const std::string &suffix) {
        Buffer value = f.graph.values[like];
        value.name += suffix;
        f.graph.values.push_back(std::move(value));
        return int(f.graph.values.size()) - 1;
    };
    const int linear = add_value(pooled, " linear"), d_linear = add_value(d_pooled, " linear");
    const Shape &s = f.at(pool).shape;
    Shape outputs;
    outputs.in_h = s.out_h, outputs.in_w = s.out_w, outputs.in_c = s.out_c;
    Operation relu = f.at(at), gradient = f.at(mask);
    relu.shape = gradient.shape = outputs;
    relu.inputs.replace("input", linear), relu.outputs.replace("output", pooled);
    gradient.inputs.replace("input", d_pooled), gradient.outputs.replace("output", d_linear);
    gradient.chains["output"].front().operands.replace("of", pooled);
    Operation forward = f.at(pool), backward = f.at(pool_backward);
    forward.inputs.replace("input", before), forward.outputs.replace("output", linear);
    backward.inputs.replace("d_output", d_linear), backward.inputs.replace("input", before);
    backward.outputs.replace("d_input", f.at(mask).outputs["output"]);
    f.change(at) = std::move(forward), f.change(pool) = std::move(relu);
    f.change(pool_backward) = std::move(gradient), f.change(mask) = std::move(backward);
    return Fusion{true, line};
}

/// A new value that what depends on weights alone writes.
int add_derived_weight(Graph &graph, int like, const std::string &suffix, const std::vector<int> &extents) {
    Buffer value = graph.values[like];
    value.name += suffix;
    value.home = Home::arena_fixed;
    value.offset = 0;
    value.extents = extents;
    value.bytes = std::accumulate(extents.begin(), extents.end(), std::int64_t{4}, std::multiplies<>());
    graph.values.push_back(std::move(value));
    return int(graph.values.size()) - 1;
}

/// The call that makes a convolution's weights and bias take the scale and shift of `affine` upon them.
Operation fold_of(Fusing &f, const std::string &core, const Operation &convolution, const Operation &affine) {
    const Operands &factors = affine.chain("output").front().operands;
    const int weights = convolution.inputs["weights"], bias = convolution.inputs["bias"];
    Operation fold{core, convolution.layer, convolution.shape.of_weights()};
    fold.inputs = {{"weights", weights}, {"bias", bias}, {"scale", factors["scale"]}, {"shift", factors["shift"]}};
    fold.outputs = {{"folded_weights", add_derived_weight(f.graph, weights, " folded", f.graph.values[weights].extents)},
                    {"folded_bias", add_derived_weight(f.graph, bias, " folded", f.graph.values[bias].extents)}};
    return fold;
}

void take_folded(Operation &convolution, const Operation &fold) {
    convolution.inputs.replace("weights", fold.outputs["folded_weights"]);
    convolution.inputs.replace("bias", fold.outputs["folded_bias"]);
}

/// In inference, where weights do not change from run to run: scale * convolution + shift is a convolution with other weights and another
/// bias.
std::optional<Fusion> batch_norm_into_previous_convolution(Fusing &f, int at) {
    if (!f.graph.keeps_weights || f.at(at).core != "conv2d_fwd") return {};
    const std::optional<int> reader = f.only_reader(f.at(at).outputs["output"], "pointwise");
    if (!reader || !applies(f.at(*reader), {"affine"})) return {};
    const std::string both = call_of(f.at(at)) + " and " + call_of(f.at(*reader));
    Operation convolution = f.at(at), fold = fold_of(f, "conv2d_fold_output", convolution, f.at(*reader));
    const Verdict tuned = f.ask(fold);
    if (!tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", both, tuned.line)};
    take_folded(convolution, fold);
    convolution.outputs = f.at(*reader).outputs;
    // The scale and the shift are made before the batch norm's own pass.
    f.change(*reader) = std::move(convolution);
    f.add_before(*reader, std::move(fold));
    f.erase(at);
    return Fusion{true, fmt::format("{} are one call with folded weights: {}", both, tuned.line)};
}

/// Without padding every output sums over whole windows: a convolution of scale * x + shift is one of x with other weights and another
/// bias.
std::optional<Fusion> batch_norm_into_convolution(Fusing &f, int at) {
    if (!applies(f.at(at), {"affine"})) return {};
    const std::optional<int> reader = f.only_reader(f.at(at).outputs["output"], "conv2d_fwd");
    if (!reader || f.at(*reader).shape.padded()) return {};
    const std::string both = call_of(f.at(at)) + " and " + call_of(f.at(*reader));
    const int input = f.at(at).inputs["input"];
    Operation fold = fold_of(f, "conv2d_fold", f.at(*reader), f.at(at));
    const Verdict tuned = f.ask(fold);
    if (!tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", both, tuned.line)};
    take_folded(f.change(*reader), fold);
    f.change(*reader).inputs.replace("input", input);
    // The weights may be folded already, with what comes behind the convolution: that is done just before it.
    f.add_before(*reader, std::move(fold));
    f.erase(at);
    return Fusion{true, fmt::format("{} are one call with folded weights: {}", both, tuned.line)};
}

/// Whether a pass over the weights is small beside one over the input of, say, 16 images.
bool has_few_weights(const Shape &convolution) {
    const std::int64_t weights = std::int64_t{convolution.out_c} * convolution.group_in() * convolution.kernel_h * convolution.kernel_w;
    return weights < std::int64_t{16} * convolution.in_h * convolution.in_w * convolution.in_c;
}

/// The two operations that read `gradient`, if they are a batch norm's whole gradient.
struct BatchNormGradient {
    int stats, pass;
};
std::optional<BatchNormGradient> batch_norm_gradient_of(Fusing &f, int gradient) {
    const std::vector<int> readers = f.readers(gradient);
    if (readers.size() != 2 || f.at(readers[0]).core != "batch_norm_bwd_stats" || !applies(f.at(readers[1]), {"normgradient"})) return {};
    return BatchNormGradient{readers[0], readers[1]};
}

/// In training as well: forward as above; backward, the gradients of gamma and beta follow from that of the folded weights, instead of a
/// pass over activations. The normalised activation is never written.
std::optional<Fusion> batch_norm_into_trained_convolution(Fusing &f, int at) {
    if (!applies(f.at(at), {"affine"})) return {};
    const Operation affine = f.at(at);
    const std::vector<int> readers = f.readers(affine.outputs["output"]);
    if (readers.size() != 2 || f.at(readers[0]).core != "conv2d_fwd" || f.at(readers[1]).core != "conv2d_bwd_weights") return {};
    const Operation forward = f.at(readers[0]), backward_weights = f.at(readers[1]);
    const int weights = forward.inputs["weights"], d_output = backward_weights.inputs["d_output"];
    const std::vector<int> of_gradient = f.readers(d_output);
    const auto backward_data = std::ranges::find_if(of_gradient, [&](int i) {
        const Operation &o = f.at(i);
        return o.core == "conv2d_bwd_data" && o.inputs["d_output"] == d_output && o.inputs["weights"] == weights;
    });
    if (forward.shape.padded() || backward_data == of_gradient.end()) return {};
    const std::optional<BatchNormGradient> gradient = batch_norm_gradient_of(f, f.at(*backward_data).outputs["d_input"]);
    if (!gradient) return {};
    const Operation stats = f.at(gradient->stats);

    const std::string both = fmt::format("{} and {}", call_of(affine), call_of(forward));
    if (!has_few_weights(forward.shape)) return Fusion{false, fmt::format("{} stay apart: the weights are many beside the input", both)};
    Operation fold = fold_of(f, "conv2d_fold", forward, affine);
    Operation fold_backward{"conv2d_fold_bwd", forward.layer, fold.shape};
    for (const Operation &operation : {fold, fold_backward})
        if (const Verdict tuned = f.ask(operation); !tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", both, tuned.line)};

    const int d_weights = backward_weights.outputs["d_weights"];
    const int d_folded = add_derived_weight(f.graph, d_weights, " folded", f.graph.values[d_weights].extents);
    fold_backward.inputs = {{"weights", weights},
                            {"scale", fold.inputs["scale"]},
                            {"shift", fold.inputs["shift"]},
                            {"mean", stats.inputs["mean"]},
                            {"inv_std", stats.inputs["inv_std"]},
                            {"d_folded_weights", d_folded},
                            {"d_bias", backward_weights.outputs["d_bias"]}};
    fold_backward.outputs = {{"d_weights", d_weights}, {"d_gamma", stats.outputs["d_gamma"]}, {"d_beta", stats.outputs["d_beta"]}};
    take_folded(f.change(readers[0]), fold);
    for (const int reader : readers) f.change(reader).inputs.replace("input", affine.inputs["input"]);
    f.change(readers[1]).outputs.replace("d_weights", d_folded);
    f.change(at) = std::move(fold);
    f.change(gradient->stats) = std::move(fold_backward);
    return Fusion{true, fmt::format("{} take folded weights, forward and backward", both)};
}

/// The gradients of gamma and beta behind a max pool are sums over the pixels that the pool chose, which are as many as its outputs.
std::optional<Fusion> sums_through_pool(Fusing &f, int at) {
    if (f.at(at).core != "max_pool2d_bwd") return {};
    const Operation &pool = f.at(at);
    const std::optional<BatchNormGradient> gradient = batch_norm_gradient_of(f, pool.outputs["d_input"]);
    const std::optional<int> affine = f.writer(pool.inputs["input"]);
    if (!gradient || !affine || !applies(f.at(*affine), {"affine"}) ||
        f.at(*affine).inputs["input"] != f.at(gradient->stats).inputs["input"])
        return {};
    Operation stats = f.at(gradient->stats);
    const std::string both = fmt::format("{} and {}", call_of(pool), call_of(stats));
    stats.core = "batch_norm_pool_bwd_stats";
    stats.shape = pool.shape;
    stats.inputs.replace("d_output", pool.inputs["d_output"]);
    set_chain(stats, "input", f.at(*affine).chain("output"));
    const Verdict tuned = f.ask(stats);
    if (!tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", both, tuned.line)};
    f.change(gradient->stats) = std::move(stats);
    return Fusion{true, fmt::format("{} need the pool's outputs alone: {}", both, tuned.line)};
}

/// The gradient through a dropout and the ReLU before it: what the dropout made is positive where the ReLU's output was and was kept, so
/// that no random numbers are drawn, and nothing else reads what the ReLU wrote.
std::optional<Fusion> dropout_with_mask(Fusing &f, int at) {
    if (!applies(f.at(at), {"dropout"}) && !applies(f.at(at), {"spatialdropout"})) return {};
    const std::optional<int> reader = f.only_reader(f.at(at).outputs["output"], "pointwise");
    if (!reader || !applies(f.at(*reader), {"mask"})) return {};
    const AppliedLink dropout = f.at(at).chain("output").front();
    const int rectified = f.at(*reader).chain("output").front().operands["of"];
    const std::vector<int> of_rectified = f.readers(rectified);
    const auto forward = std::ranges::find_if(of_rectified, [&](int i) {
        return applies(f.at(i), {dropout.row}) && f.at(i).inputs["input"] == rectified && f.at(i).chain("output").front() == dropout;
    });
    if (forward == of_rectified.end()) return {};
    const std::string line = fmt::format("{} and {} are one pass by what the dropout made", call_of(f.at(at)), call_of(f.at(*reader)));
    Operation &mask = f.change(*reader);
    mask.chains["output"].front().operands.replace("of", f.at(*forward).outputs["output"]);
    mask.chains["output"].insert(mask.chains["output"].begin(), AppliedLink{"kept", dropout.operands, dropout.number});
    mask.inputs.replace("input", f.at(at).inputs["input"]);
    f.erase(at);
    return Fusion{true, line};
}

// Placement: where a pointwise pass goes.

/// Whether a chain can be at this argument of a core: an activation of floats.
bool takes_chain(const Core &core, const std::string &place) {
    const Argument *argument = core.find(place);
    return argument && (argument->role == Role::input || argument->role == Role::output || argument->role == Role::pooled);
}

/// Whether nothing that `operation` reads is written at `at` or behind.
bool is_ready_before(Fusing &f, const Operation &operation, int at) {
    return std::ranges::all_of(operation.values_read(), [&](int value) {
        const std::optional<int> writer = f.writer(value);
        return !writer || *writer < at;
    });
}

/// Behind what makes its input, if nothing else reads that: the pass is then part of the loop that writes it.
Fusion behind_producer(Fusing &f, int at) {
    const Operation &pass = f.at(at);
    const int value = pass.inputs["input"];
    const std::optional<int> producer = f.writer(value);
    if (!producer) return {false, "nothing here makes its input"};
    const std::string behind = fmt::format("behind {}", call_of(f.at(*producer)));
    if (!f.only_reader(value, "pointwise")) return {false, fmt::format("{}: others read its input", behind)};
    const auto output = std::ranges::find(f.at(*producer).outputs, value, &Operand::value);
    if (!takes_chain(find_core(f.at(*producer).core), output->name)) return {false, fmt::format("{}: it is no place for a chain", behind)};

    Operation merged = f.at(*producer);
    const std::string place = output->name;
    set_chain(merged, place, joined(merged.chain(place), pass.chain("output")));
    merged.outputs.replace(place, pass.outputs["output"]);
    const Verdict tuned = f.ask_instead_of(f.at(*producer), merged);
    if (!tuned.taken) return {false, fmt::format("{}: {}", behind, tuned.line)};
    // It stands where the producer stood, or where the pass did, if that is when its operands are there.
    const bool early = is_ready_before(f, merged, *producer);
    const auto is_read_between = [&](const Operand &other) {
        return other.value != value && std::ranges::any_of(f.readers(other.value), [&](int reader) { return reader < at; });
    };
    if (!early && std::ranges::any_of(f.at(*producer).outputs, is_read_between))
        return {false, fmt::format("{}: its operands come later", behind)};
    const std::string line = fmt::format("{} behind {}: {}", call_of(pass), call_of(f.at(*producer)), tuned.line);
    f.change(early ? *producer : at) = std::move(merged);
    f.erase(early ? at : *producer);
    return {true, line};
}

/// A sum of two may stand behind what makes either.
Fusion behind_a_producer(Fusing &f, int at) {
    Fusion first = behind_producer(f, at);
    if (first.taken || f.at(at).chain("output").front().row != "add") return first;
    const Operation before = f.at(at);
    Operation &pass = f.change(at);
    const int addend = pass.chain("output").front().operands["addend"];
    pass.chains["output"].front().operands.replace("addend", pass.inputs["input"]);
    pass.inputs.replace("input", addend);
    Fusion second = behind_producer(f, at);
    if (second.taken) return second;
    f.change(at) = before;
    return {false, fmt::format("{}; {}", first.line, second.line)};
}

std::int64_t bytes_per_image(Fusing &f, const Operation &operation) {
    std::vector<Buffer> arguments;
    for (const int value : operation.arguments()) arguments.push_back(f.graph.values[value]);
    return traffic(operation.kernel(), arguments).per_image;
}

/// `reader` with the chain of `pass` before each input that is the pass' output; nothing where it reads that in another way.
std::optional<Operation> with_pass_before(const Operation &reader, const Operation &pass) {
    const int value = pass.outputs["output"], input = pass.inputs["input"];
    Operation merged = reader;
    for (const Operand &operand : reader.inputs) {
        if (operand.value != value) continue;
        if (!takes_chain(find_core(reader.core), operand.name)) return {};
        merged.inputs.replace(operand.name, input);
        if (is_pointwise(reader))
            set_chain(merged, "output", joined(pass.chain("output"), reader.chain("output")));
        else
            set_chain(merged, operand.name, joined(pass.chain("output"), reader.chain(operand.name)));
    }
    for (auto &[place, chain] : merged.chains)
        for (AppliedLink &link : chain) {
            if (!link.operands.holds(value)) continue;
            // The mask of a ReLU of an affine value can be made of that again.
            if (link.row != "mask" || !applies(pass, {"affine", "relu"})) return {};
            const Operands &factors = pass.chain("output").front().operands;
            link = {"affinemask", {{"of", input}, {"scale", factors["scale"]}, {"shift", factors["shift"]}}};
        }
    return merged;
}

/// The share of the bytes that a pass and its readers move which must be saved, for the pass to be made again in all of them. Tiles read
/// every value 2.25 times. A batch norm and its ReLU before two convolutions save 0.22: on 32x32x64 forward takes as long as without them,
/// the weights' gradient 1.1 of the time, and the pass is gone. A batch norm's gradient saves 0.15 and costs more: the weights' gradient of
/// 8x8x128 takes 1.3 of the time (Zen 4, AVX-512).
constexpr double least_saving = 0.2;

/// Before all that reads its output, if they stage what they read and less is moved: its output is then never written.
Fusion before_readers(Fusing &f, int at) {
    const Operation &pass = f.at(at);
    const int value = pass.outputs["output"];
    if (!f.is_between(value)) return {false, "its output is read outside"};
    if (draws([&] {
            Chain chain;
            for (const AppliedLink &link : pass.chain("output")) chain.push_back({link.row});
            return chain;
        }()))
        return {false, "before its readers: it draws random numbers"};
    const std::vector<int> readers = f.readers(value);
    std::vector<Operation> merged;
    std::vector<std::string> leaves;
    std::int64_t bytes = bytes_per_image(f, pass), bytes_merged = 0;
    for (const int reader : readers) {
        const std::optional<Operation> with = with_pass_before(f.at(reader), pass);
        if (!with) return {false, fmt::format("before {}: it reads the output in another way", call_of(f.at(reader)))};
        const Verdict tuned = f.ask_instead_of(f.at(reader), *with);
        if (!tuned.taken) return {false, fmt::format("before {}: {}", call_of(f.at(reader)), tuned.line)};
        bytes += bytes_per_image(f, f.at(reader)), bytes_merged += bytes_per_image(f, *with);
        merged.push_back(*with);
        leaves.push_back(fmt::format("{}: {}", call_of(f.at(reader)), tuned.line));
    }
    if (double(bytes - bytes_merged) < least_saving * double(bytes))
        return {false, fmt::format("before its readers they would move {} bytes an image instead of {}", bytes_merged, bytes)};
    const std::string line = fmt::format("{} before {}", call_of(pass), fmt::join(leaves, ", "));
    for (std::size_t i = 0; i < readers.size(); ++i) f.change(readers[i]) = std::move(merged[i]);
    f.erase(at);
    return {true, line};
}

/// Places passes until none moves any more: behind what makes their input as long as possible, then before their readers.
void place_passes(Fusing &f, std::vector<Fusion> &fusions) {
    for (Fusion (*place)(Fusing &, int) : {behind_a_producer, before_readers})
        for (bool moved = true; moved;) {
            moved = false;
            for (int at = 0; at < int(f.graph.operations.size()); ++at) {
                if (!is_pointwise(f.at(at))) continue;
                const Fusion fusion = place(f, at);
                if (!fusion.taken) continue;
                fusions.push_back(fusion);
                moved = true;
            }
            f.tidy();
        }
    for (int at = 0; at < int(f.graph.operations.size()); ++at) {
        if (!is_pointwise(f.at(at))) continue;
        const std::int64_t bytes = bytes_per_image(f, f.at(at));
        const std::string alone = call_of(f.at(at)), behind = behind_a_producer(f, at).line, before = before_readers(f, at).line;
        fusions.push_back({false, fmt::format("{} stands alone and moves {} bytes an image. {}; {}", alone, bytes, behind, before)});
    }
}

// Pairs: two cores in one call.

/// Where no run changes the weights, they are transformed for a convolution in tiles once.
std::optional<Fusion> transform_weights(Fusing &f, int at) {
    const Operation &convolution = f.at(at);
    const Shape &s = convolution.shape;
    if (!f.graph.keeps_weights || convolution.core != "conv2d_fwd" || s.tile > 0 || s.kernel_h != 3 || s.kernel_w != 3 || s.stride_h != 1 ||
        s.stride_w != 1)
        return {};
    std::vector<std::string> refusals;
    for (const int tile : {4, 2}) {
        Operation tiled = convolution;
        tiled.shape.tile = tile;
        Operation weights{"winograd_weights", tiled.layer, tiled.shape.of_weights()};
        const Verdict tuned = f.ask(tiled), tuned_weights = f.ask(weights);
        if (!tuned.taken || !tuned_weights.taken) {
            refusals.push_back(fmt::format("tiles of {0}x{0}: {1}", tile, tuned.taken ? tuned_weights.line : tuned.line));
            continue;
        }
        const int plain = tiled.inputs["weights"], in_tiles = add_derived_weight(f.graph, plain, " in tiles", tiled.shape.weights());
        weights.inputs = {{"weights", plain}};
        weights.outputs = {{"transformed_weights", in_tiles}};
        tiled.inputs.replace("weights", in_tiles);
        const std::string line = fmt::format("{} takes its weights in tiles of {}x{}: {}", call_of(tiled), tile, tile, tuned.line);
        f.change(at) = std::move(tiled);
        f.add_before(at, std::move(weights));
        return Fusion{true, line};
    }
    return Fusion{false, fmt::format("{} takes its weights as they are: {}", call_of(convolution), fmt::join(refusals, "; "))};
}

/// Where nothing but the pool reads a convolution, it is pooled in registers. The merged call stands where the pool stood.
std::optional<Fusion> convolution_with_pool(Fusing &f, int at) {
    const Operation &convolution = f.at(at);
    if (convolution.core != "conv2d_fwd") return {};
    const std::optional<int> reader = f.only_reader(convolution.outputs["output"], "max_pool2d_fwd");
    if (!reader) return {};
    const Operation &pool = f.at(*reader);
    Operation merged = convolution;
    merged.core = "conv2d_pool_fwd";
    merged.shape = convolution.shape.with_pool(pool.shape);
    merged.outputs = pool.outputs;
    merged.chains.clear();
    set_chain(merged, "input", convolution.chain("input"));
    set_chain(merged, "convolution", joined(convolution.chain("output"), pool.chain("input")));
    set_chain(merged, "output", pool.chain("output"));
    return merge(f, *reader, at, std::move(merged));
}

/// In training the loss' gradient takes the probabilities from registers.
std::optional<Fusion> loss_with_gradient(Fusing &f, int at) {
    const Operation &loss = f.at(at);
    if (loss.core != "softmax_cross_entropy_fwd") return {};
    const std::vector<int> readers = f.readers(loss.outputs["probabilities"]);
    const char *gradient = loss.shape.label_smoothing > 0 ? "smoothedonehotgradient" : "onehotgradient";
    if (readers.size() != 1 || !applies(f.at(readers[0]), {gradient})) return {};
    Operation merged = loss;
    merged.core = "softmax_cross_entropy";
    merged.outputs.insert("d_logits", f.at(readers[0]).outputs["output"]);
    return merge(f, at, readers[0], std::move(merged));
}

/// The loss takes the logits from the blocks that make them.
std::optional<Fusion> convolution_with_loss(Fusing &f, int at) {
    const Operation &convolution = f.at(at);
    if (convolution.core != "conv2d_fwd" || !convolution.chains.empty()) return {};
    const std::optional<int> reader = f.only_reader(convolution.outputs["output"], "softmax_cross_entropy");
    if (!reader) return {};
    Operation merged = convolution;
    merged.core = "conv2d_softmax_cross_entropy";
    merged.shape.label_smoothing = f.at(*reader).shape.label_smoothing;
    for (const char *input : {"labels", "indices", "step"}) merged.inputs.insert(input, f.at(*reader).inputs[input]);
    merged.outputs = f.at(*reader).outputs;
    return merge(f, at, *reader, std::move(merged));
}

/// Where a batch norm's pixels are few, one call makes its statistics and takes them to its pass, which comes next.
std::optional<Fusion> statistics_with_pass(Fusing &f, int at) {
    const Operation &stats = f.at(at);
    if (stats.core != "batch_norm_stats" || at + 1 == int(f.graph.operations.size())) return {};
    const Operation &pass = f.at(at + 1);
    const bool pools = pass.core == "max_pool2d_fwd";
    if ((!pools && !is_pointwise(pass)) || pass.inputs["input"] != stats.inputs["input"]) return {};
    AppliedChain chain = pass.chain(pools ? "input" : "output");
    const AppliedLink affine{"affine", {{"scale", stats.outputs["scale"]}, {"shift", stats.outputs["shift"]}}};
    if (chain.empty() || chain.front() != affine) return {};
    chain.erase(chain.begin());

    Operation merged = stats;
    merged.core = pools ? "batch_norm_stats_pool_fwd" : "batch_norm_stats_fwd";
    merged.shape = pass.shape;
    merged.shape.epsilon = stats.shape.epsilon, merged.shape.momentum = stats.shape.momentum;
    merged.shape.unbiased = stats.shape.unbiased;
    merged.outputs.insert("output", pass.outputs["output"]);
    set_chain(merged, pools ? "normalised" : "output", std::move(chain));
    if (pools) set_chain(merged, "output", pass.chain("output"));
    return merge(f, at, at + 1, std::move(merged));
}

/// The same of its gradients.
std::optional<Fusion> gradient_with_pass(Fusing &f, int at) {
    const Operation &stats = f.at(at);
    const bool pools = stats.core == "batch_norm_pool_bwd_stats";
    if ((!pools && stats.core != "batch_norm_bwd_stats") || at + 1 == int(f.graph.operations.size())) return {};
    const Operation &pass = f.at(at + 1);
    const std::string place = pools ? "d_input" : "output", d_output = pools ? "d_output" : "input";
    if (pass.core != (pools ? "max_pool2d_bwd" : "pointwise") || pass.inputs[d_output] != stats.inputs["d_output"] ||
        pass.chain("input") != stats.chain("input"))
        return {};
    AppliedChain chain = pass.chain(place);
    if (chain.empty() || chain.front().row != "normgradient" || chain.front().operands["d_gamma"] != stats.outputs["d_gamma"]) return {};
    Operation merged = stats;
    merged.core = pools ? "batch_norm_pool_bwd" : "batch_norm_bwd";
    merged.inputs.insert("gamma", chain.front().operands["gamma"]);
    merged.outputs.insert("d_input", pass.outputs[place]);
    chain.erase(chain.begin());
    set_chain(merged, "d_input", std::move(chain));
    return merge(f, at, at + 1, std::move(merged));
}

/// The first layer's weights alone read the gradient of its outputs: it is made where they take it, and never written.
std::optional<Fusion> weights_gradient_with_pool(Fusing &f, int at) {
    const Operation &pool = f.at(at);
    if (pool.core != "max_pool2d_bwd") return {};
    const std::optional<int> reader = f.only_reader(pool.outputs["d_input"], "conv2d_bwd_weights");
    if (!reader || f.at(*reader).inputs["d_output"] != pool.outputs["d_input"]) return {};
    const Operation &weights = f.at(*reader);
    Operation merged = weights;
    merged.core = "conv2d_pool_bwd_weights";
    merged.shape = weights.shape.with_pool(pool.shape);
    merged.inputs = {{"input", weights.inputs["input"]}, {"d_output", pool.inputs["d_output"]}, {"convolution", pool.inputs["input"]}};
    merged.chains.clear();
    set_chain(merged, "input", weights.chain("input"));
    set_chain(merged, "d_output", pool.chain("d_output"));
    set_chain(merged, "convolution", pool.chain("input"));
    set_chain(merged, "d_convolution", joined(pool.chain("d_input"), weights.chain("d_output")));
    return merge(f, *reader, at, std::move(merged));
}

/// Tries to fuse the call at `at` with others. Nothing: it does not apply there.
using Rule = std::optional<Fusion> (*)(Fusing &, int at);

void apply(const std::vector<Rule> &rules, Fusing &f, std::vector<Fusion> &fusions) {
    for (const Rule rule : rules) {
        for (int at = 0; at < int(f.graph.operations.size()); ++at)
            if (std::optional<Fusion> fusion = rule(f, at)) fusions.push_back(std::move(*fusion));
        f.tidy();
    }
}

}  // namespace

// A rule stands before those that it makes possible. A ReLU goes behind its pool first: then the batch norm's sums can go through the pool.
// The loss takes its gradient before that finds another place, for then it can take the logits as well. Weights go into tiles before a
// convolution takes its pool, for in tiles it takes windows that a direct one refuses. Statistics go into a pass that has taken all it can.
std::vector<Fusion> fuse(Graph &graph, const Set &set, const PlanOptions &options) {
    Fusing fusing(graph, set, options);
    std::vector<Fusion> fusions;
    apply({zeros_into_convolution, relu_behind_pool, batch_norm_into_previous_convolution, batch_norm_into_convolution,
           batch_norm_into_trained_convolution, sums_through_pool, dropout_with_mask, loss_with_gradient},
          fusing, fusions);
    place_passes(fusing, fusions);
    apply({transform_weights, convolution_with_pool, convolution_with_loss, statistics_with_pass, gradient_with_pass,
           weights_gradient_with_pool},
          fusing, fusions);
    return fusions;
}

}  // namespace halcyon
