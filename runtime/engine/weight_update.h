// What an update does beside the optimizer's kernel, where a recipe or the model asks for it. It is done on the host, a tensor at a time
// and each in a fixed order: the same bits with any number of threads and on any set. A device's gradients and weights are copied for it.
#pragma once

#include "plan/plan.h"
#include "runtime/engine/threads.h"
#include "runtime/engine/update_options.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

class WeightUpdate {
public:
    /// `threads` must outlive it.
    WeightUpdate(const Plan &plan, ThreadPool &threads);

    /// Clips a slab of gradients. NaN stays, and a norm that is NaN or infinite makes NaN.
    void clip(std::span<float> gradients, const Clipping &clipping);

    /// Shrinks weights, and adds to their gradients those of l2 / 2 times their squares, but for the excluded ones.
    void decay(std::span<float> parameters, std::span<float> gradients, const WeightDecay &decay, std::span<const std::string> excluded);

    /// Takes the weights of an update, by its number from 1, into their averages, and overwrites them where it is time.
    void average(std::span<float> parameters, std::span<float> averages, const Averaging &averaging, std::int64_t update);

    /// Whether a weight of the plan has a constraint.
    bool constrains() const { return !non_negative_.empty() || !normed_.empty(); }

    /// Makes of a slab of weights what their constraints do.
    void constrain(std::span<float> parameters);

private:
    /// A part of a tensor, a task of its own.
    struct Part {
        std::size_t tensor, first, count;
        double sum = 0;
    };

    /// A tensor whose norms are constrained, in rows along its last axis.
    struct Normed {
        Constraint constraint;
        std::size_t first, columns;
        bool of_columns;                       // each column has norms of its own; else a norm takes in whole rows
        std::vector<std::size_t> norm_of_row;  // of which norm a row is a part, or of which row of norms
        std::vector<double> norms;
    };

    /// Some columns of one, a task of its own.
    struct Columns {
        std::size_t tensor, begin, end;
    };

    void add_constraint(const Parameter &parameter);
    static void constrain(Normed &tensor, const Columns &columns, std::span<float> weights);

    ThreadPool &threads_;
    std::vector<Part> parts_;  // of the trained tensors, in their order
    std::vector<std::string> names_;
    std::vector<double> squares_;  // the sum of each tensor's
    std::vector<Part> non_negative_;
    std::vector<Normed> normed_;
    std::vector<Columns> columns_;  // of all of these
};

}  // namespace halcyon
