#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> pointwise_menus() {
    return {{"pointwise",
             {{"lanes", on_x86_up_to<16384>, nullptr, one_that_draws},
              {"channel_vectors", on_x86, nullptr, any_that_draws_nothing},
              {"lane_threads", on_device, nullptr, one_that_draws},
              {"vectors", on_device, nullptr, any_that_draws_nothing},
              {"autoscheduled", by_autoscheduler, nullptr, any_chain},
              reference,
              gpu_reference}},
            {"pointwise_weights",
             {{"channel_vectors", on_x86, nullptr, any_that_draws_nothing},
              {"vectors", on_device, nullptr, any_that_draws_nothing},
              {"autoscheduled", by_autoscheduler, nullptr, any_chain},
              reference,
              gpu_reference}}};
}

}  // namespace halcyon
