#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> add_menus() {
    return {{"add", {{"channel_vectors", on_x86}, {"vectors", on_device}, autoscheduled, reference, gpu_reference}}};
}

}  // namespace halcyon
