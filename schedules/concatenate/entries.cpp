#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> concatenate_menus() {
    return {{"concatenate", {{"channel_vectors", on_x86}, autoscheduled, reference, gpu_reference}},
            channel_vectors_menu("first_channels"),
            channel_vectors_menu("last_channels")};
}

}  // namespace halcyon
