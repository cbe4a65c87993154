// What the tests of the planner share: models, random and not, and a menu of their own.
#pragma once

#include "compiler/model.h"
#include "compiler/planner.h"
#include "tests/catch.h"
#include "tests/text.h"

#include <random>
#include <string>
#include <vector>

namespace halcyon {

/// The shipped network.
Model cifar10();

/// A model file "t.json" with these layers; `layers` is what stands between the list's brackets.
std::string model_text(const std::string &layers, const std::string &input = "8, 8, 3");
Model make_model(const std::string &layers);

/// What ends a chain of layers.
inline const std::string head = R"(, {"type": "flatten"}, {"type": "dense", "units": 3, "activation": "softmax"})";

/// A network with branches that part, nest and meet again in `add`, of about `size` layers.
Model random_model(std::mt19937 &random, int size);

/// The text of a chain of about `length` layers, every size drawn from `sizes`; it need not be sound.
std::string random_chain(std::mt19937 &random, int length, const std::vector<int> &sizes);

/// What a call computes: "conv2d_fwd", with its chains "max_pool2d_fwd input[affine] output[dropout]"; of a pass the rows: "affine, relu".
std::string name_of(const Operation &operation);

/// Of all calls the layer and name_of(): "conv2d: conv2d_fwd output[relu]".
std::vector<std::string> calls_of(const Graph &graph);

/// The first call of `name`, of the layer where one is given: a name_of(), or a core alone with whatever chains it has. Throws
/// std::out_of_range where there is none.
const Operation &find(const Graph &graph, const std::string &name, const std::string &layer = "");

/// All such calls, and how many there are.
std::vector<Operation> find_all(const Graph &graph, const std::string &name, const std::string &layer = "");
int count(const Graph &graph, const std::string &name);

/// The places of the calls that read `value`, and of the one that writes it: -1 where there is none.
std::vector<int> readers(const Graph &graph, int value);
int writer(const Graph &graph, int value);

/// A menu where every core has the entry "tuned", with a workspace, but the optimizers and those that join a batch norm's statistics and
/// its pass, which would hide what other rules do to the pass. It refuses inputs of 3 channels, and takes every chain.
const std::vector<Entry> &tuned_menu(std::string_view core);

/// The same but for chains: it takes those that Entry::refuses_chains leaves it where an entry has none of its own.
const std::vector<Entry> &behind_menu(std::string_view core);

/// A menu of references alone.
const std::vector<Entry> &reference_menu(std::string_view core);

const Set &x86_avx2();

/// Fusion with the entries of a menu.
std::vector<Fusion> fuse(Graph &graph, const Set &set, Menu menu = halcyon::menu);

}  // namespace halcyon

/// An operand in the message of a failed check.
template<>
struct Catch::StringMaker<halcyon::Operand> {
    static std::string convert(const halcyon::Operand &operand) { return operand.name + ": " + std::to_string(operand.value); }
};
