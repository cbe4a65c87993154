#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> group_norm_menus() {
    std::vector<KernelMenu> menus;
    for (const char *statistics : {"group_norm_stats", "group_norm_bwd_means"})
        menus.push_back({statistics, {{"group_sums", on_x86_up_to<4096>}, autoscheduled, reference, gpu_reference}});
    for (const char *pass : {"group_norm_fwd", "group_norm_bwd_data"}) menus.push_back(channel_vectors_menu(pass));
    return menus;
}

}  // namespace halcyon
