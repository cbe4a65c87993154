#include "plan/traffic.h"

#include <algorithm>

namespace halcyon {
namespace {

void add_pass(Traffic &traffic, const Buffer &buffer) {
    std::int64_t bytes = buffer.type == "uint8" ? 1 : buffer.type == "uint16" ? 2 : 4;
    bool images = false;
    for (const int extent : buffer.extents)
        if (extent > 0)
            bytes *= extent;
        else
            images = true;
    (images ? traffic.per_image : traffic.fixed) += bytes;
}

}  // namespace

Traffic traffic(const Kernel &kernel, std::span<const Buffer> arguments) {
    Traffic moved;
    for (const Buffer &argument : arguments) add_pass(moved, argument);
    for (std::size_t i = 0; i < kernel.outputs.size(); ++i)
        if (std::ranges::find(kernel.updated, kernel.outputs[i]) != kernel.updated.end())
            add_pass(moved, arguments[kernel.inputs.size() + i]);
    return moved;
}

}  // namespace halcyon
