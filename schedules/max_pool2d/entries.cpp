#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> max_pool2d_menus() {
    return {{"max_pool2d_fwd",
             {{"lanes", on_x86_up_to<16384>, nullptr, one_that_draws},
              {"channel_vectors", both<on_x86, no_large_window>, nullptr, any_that_draws_nothing},
              {"image_blocks", both<on_x86, one_large_window>, nullptr, any_that_draws_nothing},
              {"lane_threads", on_device, nullptr, one_that_draws},
              {"vectors", on_device, nullptr, any_that_draws_nothing},
              autoscheduled_with_chains,
              reference,
              gpu_reference}},
            {"max_pool2d_bwd",
             {{"windows", both<both<on_x86, separate_windows>, no_large_window>, nullptr, any_that_draws_nothing},
              {"channel_vectors", both<on_x86, no_large_window>, nullptr, any_that_draws_nothing},
              {"image_blocks", both<on_x86, one_large_window>, nullptr, any_that_draws_nothing},
              {"window_vectors", both<on_device, separate_windows>, nullptr, any_that_draws_nothing},
              {"vectors", on_device, nullptr, any_that_draws_nothing},
              autoscheduled_with_chains,
              reference,
              gpu_reference}}};
}

}  // namespace halcyon
