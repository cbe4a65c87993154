#include "plan/traffic.h"

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
    const std::vector<KernelArgument> of_kernel = arguments_of(kernel);
    for (std::size_t i = 0; i < of_kernel.size(); ++i)
        if (of_kernel[i].is_updated) add_pass(moved, arguments[i]);
    return moved;
}

}  // namespace halcyon
