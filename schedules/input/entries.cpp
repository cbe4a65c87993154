#include "schedules/entries.h"

#include <vector>

namespace halcyon {

// The fold works on a few channels, once in a run: its references do.
std::vector<KernelMenu> input_menus() {
    return {{"input_fwd", {{"rows", on_x86}, {"pixels", on_device}, autoscheduled, reference, gpu_reference}},
            {"normalization_fold", {autoscheduled, reference, gpu_reference}}};
}

}  // namespace halcyon
