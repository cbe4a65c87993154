#include "schedules/entries.h"

#include <string>
#include <vector>

namespace halcyon {

/// Of means and of plain sums, which have the same loops.
std::vector<KernelMenu> average_pool2d_menus() {
    std::vector<KernelMenu> menus;
    for (const std::string layer : {"average_pool2d", "window_sum2d"}) {
        menus.push_back({layer + "_fwd",
                         {{"channel_vectors", both<on_x86, no_large_window>, nullptr, any_that_draws_nothing},
                          {"image_blocks", both<on_x86, one_large_window>, nullptr, any_that_draws_nothing},
                          {"vectors", on_device, nullptr, any_that_draws_nothing},
                          autoscheduled_with_chains,
                          reference,
                          gpu_reference}});
        menus.push_back(channel_vectors_menu(layer + "_bwd"));
    }
    return menus;
}

}  // namespace halcyon
