// What this machine can do at most, measured in the run that it is compared with.
#pragma once

#include "compiler/machine_peaks.h"
#include "runtime/threads.h"

namespace halcyon {

MachinePeaks measure_machine_peaks(ThreadPool &threads);

}  // namespace halcyon
