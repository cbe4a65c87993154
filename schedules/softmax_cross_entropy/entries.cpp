#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> softmax_cross_entropy_menus() {
    std::vector<KernelMenu> menus = {{"softmax_cross_entropy", {{"images", on_device}, reference, gpu_reference}}};
    for (const char *core : {"softmax_cross_entropy_fwd", "categorical_cross_entropy_fwd", "categorical_cross_entropy_bwd"})
        menus.push_back({core, {{"class_vectors", on_x86_up_to<4096>}, {"images", on_device}, autoscheduled, reference, gpu_reference}});
    return menus;
}

}  // namespace halcyon
