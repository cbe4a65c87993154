// What chains of pointwise functions compute beside their expressions, whatever kernel they are in.
#pragma once

#include "generators/pointwise.h"
#include "plan/menu.h"

#include <string>

namespace halcyon {

/// Schedules what `chain`, applied to an activation of so many `channels`, computes once for each channel or for the whole call. On the
/// host that comes before the loops; on devices it stays in a thread's registers.
void schedule_chain(const BoundChain &chain, int channels, const Set &set, const std::string &entry);

}  // namespace halcyon
