// Dropout on devices, behind whatever else the pass does.
#pragma once

#include "generators/layers/dropout.h"

namespace halcyon {

/// A thread per element of all four lanes, which share a pair of random words: drawing one takes longer than the rest.
void lane_threads(Dropout &f);

}  // namespace halcyon
