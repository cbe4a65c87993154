#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> softmax_cross_entropy_menus() {
    return {{"softmax_cross_entropy_fwd",
             {{"class_vectors", on_x86_up_to<4096>}, {"images", on_device}, autoscheduled, reference, gpu_reference}},
            {"softmax_cross_entropy", {{"images", on_device}, reference, gpu_reference}}};
}

}  // namespace halcyon
