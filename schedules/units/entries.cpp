#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> units_menus() {
    return {{"prelu_bwd_unit_alpha", {{"channel_vectors", on_x86}, autoscheduled, reference, gpu_reference}},
            {"shared_weights", {autoscheduled, reference, gpu_reference}},
            {"shared_weights_bwd", {autoscheduled, reference, gpu_reference}}};
}

}  // namespace halcyon
