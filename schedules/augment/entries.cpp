#include "schedules/entries.h"

#include <string>
#include <vector>

namespace halcyon {
namespace {

/// A block keeps the sums of all rows and channels of its image in shared memory, beside those of the channels.
std::string rows_of_sums(const Shape &s, const Set &set) {
    const double bytes = 4.0 * s.in_c * (s.in_h + 2);
    return first_refusal({on_device(s, set), bytes > 48 * 1024 ? "the sums of its rows do not fit a block" : ""});
}

}  // namespace

std::vector<KernelMenu> augment_menus() {
    return {{"augment", {{"images", on_x86}, {"image_blocks", rows_of_sums}, autoscheduled, reference, gpu_reference}}};
}

}  // namespace halcyon
