// What the tests of the planner share: models, random and not, and a menu of their own.
#pragma once

#include "compiler/model.h"
#include "compiler/planner.h"

#include <functional>
#include <random>
#include <string>
#include <vector>

namespace halcyon {

/// The shipped network.
Model cifar10();

/// A model file "t.json" with these layers; `layers` is what stands between the list's brackets.
std::string model_text(const std::string &layers, const std::string &input = "8, 8, 3");
Model make_model(const std::string &layers);

/// The message of what `action` throws; "" where it throws nothing.
std::string failure_of(const std::function<void()> &action);

/// A network with branches that part, nest and meet again in `add`, of about `size` layers.
Model random_model(std::mt19937 &random, int size);

/// The text of a chain of about `length` layers, every size drawn from `sizes`; it need not be sound.
std::string random_chain(std::mt19937 &random, int length, const std::vector<int> &sizes);

/// A menu where every kernel has the entry "tuned", with a workspace, but the optimizers and those that join a batch norm's statistics and
/// its pass, which would hide what other rules do to the pass. It refuses inputs of 3 channels.
const std::vector<Entry> &tuned_menu(std::string_view kernel);

/// A menu of references alone.
const std::vector<Entry> &reference_menu(std::string_view kernel);

const Set &x86_avx2();

/// Fusion with the entries of a menu.
std::vector<Fusion> fuse(Graph &graph, const Set &set, Menu menu = halcyon::menu);

}  // namespace halcyon
