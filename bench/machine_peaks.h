// What this machine can do at most, measured in the run that it is compared with.
#pragma once

#include "plan/machine_peaks.h"
#include "runtime/engine/threads.h"

namespace halcyon {

MachinePeaks measure_machine_peaks(ThreadPool &threads);

}  // namespace halcyon
