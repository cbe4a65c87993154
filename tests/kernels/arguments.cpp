#include "tests/kernels/arguments.h"

#include "plan/augment.h"
#include "runtime/engine/tensor.h"
#include "tests/kernels/optimizers.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

namespace halcyon {
namespace {

using oracle::Array;

/// What winograd_weights makes of small integers.
Array make_transformed_weights(const Shape &s, Random &random) {
    std::vector<Array> arguments = {random.integers({s.out_c, s.in_c, 3, 3}, -3, 3), Array(s.weights())};
    oracle::compute("winograd_weights", s, arguments);
    for (double &value : arguments[1].values) value = float(value);
    return arguments[1];
}

/// Images as they are, mirrored, moved by whole pixels, and by anything, with all fills; some scaled, some with a rectangle erased.
Array make_augment(const std::vector<int> &extents, const Shape &s, Random &random) {
    Array words(extents);
    const auto real = [&](double least, double most) { return std::floor(random.real(least, most) * augment_one); };
    for (int n = 0; n < words.extent(1); n++) {
        const int kind = random.integer(0, 4);
        words(augment_xx, n) = words(augment_yy, n) = augment_one;
        if (kind == 1) words(augment_xx, n) = -augment_one, words(augment_x0, n) = (s.in_w - 1) * augment_one;
        if (kind == 2)
            for (const int field : {augment_x0, augment_y0}) words(field, n) = random.integer(-3, 3) * augment_one;
        if (kind >= 3) {
            for (const int field : {augment_xx, augment_yy, augment_xy, augment_yx}) words(field, n) += real(-0.5, 0.5);
            const double far = kind == 3 ? 4 : 4 * (s.in_w + s.in_h);
            for (const int field : {augment_x0, augment_y0}) words(field, n) = real(-far, far);
        }
        words(augment_fill, n) = random.integer(augment_fill_nearest, augment_fill_constant);
        words(augment_fill_value, n) = random.integer(0, 255);
        words(augment_gain, n) = random.integer(0, 1) ? augment_one : real(0.3, 2);
        words(augment_mean_gain, n) = random.integer(0, 1) ? 0 : real(-0.5, 0.7);
        if (random.integer(0, 1)) continue;
        words(augment_left, n) = random.integer(0, s.in_w - 1), words(augment_right, n) = random.integer(0, s.in_w);
        words(augment_top, n) = random.integer(0, s.in_h - 1), words(augment_bottom, n) = random.integer(0, s.in_h);
        words(augment_erase_value, n) = random.integer(0, 255);
    }
    return words;
}

bool is_binary(const Kernel &kernel) {
    return kernel.core == "sigmoid_cross_entropy_fwd" || std::ranges::any_of(kernel.chains, [](const auto &at) {
               return std::ranges::any_of(at.second, [](const Link &link) { return link.row.ends_with("binarygradient"); });
           });
}

bool has_argument(const Kernel &kernel, std::string_view name) {
    return std::ranges::any_of(arguments_of(kernel), [&](const KernelArgument &argument) { return argument.name == name; });
}

Array make_step_of(const Kernel &kernel, int words, int batch) {
    const bool weighs_classes = has_argument(kernel, "labels") || kernel.core.starts_with("categorical");
    Array step = make_step(words, 0.3, batch, weighs_classes ? classes_of(kernel) : 0);
    if (kernel.of().sizes == Sizes::slab) oracle::set_test_settings(find_optimizer(kernel.core), step);
    return step;
}

/// Labels of 0 and 1, and shares between them.
Array make_targets(const std::vector<int> &extents, Random &random) {
    Array targets(extents);
    for (double &target : targets.values) target = random.integer(0, 2) > 0 ? random.integer(0, 1) : random.real(0, 1);
    return targets;
}

/// Words, bytes, indices and transformed weights; the same for every kernel.
bool fill_special(Array &tensor, const Buffer &buffer, const Kernel &kernel, int batch, Random &random) {
    const std::vector<int> extents = {tensor.extent(0), tensor.extent(1), tensor.extent(2), tensor.extent(3)};
    if (buffer.name == "augment")
        tensor = make_augment({extents[0], extents[1]}, kernel.shape, random);
    else if (buffer.name == "images" || buffer.name == "records")
        tensor = buffer.type == "uint8" ? random.integers(extents, 0, 255) : random.reals(extents, -2, 2);
    else if (buffer.name == "indices")
        tensor = random.integers(extents, 0, test_records - 1);
    else if (buffer.name == "labels")
        tensor = random.integers(extents, 0, classes_of(kernel) - 1);
    else if (buffer.name == "targets")
        tensor = make_targets(extents, random);
    else if (buffer.name == "step")
        tensor = make_step_of(kernel, extents[0], batch);
    else if (buffer.name == "weights" && kernel.shape.tile > 0 && kernel.core != "winograd_weights")
        tensor = make_transformed_weights(kernel.shape, random);
    else
        return false;
    return true;
}

/// Whether a pool compares what the core reads as `name`, or what the chain at `name` makes.
bool is_compared(const Kernel &kernel, const std::string &name) {
    if (kernel.core == "conv2d_pool_fwd" || kernel.core == "conv2d_pool_bwd_weights") return name == "convolution";
    return kernel.core.find("pool") != std::string::npos && name == "input" && kernel.core != "batch_norm_stats_pool_fwd";
}

bool is_exact_row(const Link &link) { return find_row(link.row).exactness == Exactness::exact; }

/// The place of the core whose chain has the operand; "" for the core's own arguments.
std::string place_of_operand(const Kernel &kernel, const std::string &argument) {
    for (const auto &[place, chain] : kernel.chains)
        for (int i = 0; i < int(chain.size()); i++)
            for (const RowOperand &operand : find_row(chain[i].row).operands)
                if (operand_name(kernel, place, i, operand) == argument) return place;
    return "";
}

bool is_output(const Kernel &kernel, const std::string &place) {
    return std::ranges::any_of(kernel.of().outputs, [&](const Argument &output) { return output.name == place; });
}

/// True for what an exact core sums up or compares, whatever is done to it behind: of integers sums are exact, and float and double choose
/// the same pixel.
bool wants_integers(const Kernel &kernel, const std::string &argument) {
    if (exactness(kernel) == Exactness::exact) return true;
    const std::string place = place_of_operand(kernel, argument);
    if (place.empty())
        return kernel.of().exactness == Exactness::exact || is_compared(kernel, argument) || kernel.core.starts_with("conv2d_soft");
    return !is_output(kernel, place) && std::ranges::all_of(kernel.chain(place), is_exact_row);
}

/// Negative, where the maximum is the smallest input, zero, where all are equal, and positive.
void make_signed(Array &scale) {
    for (std::size_t c = 0; c < scale.values.size(); c++) scale.values[c] = double(c % 5) - 2;
}

/// Eighths, whose products are exact as well, keep sums of hundreds where exp() tells them apart.
void make_small(Array &tensor) {
    for (double &value : tensor.values) value /= 8;
}

/// Integers from -3 to 3: many zeros for ReLUs and many ties for pools, whose odd channels are negative so that a padding of 0 would win.
void fill_integers(Array &tensor, const Buffer &buffer, const Kernel &kernel, Random &random) {
    for (double &value : tensor.values) value = random.integer(-3, 3);
    const std::string place = place_of_operand(kernel, buffer.name);
    if (buffer.name.ends_with("_scale") && is_compared(kernel, place)) make_signed(tensor);
    if (kernel.core == "conv2d_softmax_cross_entropy") make_small(tensor);
    if (!kernel.core.starts_with("max_pool2d") || buffer.name != "input" || !kernel.chain("input").empty()) return;
    for (std::size_t i = 0; i < tensor.values.size(); i++)
        if (i % tensor.extent(0) % 2 == 1) tensor.values[i] -= 4;
}

/// True for what a gradient through a ReLU takes as that one's output.
bool is_rectified(const Kernel &kernel, const std::string &argument) {
    const std::vector<KernelArgument> arguments = arguments_of(kernel);
    for (const auto &[place, chain] : kernel.chains)
        for (int i = 0; i < int(chain.size()); i++) {
            if (chain[i].row != "mask") continue;
            const std::string of =
                chain[i].same_as >= 0 ? arguments.at(chain[i].same_as).name : operand_name(kernel, place, i, {"of", Beside::element});
            if (of == argument) return true;
        }
    return false;
}

bool is_positive(const std::string &name) {
    static const std::set<std::string> names = {"accumulated_delta", "accumulated_gradient", "accumulator", "mean_square",
                                                "moving_variance",   "second_moment",        "variance"};
    return name.ends_with("inv_std") || names.contains(name);
}

/// What batch statistics find hard: a mean that is large beside the deviation, no deviation at all.
void make_hard(Array &input) {
    for (std::size_t i = 0; i < input.values.size(); i++) {
        const std::size_t c = i % input.extent(0);
        if (c == 0) input.values[i] = float(input.values[i] + 256);
        if (c == 1) input.values[i] = 0.7f;
    }
}

/// All equal for the first image: the first class wins. Too far apart for exp() in the last.
void make_hard_logits(Array &logits) {
    const int classes = logits.extent(0), last = logits.extent(3) - 1;
    for (int c = 0; c < classes; c++) logits(c, 0, 0, last) = float(40 * logits(c, 0, 0, last));
    for (int c = 0; c < classes; c++) logits(c, 0, 0, 0) = 1.25;
}

void fill_reals(Array &tensor, const Buffer &buffer, const Kernel &kernel, Random &random) {
    const bool is_probability =
        buffer.name == "probabilities" || (buffer.name == "input" && has_argument(kernel, "labels") && !is_binary(kernel));
    // Its square is at most the smallest mean of squares.
    const double most = buffer.name == "average_gradient" ? 0.5 : 2;
    for (double &value : tensor.values)
        value = is_positive(buffer.name) || is_probability ? random.real(0.25, 1) : random.real(-most, most);
    if (kernel.core.find("_norm_stats") != std::string::npos && buffer.name == "input") make_hard(tensor);
    if (buffer.name == "logits") make_hard_logits(tensor);
    if (buffer.name.ends_with("gamma") && !buffer.name.ends_with("d_gamma")) tensor.values.back() = 0;
    if (buffer.name == "variance") tensor.values.back() = 0;  // a channel that is the same everywhere
    // A weight that has never had a gradient: 0 / (sqrt(0) + epsilon).
    if (kernel.of().sizes == Sizes::slab && buffer.name != "parameters") tensor.values.front() = 0;
}

}  // namespace

int classes_of(const Kernel &kernel) {
    if (is_binary(kernel)) return 2;
    return kernel.core.starts_with("conv2d") ? kernel.shape.out_c : kernel.shape.in_c;
}

std::size_t Arguments::index(std::string_view name) const {
    const auto found = std::ranges::find(named, name, &KernelArgument::name);
    return std::size_t(found - named.begin());
}

std::size_t Arguments::inputs() const { return std::size_t(std::ranges::count(named, false, &KernelArgument::is_output)); }

std::vector<std::string> Arguments::outputs() const {
    std::vector<std::string> names;
    for (const KernelArgument &argument : named)
        if (argument.is_output) names.push_back(argument.name);
    return names;
}

Arguments make_arguments(const CompiledKernel &compiled, int batch, Random &random) {
    const Kernel &kernel = compiled.kernel;
    Arguments arguments{kernel, arguments_of(kernel), {}};
    for (std::size_t i = 0; i < arguments.named.size(); i++) {
        const Buffer &buffer = compiled.arguments.at(i);
        const auto extents = extents_of(buffer, batch, test_records);
        Array &tensor = arguments.tensors.emplace_back(std::vector<int>(extents.begin(), extents.end()));
        if (arguments.named[i].is_output && !arguments.named[i].is_updated) continue;
        if (fill_special(tensor, buffer, kernel, batch, random)) continue;
        if (wants_integers(kernel, buffer.name))
            fill_integers(tensor, buffer, kernel, random);
        else
            fill_reals(tensor, buffer, kernel, random);
        if (is_rectified(kernel, buffer.name))
            for (double &value : tensor.values) value = std::max(value, 0.0);
    }
    return arguments;
}

}  // namespace halcyon
