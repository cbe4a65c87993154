// Runs the oracles with no more said than what they compute from: a core's inputs, and rows with their operands beside them.
#pragma once

#include "plan/kernel.h"
#include "tests/kernels/oracle.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {

/// A link of a chain and its operands, by the row's names for them.
struct BoundRow {
    BoundRow(Link link, std::map<std::string, oracle::Array> operands = {}) : link(std::move(link)), operands(std::move(operands)) {}

    Link link;
    std::map<std::string, oracle::Array> operands;
};
using BoundRows = std::vector<BoundRow>;

/// What the rows make of `values`, one after the other.
inline oracle::Array applied(const BoundRows &rows, oracle::Array values) {
    for (const BoundRow &row : rows) oracle::apply_row(row.link, row.operands, values);
    return values;
}

/// The row that makes the gradient of a loss's logits.
inline BoundRow loss_gradient(const std::string &row, float label_smoothing, const oracle::Array &labels, const oracle::Array &indices,
                              const oracle::Array &step) {
    Link link{row};
    if (label_smoothing > 0) link.row = "smoothed" + row, link.constants = {label_smoothing};
    return {link, {{"labels", labels}, {"indices", indices}, {"step", step}}};
}

using BoundChains = std::map<std::string, BoundRows>;

inline Kernel kernel_of(const std::string &core, const Shape &shape, const BoundChains &chains) {
    Kernel kernel{core, shape};
    for (const auto &[place, rows] : chains)
        for (const BoundRow &row : rows) kernel.chains[place].push_back(row.link);
    return kernel;
}

/// Runs a core, with `chains` at its places, and returns its outputs. `given` are its inputs, and behind them the outputs that it updates,
/// which are 0 where they are not given.
inline std::vector<oracle::Array> run(const std::string &core, const Shape &shape, const std::vector<oracle::Array> &given,
                                      const BoundChains &chains = {}) {
    const Kernel kernel = kernel_of(core, shape, chains);
    std::map<std::string, oracle::Array> known;
    for (const auto &[place, rows] : chains)
        for (int i = 0; i < int(rows.size()); i++)
            for (const auto &operand : find_row(rows[i].link.row).operands)
                if (const auto array = rows[i].operands.find(operand.name); array != rows[i].operands.end())
                    known.insert_or_assign(operand_name(kernel, place, i, operand), array->second);
    int images = 1;
    std::size_t next = 0;
    for (const Argument &input : kernel.of().inputs) {
        const oracle::Array &array = known.insert_or_assign(input.name, given.at(next++)).first->second;
        const std::vector<int> extents = extents_of(input.role, shape);
        for (int d = 0; d < int(extents.size()); d++)
            if (extents[d] == batch_extent) images = array.extent(d);
    }
    for (const Argument &output : kernel.of().outputs)
        if (output.updated && next < given.size()) known.insert_or_assign(output.name, given[next++]);

    std::vector<oracle::Array> arguments;
    for (KernelArgument &argument : arguments_of(kernel)) {
        std::ranges::replace_if(argument.extents, counts_images, images);
        const auto array = known.find(argument.name);
        arguments.push_back(argument.is_output && array == known.end() ? oracle::Array(argument.extents) : known.at(argument.name));
    }
    oracle::compute(kernel, arguments);
    return {arguments.end() - std::ptrdiff_t(kernel.of().outputs.size()), arguments.end()};
}

}  // namespace halcyon
