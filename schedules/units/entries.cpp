#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> units_menus() {
    const std::vector<Entry> sums = {{"channel_vectors", on_x86}, autoscheduled, reference, gpu_reference};
    return {{"prelu_bwd_unit_alpha", sums},
            {"group_norm_bwd_unit_weights", sums},
            {"shared_weights", {autoscheduled, reference, gpu_reference}},
            {"shared_weights_bwd", {autoscheduled, reference, gpu_reference}}};
}

}  // namespace halcyon
