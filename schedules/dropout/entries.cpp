#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> dropout_menus() {
    return {{"dropout", {{"lanes", on_x86_up_to<16384>}, {"lane_threads", on_device}, autoscheduled, reference, gpu_reference}}};
}

}  // namespace halcyon
