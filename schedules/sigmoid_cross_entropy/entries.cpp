#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> sigmoid_cross_entropy_menus() { return {{"sigmoid_cross_entropy_fwd", {autoscheduled, reference, gpu_reference}}}; }

}  // namespace halcyon
