// What a kernel moves: every argument once, those updated in place twice.
#pragma once

#include "plan/plan.h"

#include <cstdint>
#include <span>

namespace halcyon {

/// Bytes read and written: a number for each image, which an argument with an extent for the batch or the records adds to, and a fixed one.
struct Traffic {
    std::int64_t per_image = 0, fixed = 0;

    std::int64_t bytes(int images) const { return per_image * images + fixed; }
};

/// `arguments` are the kernel's inputs, its outputs and its entry's workspaces.
Traffic traffic(const Kernel &kernel, std::span<const Buffer> arguments);

}  // namespace halcyon
