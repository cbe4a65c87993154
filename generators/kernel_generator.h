// The generator of all kernels: it makes the inputs and outputs that the list of cores and the chains ask for, has the core's algorithm
// built of them (generators/algorithms.cpp), and applies the entry.
#pragma once

#include "generators/pointwise.h"
#include "plan/kernel.h"
#include "plan/menu.h"
#include "schedules/chains.h"
#include "schedules/schedules.h"

#include <Halide.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace halcyon {

class KernelGenerator;

/// An algorithm of a core: it makes the stages of the generator's inputs and binds them to its outputs.
struct Algorithm {
    void (*build)(KernelGenerator &);
    std::vector<std::string> (*entries)();  // those that a schedule is bound to
};

/// The algorithm of each core, by its name.
using Algorithms = std::map<std::string, Algorithm, std::less<>>;
const Algorithms &algorithms();

class KernelGenerator : public Halide::Generator<KernelGenerator> {
public:
    Halide::GeneratorParam<std::string> kernel{"kernel", ""};  // a kernel_name()
    Halide::GeneratorParam<std::string> set{"set", "reference"}, entry{"entry", "reference"};

    void configure();
    void generate() { algorithms().at(spec_.core).build(*this); }
    void schedule();

    const std::string &core() const { return spec_.core; }
    const Shape &shape() const { return spec_.shape; }

    /// An input, with the chain before it.
    Halide::Func input(const std::string &name) { return chained(raw_input(name), chain(name)); }
    Halide::Func raw_input(const std::string &name) { return Halide::Func(*inputs_.at(name)); }

    /// The images of the batch, by an activation that the kernel reads.
    Halide::Expr images(const std::string &activation) { return inputs_.at(activation)->dim(3).extent(); }

    /// The extent of an input without a fixed one.
    Halide::Expr extent(const std::string &name, int dimension) { return inputs_.at(name)->dim(dimension).extent(); }

    /// The chain at a place of the core.
    BoundChain chain(const std::string &place);

    /// Builds an algorithm's stages, which the entry's schedule is applied to.
    template<typename Stages, typename... Arguments>
    Stages &make(Arguments &&...arguments) {
        const auto stages = std::make_shared<Stages>(std::forward<Arguments>(arguments)...);
        apply_entry_ = [this, stages] { apply_schedule(*stages, shape(), schedule_set(), entry.value()); };
        return *stages;
    }

    void output(const std::string &name, const Halide::Func &func) { *outputs_.at(name) = func; }

    /// The same with the chain behind it, which schedules take for what the algorithm writes.
    void chained_output(const std::string &name, Halide::Func &func) { output(name, func = chained(func, chain(name))); }

    /// Says that an output is of as many images as another.
    void share_images(const std::string &name, const std::string &other) {
        auto &output = *outputs_.at(name);
        const int images = Halide::Func(output).dimensions() - 1;
        output.dim(images).set_bounds(0, outputs_.at(other)->dim(3).extent());
    }

    /// Slabs, which one loop updates.
    void slabs(const Halide::Func &func) { *slabs_ = func; }

    /// Where the entry asks for the workspace `name`, `stage` is stored there instead of in memory of the kernel's own.
    void place(const std::string &name, const Halide::Func &stage);

    /// An autoscheduler also wants to know how large each argument may be: as large as it must be, and of the batch 64 images.
    Halide::Pipeline build_pipeline() override;

private:
    Set schedule_set() const { return select_sets({set.value()}).front(); }
    ChainedActivation activation_at(const Argument &place);

    Kernel spec_;
    std::map<std::string, Halide::GeneratorInput<Halide::Buffer<>> *> inputs_;
    std::map<std::string, Halide::GeneratorOutput<Halide::Buffer<>> *> outputs_;
    Halide::GeneratorOutput<Halide::Func> *slabs_ = nullptr;
    std::map<std::string, std::vector<int>> workspaces_;  // their extents
    std::map<std::string, BoundChain> chains_;
    std::function<void()> apply_entry_;
};

}  // namespace halcyon
