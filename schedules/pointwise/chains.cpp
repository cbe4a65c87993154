#include "schedules/chains.h"

#include "schedules/x86/pixels.h"

namespace halcyon {

void schedule_chain(const BoundChain &chain, int channels, const Set &set, const std::string &entry) {
    if (set.on_device() || entry == "autoscheduled") return;
    for (DropoutMask &mask : chain.masks()) mask.key.compute_root();
    if (entry == "reference") return;
    for (Halide::Func &values : chain.channel_values())
        values.compute_root().vectorize(values.args().front(), channel_vector(channels, set), Halide::TailStrategy::ShiftInwards);
}

}  // namespace halcyon
