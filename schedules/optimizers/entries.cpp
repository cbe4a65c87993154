#include "schedules/entries.h"

#include "plan/optimizers.h"

#include <string>
#include <vector>

namespace halcyon {
namespace {

std::string whole_vectors(const Shape &s, const Set &set) {
    if (set.family != "x86") return "the set is not x86";
    return s.elements % set.vector_floats ? "the slab is no multiple of the vector" : "";
}

}  // namespace

std::vector<KernelMenu> optimizers_menus() {
    std::vector<KernelMenu> menus;
    for (const Optimizer &optimizer : all_optimizers())
        menus.push_back({optimizer.name, {{"one_pass", whole_vectors}, {"vectors", on_device}, autoscheduled, reference, gpu_reference}});
    return menus;
}

}  // namespace halcyon
