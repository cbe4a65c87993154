#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> average_pool2d_menus() {
    return {{"average_pool2d_fwd",
             {{"channel_vectors", both<on_x86, no_large_window>, nullptr, any_that_draws_nothing},
              {"image_blocks", both<on_x86, one_large_window>, nullptr, any_that_draws_nothing},
              {"vectors", on_device, nullptr, any_that_draws_nothing},
              autoscheduled_with_chains,
              reference,
              gpu_reference}},
            {"average_pool2d_bwd",
             {{"channel_vectors", on_x86, nullptr, any_that_draws_nothing},
              {"vectors", on_device, nullptr, any_that_draws_nothing},
              autoscheduled_with_chains,
              reference,
              gpu_reference}}};
}

}  // namespace halcyon
