#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> targets_loss_menus() {
    std::vector<KernelMenu> menus;
    for (const char *core : {"binary_cross_entropy_fwd", "squared_error_fwd"})
        menus.push_back({core, {{"unit_vectors", on_x86_up_to<1024>}, autoscheduled, reference, gpu_reference}});
    return menus;
}

}  // namespace halcyon
