// The expressions of the rows that are activations, and of their gradients, over the floats and beside the oracles: Halide compiles them
// for this machine as it compiles the kernels. And the oracles beside Keras's: make_activations.py says what is in the file and how it was
// made.
#include "generators/pointwise.h"
#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/kernels/oracle.h"
#include "tests/tensors.h"

#include <Halide.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

using Floats = std::vector<float>;

constexpr float infinity = std::numeric_limits<float>::infinity();

/// A million floats from all of them, a NaN of each sign, the infinities, and the numbers where something begins or ends.
Floats all_over() {
    Floats values = {0.0f,
                     -0.0f,
                     1.0f,
                     -1.0f,
                     3.0f,
                     -3.0f,
                     6.0f,
                     infinity,
                     -infinity,
                     std::numeric_limits<float>::quiet_NaN(),
                     -std::numeric_limits<float>::quiet_NaN()};
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099) values.push_back(std::bit_cast<float>(std::uint32_t(bits)));
    // Where exponentials are neither 0 nor infinite.
    for (float value = -110; value < 110; value += 0.00137f) values.push_back(value);
    while (values.size() % 16 != 0) values.push_back(0);
    return values;
}

/// What the row's expression makes of each value, in vectors.
Floats compiled(const Link &link, const Floats &values, const Floats &operand) {
    const int count = int(values.size());
    Halide::Buffer<float> input(const_cast<float *>(values.data()), {1, count, 1, 1});
    Halide::Buffer<float> beside(const_cast<float *>(operand.data()), {1, count, 1, 1});
    std::map<std::string, Halide::Func> operands;
    const PointwiseRow &row = find_row(link.row);
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func read{"read"}, output{"output"};
    read(c, x, y, n) = beside(c, x, y, n);
    for (const RowOperand &of : row.operands) operands.emplace(of.name, read);
    output(c, x, y, n) = bind_link(link, operands, {1, count, 1, 1, 1, 1}).apply(input(c, x, y, n), {c, x, y, n});
    output.bound(c, 0, 1).vectorize(x, 16);
    const Halide::Buffer<float> made = output.realize({1, count, 1, 1});
    return {made.data(), made.data() + count};
}

/// Fails where the row is off by more than the oracle allows, or hides what is no number.
void check(const Link &link, const Floats &values, const Floats &operand) {
    const Floats made = compiled(link, values, operand);
    oracle::Array before({1, int(values.size())}), beside = before;
    for (std::size_t i = 0; i < values.size(); i++) before.values[i] = values[i], beside.values[i] = operand[i];
    oracle::Call::Operands operands{link, {}};
    for (const RowOperand &of : find_row(link.row).operands) operands.arrays.emplace_back(oracle::OperandName(of.name), &beside);
    oracle::Array expected = before;
    oracle::apply_row(operands, expected);
    int wrong = 0;
    for (int i = 0; i < int(values.size()); i++) {
        const double exact = expected(0, i), tolerance = oracle::row_error(operands, before, 0, exact, {0, i, 0, 0});
        // An infinity may become NaN on either side, and NaN of infinities an infinity.
        const bool comes_of_number = !std::isnan(values[i]) && !std::isnan(operand[i]);
        const bool is_same = std::isnan(exact) ? (comes_of_number ? !std::isfinite(made[i]) : std::isnan(made[i]))
                                               : made[i] == float(exact) || std::abs(made[i] - exact) <= tolerance;
        if (is_same) continue;
        UNSCOPED_INFO(link.row << " of " << values[i] << " beside " << operand[i] << " is " << made[i] << ", not " << exact << " +- "
                               << tolerance);
        if (++wrong == 5) break;
    }
    CHECK(wrong == 0);
}

const TensorFile &golden() {
    static const TensorFile file = read_safetensors(ACTIVATIONS);
    return file;
}

/// A tensor of the file, of doubles.
oracle::Array tensor(const std::string &name) {
    const std::vector<double> values = tensor_values<double>(golden(), name);
    oracle::Array array({int(values.size())});
    array.values = values;
    return array;
}

/// The link that a kernel's name has: "leakyreluv0p3".
Link link_of(const std::string &name) { return parse_kernel_name("pointwise__" + name + "__h1w1c1").chain("output").front(); }

void check_close(const oracle::Array &ours, const oracle::Array &theirs) {
    REQUIRE(ours.values.size() == theirs.values.size());
    for (std::size_t i = 0; i < ours.values.size(); i++) {
        CAPTURE(i, ours.values[i], theirs.values[i]);
        // A constant is a float here and a double there.
        CHECK(std::abs(ours.values[i] - theirs.values[i]) <= 0x1p-24 * std::abs(theirs.values[i]) + 1e-13);
    }
}

}  // namespace

TEST_CASE("the oracles of activations and of their gradients are Keras's") {
    int rows = 0;
    const oracle::Array input = tensor("input");
    for (const auto &[name, of] : golden().tensors) {
        if (!name.ends_with("/output")) continue;
        const std::string row = name.substr(0, name.find('/'));
        CAPTURE(row);
        const Link link = link_of(row);
        const RowGradient &gradient = *find_row(link.row).gradient;
        oracle::Array output = input, d_input({int(input.values.size())}, 1);
        oracle::apply_row(link, {}, output);
        check_close(output, tensor(name));
        const oracle::Array &read = gradient.reads == RowGradient::Reads::output ? output : input;
        oracle::apply_row({.row = gradient.row, .constants = link.constants}, {{gradient.operand, read}}, d_input);
        check_close(d_input, tensor(row + "/gradient"));
        rows++;
    }
    CHECK(rows == 21);
}

TEST_CASE("an activation's name is Keras's") {
    for (const Activation &activation : all_activations()) {
        CAPTURE(activation.name);
        CHECK(link_of(golden().metadata.at(activation.name)) == activation.link);
    }
    CHECK(golden().metadata.size() == all_activations().size() + 1);
}

TEST_CASE("activations and their gradients are as exact as they say, over the floats") {
    const Floats values = all_over(), ones(values.size(), 1.0f);
    std::vector<Link> links = {{.row = "boundedrelu", .constants = {5, 0.125f, 1.5f}}};
    for (const Activation &activation : all_activations()) {
        links.push_back(activation.link);
        if (activation.approximate) links.push_back(*activation.approximate);
    }
    for (const Link &link : links) {
        check(link, values, ones);
        const RowGradient &gradient = *find_row(link.row).gradient;
        const Floats read = gradient.reads == RowGradient::Reads::output ? compiled(link, values, ones) : values;
        check({.row = gradient.row, .constants = link.constants}, ones, read);
    }
}
