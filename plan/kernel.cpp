#include "plan/kernel.h"

#include "plan/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

/// No size is larger: sums and products of a few that fit together stay within an int.
constexpr int largest_number = (1 << 29) - 1;

constexpr float default_epsilon = 1e-3f, default_momentum = 0.99f;

std::string type_of(Role role, const Shape &shape) {
    switch (role) {
    case Role::records:
    case Role::images:
        return shape.floats ? "float32" : "uint8";
    case Role::labels:
        return "uint16";
    case Role::indices:
    case Role::augment:
        return "int32";
    case Role::step:
        return "uint32";
    default:
        return "float32";
    }
}

Role role_of(const RowOperand &operand, Role place) {
    switch (operand.beside) {
    case Beside::element:
        return place;
    case Beside::channel:
        return place == Role::input ? Role::in_channels : Role::out_channels;
    case Beside::unit:
        return place == Role::input ? Role::in_units : place == Role::pooled ? Role::pooled_units : Role::out_units;
    case Beside::image:
        return place == Role::input ? Role::in_images : Role::out_images;
    case Beside::labels:
        return Role::labels;
    case Beside::targets:
        return place == Role::input ? Role::in_targets : Role::out_targets;
    case Beside::indices:
        return Role::indices;
    case Beside::step:
        return Role::step;
    }
    return place;
}

bool is_activation(Role role) { return role == Role::input || role == Role::output || role == Role::pooled; }

bool is_shared(const RowOperand &operand) {
    using enum Beside;
    return operand.beside == labels || operand.beside == targets || operand.beside == indices || operand.beside == step;
}

/// Calls `visit(place, chain)` for each chain, in the order of the core's inputs, values between and outputs.
template<typename Visit>
void for_each_chain(const Kernel &kernel, Visit &&visit) {
    const Core &core = kernel.of();
    std::size_t seen = 0;
    for (const std::vector<Argument> *list : {&core.inputs, &core.between, &core.outputs})
        for (const Argument &place : *list)
            if (const auto chain = kernel.chains.find(place.name); chain != kernel.chains.end()) visit(place, chain->second), ++seen;
    if (seen != kernel.chains.size()) throw std::invalid_argument(fmt::format("a chain is at no place of {}", kernel.core));
}

/// A number as part of an identifier: 1e-05 is "1em05", 0.9 is "0p9".
std::string identifier(float value) {
    std::string text = fmt::format("{}", value);
    std::ranges::replace(text, '-', 'm');
    std::ranges::replace(text, '.', 'p');
    std::erase(text, '+');
    return text;
}

std::string padding_tag(const Shape &s) {
    if (!s.padded()) return "";
    // Negative where a valid window leaves rows or columns unread.
    const int below = std::max(s.pad_bottom(), 0), right = std::max(s.pad_right(), 0);
    const bool equal = s.pad_top == s.pad_left && s.pad_top == below && s.pad_top == right;
    return equal ? fmt::format("_p{}", s.pad_top) : fmt::format("_p{}_{}_{}_{}", s.pad_top, s.pad_left, below, right);
}

/// The size, strides, dilation and padding of a convolution's or pool's window.
std::string window_tag(const Shape &s) {
    std::string tag = fmt::format("r{}s{}", s.kernel_h, s.kernel_w);
    if (s.stride_h != s.stride_w)
        tag += fmt::format("_t{}_{}", s.stride_h, s.stride_w);
    else if (s.stride_h > 1)
        tag += fmt::format("_t{}", s.stride_h);
    if (s.dilation_h != s.dilation_w)
        tag += fmt::format("_d{}_{}", s.dilation_h, s.dilation_w);
    else if (s.dilation_h > 1)
        tag += fmt::format("_d{}", s.dilation_h);
    return tag + padding_tag(s);
}

std::string sizes_tag(const Core &core, const Shape &s) {
    std::string map = fmt::format("h{}w{}c{}", s.in_h, s.in_w, s.in_c);
    switch (core.sizes) {
    case Sizes::activation:
        return map;
    case Sizes::window:
        return fmt::format("{}_{}", map, window_tag(s));
    case Sizes::concatenation:
        return fmt::format("{}_k{}", map, s.out_c);
    case Sizes::convolution:
        return fmt::format("{}_k{}{}", map, s.out_c, window_tag(s));
    case Sizes::pooled_convolution:
        return fmt::format("{}_k{}{}_pool_{}", map, s.out_c, window_tag(s), window_tag(s.pool()));
    case Sizes::weights:
        return fmt::format("c{}_k{}{}", s.in_c, s.out_c, window_tag(s));
    case Sizes::channels:
        return fmt::format("c{}", s.in_c);
    case Sizes::slab:
        return fmt::format("n{}", s.elements);
    }
    return "";
}

std::string shape_tag(const Core &core, const Shape &s) {
    std::string tag = sizes_tag(core, s);
    if (s.groups > 1) tag += fmt::format("_g{}", s.groups);
    if (s.tile > 0) tag += fmt::format("_f{}", s.tile);
    if (s.batch > 0) tag += fmt::format("_n{}", s.batch);
    if (s.floats) tag += "_floats";
    if (s.image_scale != 0) tag += "_z" + identifier(s.image_scale);
    if (s.image_offset != 0) tag += "_o" + identifier(s.image_offset);
    if (s.label_smoothing != 0) tag += "_s" + identifier(s.label_smoothing);
    if (core.constants != Constants::none && s.epsilon != default_epsilon) tag += "_e" + identifier(s.epsilon);
    if (core.constants == Constants::epsilon_and_momentum && s.momentum != default_momentum) tag += "_m" + identifier(s.momentum);
    if (core.constants == Constants::epsilon_and_momentum && s.unbiased) tag += "_unbiased";
    return tag;
}

std::string chain_tag(const Chain &chain) {
    std::string tag;
    for (const Link &link : chain) {
        tag += (tag.empty() ? "" : "_") + link.row;
        if (find_row(link.row).is_numbered) tag += fmt::to_string(link.number);
        for (const float constant : link.constants) tag += fmt::format("v{}", identifier(constant));
        if (link.same_as >= 0) tag += fmt::format("at{}", link.same_as);
    }
    return tag;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
    std::vector<std::string_view> parts;
    for (std::size_t end; (end = text.find(separator)) != text.npos; text.remove_prefix(end + separator.size()))
        parts.push_back(text.substr(0, end));
    parts.push_back(text);
    return parts;
}

/// Reads a name from left to right.
class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}

    bool at_end() const { return text_.empty(); }

    bool take(std::string_view word) {
        if (!text_.starts_with(word)) return false;
        text_.remove_prefix(word.size());
        return true;
    }

    void expect(std::string_view word) {
        if (!take(word)) fail();
    }

    int number() {
        int value = 0;
        const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
        if (error != std::errc() || value < 0 || value > largest_number) fail();
        text_.remove_prefix(end - text_.data());
        return value;
    }

    /// Takes `word` and the number behind it, where they come next.
    std::optional<int> number_if(std::string_view word) {
        const bool next = text_.size() > word.size() && text_.starts_with(word) && text_[word.size()] >= '0' && text_[word.size()] <= '9';
        return next ? std::optional(number_after(word)) : std::nullopt;
    }

    int number_after(std::string_view word) {
        expect(word);
        return number();
    }

    /// What identifier() wrote, up to one of `ends`.
    float real(const char *ends) {
        std::string text(text_.substr(0, text_.find_first_of(ends)));
        text_.remove_prefix(text.size());
        std::ranges::replace(text, 'm', '-');
        std::ranges::replace(text, 'p', '.');
        float value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) fail();
        return value;
    }

    float finite() {
        const float value = real("_");
        if (!std::isfinite(value)) fail();
        return value;
    }

    [[noreturn]] static void fail() { throw std::invalid_argument("what stands in it does not fit together"); }

private:
    std::string_view text_;
};

/// The window's fields of `s`, and the outputs that follow from them.
void read_window(Reader &reader, Shape &s) {
    s.kernel_h = reader.number_after("r");
    s.kernel_w = reader.number_after("s");
    if (const std::optional<int> stride = reader.number_if("_t")) {
        s.stride_h = *stride;
        s.stride_w = reader.number_if("_").value_or(*stride);
    }
    if (const std::optional<int> dilation = reader.number_if("_d")) {
        s.dilation_h = *dilation;
        s.dilation_w = reader.number_if("_").value_or(*dilation);
    }
    int below = 0, right = 0;
    if (const std::optional<int> padding = reader.number_if("_p")) {
        s.pad_top = s.pad_left = below = right = *padding;
        if (const std::optional<int> left = reader.number_if("_"))
            s.pad_left = *left, below = reader.number_after("_"), right = reader.number_after("_");
    }
    if (s.stride_h < 1 || s.stride_w < 1 || s.dilation_h < 1 || s.dilation_w < 1) Reader::fail();
    s.out_h = (s.in_h + s.pad_top + below - s.span_h()) / s.stride_h + 1;
    s.out_w = (s.in_w + s.pad_left + right - s.span_w()) / s.stride_w + 1;
    if (s.out_h < 1 || s.out_h > largest_number || s.out_w < 1 || s.out_w > largest_number) Reader::fail();
}

void read_map(Reader &reader, Shape &s) {
    s.in_h = reader.number_after("h");
    s.in_w = reader.number_after("w");
    s.in_c = reader.number_after("c");
}

Shape read_sizes(Reader &reader, Sizes sizes) {
    Shape s;
    switch (sizes) {
    case Sizes::activation:
        read_map(reader, s);
        break;
    case Sizes::window:
        read_map(reader, s);
        s.out_c = s.in_c;
        reader.expect("_");
        read_window(reader, s);
        break;
    case Sizes::concatenation:
        read_map(reader, s);
        s.out_h = s.in_h, s.out_w = s.in_w, s.out_c = reader.number_after("_k");
        if (s.out_c <= s.in_c) Reader::fail();
        break;
    case Sizes::convolution:
    case Sizes::pooled_convolution:
        read_map(reader, s);
        s.out_c = reader.number_after("_k");
        read_window(reader, s);
        if (sizes == Sizes::pooled_convolution) {
            reader.expect("_pool_");
            Shape pool;
            pool.in_h = s.out_h, pool.in_w = s.out_w, pool.in_c = s.out_c;
            read_window(reader, pool);
            s = s.with_pool(pool);
        }
        break;
    case Sizes::weights:
        s.in_c = reader.number_after("c");
        s.out_c = reader.number_after("_k");
        s.in_h = s.kernel_h = reader.number_after("r");
        s.in_w = s.kernel_w = reader.number_after("s");
        break;
    case Sizes::channels:
        s.in_c = reader.number_after("c");
        break;
    case Sizes::slab:
        s.elements = reader.number_after("n");
        break;
    }
    return s;
}

Shape read_shape(std::string_view text, const Core &core) {
    Reader reader(text);
    Shape s = read_sizes(reader, core.sizes);
    if (core.constants != Constants::none) s.epsilon = default_epsilon;
    if (core.constants == Constants::epsilon_and_momentum) s.momentum = default_momentum;
    while (!reader.at_end()) {
        if (reader.take("_floats"))
            s.floats = 1;
        else if (reader.take("_f"))
            s.tile = reader.number();
        else if (reader.take("_g"))
            s.groups = reader.number();
        else if (reader.take("_n"))
            s.batch = reader.number();
        else if (reader.take("_z"))
            s.image_scale = reader.finite();
        else if (reader.take("_o"))
            s.image_offset = reader.finite();
        else if (reader.take("_s"))
            s.label_smoothing = reader.finite();
        else if (reader.take("_e"))
            s.epsilon = reader.finite();
        else if (reader.take("_m"))
            s.momentum = reader.finite();
        else if (reader.take("_unbiased"))
            s.unbiased = 1;
        else
            Reader::fail();
    }
    if (s.groups < 1 || s.in_c % s.groups || s.out_c % s.groups) Reader::fail();
    return s;
}

Link read_link(std::string_view text) {
    for (const PointwiseRow &row : pointwise_rows()) {
        Reader reader(text);
        if (!reader.take(row.name)) continue;
        Link link{row.name};
        try {
            if (row.is_numbered) link.number = reader.number();
            for (const RowConstant &constant : row.constants) {
                reader.expect("v");
                link.constants.push_back(reader.real("va"));
                if (!constant.takes(link.constants.back())) Reader::fail();
            }
            if (reader.take("at")) link.same_as = reader.number();
        } catch (const std::invalid_argument &) {
            continue;  // the name of a row that begins like this one
        }
        if (reader.at_end()) return link;
    }
    Reader::fail();
}

bool has_operand_for_each_element(const PointwiseRow &row) {
    return std::ranges::find(row.operands, Beside::element, &RowOperand::beside) != row.operands.end();
}

/// Whether every operand that is another input is one.
bool has_its_inputs(const Kernel &kernel) {
    const std::ptrdiff_t inputs = std::ranges::count(arguments_of(kernel), false, &KernelArgument::is_output);
    const auto has = [&](const Link &link) { return link.same_as < (has_operand_for_each_element(find_row(link.row)) ? inputs : 0); };
    return std::ranges::all_of(kernel.chains, [&](const auto &at) { return std::ranges::all_of(at.second, has); });
}

/// The place whose chain a part of a name is, and the links: of an output they stand alone.
std::pair<std::string, Chain> read_chain(std::string_view text, const Core &core) {
    const Argument *place = nullptr;
    for (const std::vector<Argument> *list : {&core.inputs, &core.between})
        for (const Argument &argument : *list)
            if (is_activation(argument.role) && text.starts_with(argument.name + "_")) place = &argument;
    if (place) text.remove_prefix(place->name.size() + 1);
    Chain chain;
    for (const std::string_view link : split(text, "_")) chain.push_back(read_link(link));
    return {place ? place->name : chained_output(core).name, chain};
}

}  // namespace

std::vector<std::string> places_of(const Core &core) {
    std::vector<std::string> places;
    for (const std::vector<Argument> *list : {&core.inputs, &core.between, &core.outputs})
        for (const Argument &place : *list) places.push_back(place.name);
    return places;
}

const Argument &chained_output(const Core &core) {
    for (const Argument &output : core.outputs)
        if (is_activation(output.role)) return output;
    const bool is_pass = core.inputs.size() == 1 && core.outputs.size() == 1 && core.inputs.front().role == core.outputs.front().role;
    if (!is_pass) throw std::invalid_argument(fmt::format("no chain can be behind {}", core.name));
    return core.outputs.front();
}

const Chain &Kernel::chain(const std::string &place) const {
    static const Chain none;
    const auto found = chains.find(place);
    return found == chains.end() ? none : found->second;
}

std::vector<int> extents_of(Role role, const Shape &s) {
    switch (role) {
    case Role::input:
        return {s.in_c, s.in_w, s.in_h, batch_extent};
    case Role::output:
        return {s.out_c, s.out_w, s.out_h, batch_extent};
    case Role::others:
        return {s.out_c - s.in_c, s.in_w, s.in_h, batch_extent};
    case Role::pooled:
        return {s.out_c, s.pooled_w, s.pooled_h, batch_extent};
    case Role::in_images:
        return {s.in_c, 1, 1, batch_extent};
    case Role::out_images:
        return {s.out_c, 1, 1, batch_extent};
    case Role::in_units:
        return {s.in_c, s.in_w, s.in_h};
    case Role::out_units:
        return {s.out_c, s.out_w, s.out_h};
    case Role::pooled_units:
        return {s.out_c, s.pooled_w, s.pooled_h};
    case Role::in_channels:
        return {s.in_c};
    case Role::out_channels:
        return {s.out_c};
    case Role::weights:
        return {s.out_c, s.group_in(), s.kernel_w, s.kernel_h};
    case Role::tile_weights:
        return s.weights();
    case Role::both_classes:
        return {2, 1, 1, batch_extent};
    case Role::per_image:
    case Role::indices:
        return {batch_extent};
    case Role::records:
        return {s.in_c, s.in_w, s.in_h, records_extent};
    case Role::images:
        return {s.in_c, s.in_w, s.in_h, images_extent};
    case Role::labels:
        return {records_extent};
    case Role::in_targets:
        return {s.in_c, records_extent};
    case Role::out_targets:
        return {s.out_c, records_extent};
    case Role::augment:
        return {augment_words, batch_extent};
    case Role::step:
        return {any_extent};
    case Role::slab:
        return {s.elements};
    }
    return {};
}

std::string operand_name(const Kernel &kernel, const std::string &place, int link, const RowOperand &operand) {
    if (is_shared(operand)) return operand.name;
    const Chain &chain = kernel.chain(place);
    const auto of_this_row = [&](const Link &other) { return other.row == chain[link].row; };
    const auto before = std::count_if(chain.begin(), chain.begin() + link, of_this_row);
    return fmt::format("{}_{}{}_{}", place, chain[link].row, before == 0 ? "" : fmt::to_string(before + 1), operand.name);
}

std::vector<KernelArgument> arguments_of(const Kernel &kernel) {
    const Core &core = kernel.of();
    std::vector<KernelArgument> arguments;
    const auto add = [&](const std::string &name, Role role, bool is_output, bool is_updated) {
        arguments.push_back({name, type_of(role, kernel.shape), extents_of(role, kernel.shape), is_output, is_updated});
    };
    for (const Argument &input : core.inputs) add(input.name, input.role, false, false);
    for_each_chain(kernel, [&](const Argument &place, const Chain &chain) {
        for (int i = 0; i < int(chain.size()); ++i)
            for (const RowOperand &operand : find_row(chain[i].row).operands) {
                if (operand.beside == Beside::element && chain[i].same_as >= 0) continue;
                const std::string name = operand_name(kernel, place.name, i, operand);
                if (std::ranges::find(arguments, name, &KernelArgument::name) == arguments.end())
                    add(name, role_of(operand, place.role), false, false);
            }
    });
    for (const Argument &output : core.outputs) add(output.name, output.role, true, output.updated);
    return arguments;
}

double flops(const Kernel &kernel) {
    double total = kernel.of().flops(kernel.shape);
    for_each_chain(kernel, [&](const Argument &place, const Chain &chain) {
        double values = 1;
        for (const int extent : extents_of(place.role, kernel.shape)) values *= std::max(extent, 1);
        for (const Link &link : chain) total += values * find_row(link.row).flops;
    });
    return total;
}

Exactness exactness(const Kernel &kernel) {
    const auto is_exact = [](const Link &link) { return find_row(link.row).exactness == Exactness::exact; };
    bool exact = kernel.of().exactness == Exactness::exact;
    for (const auto &[place, chain] : kernel.chains) exact = exact && std::ranges::all_of(chain, is_exact);
    return exact ? Exactness::exact : Exactness::derived;
}

std::string work_name(const Kernel &kernel) {
    const Core &core = kernel.of();
    std::string name = core.name;
    for_each_chain(kernel, [&](const Argument &place, const Chain &chain) {
        const bool behind = std::ranges::find(core.outputs, place.name, &Argument::name) != core.outputs.end();
        name += fmt::format("__{}{}{}", behind ? "" : place.name, behind ? "" : "_", chain_tag(chain));
    });
    return name;
}

std::string shape_name(const Kernel &kernel) { return shape_tag(kernel.of(), kernel.shape); }

std::string kernel_name(const Kernel &kernel) { return fmt::format("{}__{}", work_name(kernel), shape_name(kernel)); }

Kernel parse_kernel_name(std::string_view name) {
    try {
        const std::vector<std::string_view> parts = split(name, "__");
        if (parts.size() < 2) Reader::fail();
        const Core &core = find_core(parts.front());
        Kernel kernel{core.name, read_shape(parts.back(), core)};
        for (std::size_t i = 1; i + 1 < parts.size(); ++i) kernel.chains.insert(read_chain(parts[i], core));
        // What reads as a kernel but is not how it is written is no name: two would be the same kernel's.
        if (!has_its_inputs(kernel) || kernel_name(kernel) != name) Reader::fail();
        return kernel;
    } catch (const std::invalid_argument &error) {
        throw std::invalid_argument(fmt::format("\"{}\" is no name of a kernel: {}", name, error.what()));
    }
}

std::string symbol_name(std::string_view model, const Kernel &kernel, std::string_view set, std::string_view entry) {
    const std::string name = fmt::format("{}_{}__{}", model, kernel_name(kernel), set);
    return set == entry ? name : name + "_" + std::string(entry);
}

}  // namespace halcyon
