// The values of a step of training, and the step buffer (plan/step.h) that the kernels read them from.
#pragma once

#include "plan/optimizers.h"
#include "plan/plan.h"
#include "runtime/engine/update_options.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace halcyon {

/// Everything that changes from step to step or by recipe, in a recipe's own units. Keep one and change its fields: a step must not
/// allocate.
struct StepValues {
    std::uint32_t seed = 0;
    std::uint32_t epoch = 0;     // from 0
    std::uint32_t position = 0;  // the place in the epoch of the batch's first image
    int global_batch = 0;        // images whose mean loss is differentiated, no fewer than the batch's; 0: those of this batch

    float flip_probability = 0;             // of mirroring an image, 0..1
    std::vector<float> dropout_rates = {};  // one for each dropout layer, 0 <= rate, round(65536 rate) < 65536; empty: the plan's own

    std::vector<float> class_weights = {};  // what an image's loss is multiplied by, by its class, finite and at least 0; empty: all 1

    float learning_rate = 0;           // finite, at least 0
    std::int64_t update = 1;           // the number of the optimizer's step, from 1
    std::vector<float> settings = {};  // of the optimizer, in the order of its row and in its ranges (plan/optimizers.h); empty: its own
    UpdateOptions options = {};        // of any optimizer
};

/// Writes what forward and backward pass read, for a batch of so many images. Throws std::invalid_argument for a value out of range.
void write_step(std::span<std::uint32_t> words, const Plan &plan, const StepValues &values, std::size_t batch);

/// Writes what the optimizer reads, likewise. Where some weights are excluded from their decay, it reads of none.
void write_optimizer_step(std::span<std::uint32_t> words, const Optimizer &optimizer, const StepValues &values);

/// What weights decay by in such a step.
WeightDecay weight_decay(const Optimizer &optimizer, const StepValues &values);

}  // namespace halcyon
