#include "plan/menu.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace halcyon {

const std::vector<Set> &all_sets() {
    constexpr const char *avx2 = "x86-64-linux-sse41-avx-f16c-fma-avx2";
    static const std::vector<Set> sets = {
        {"cuda", "gpu", "x86-64-linux-sse41-cuda-cuda_capability_80", StorageOrder::hwnc, 4, 16},
        {"x86_avx512", "x86", "x86-64-linux-sse41-avx-f16c-fma-avx2-avx512-avx512_skylake", StorageOrder::hwnc, 16, 32},
        {"x86_avx2", "x86", avx2, StorageOrder::hwnc, 8, 16},
        {"x86_sse41", "x86", "x86-64-linux-sse41", StorageOrder::hwnc, 4, 16},
        {"reference", "reference", "x86-64-linux-sse41", StorageOrder::nhwc, 4, 16},
        {"opencl", "gpu", "x86-64-linux-sse41-opencl", StorageOrder::hwnc, 4, 16},
        {"mullapudi2016", "autoscheduled", avx2, StorageOrder::hwnc, 8, 16, "Mullapudi2016"},
        {"adams2019", "autoscheduled", avx2, StorageOrder::hwnc, 8, 16, "Adams2019"},
        {"li2018", "autoscheduled", avx2, StorageOrder::hwnc, 8, 16, "Li2018"},
    };
    return sets;
}

std::vector<Set> select_sets(const std::vector<std::string> &names) {
    for (const std::string &name : names) {
        bool known = false;
        std::vector<std::string> there_are;
        for (const Set &set : all_sets()) {
            known = known || name == set.name || name == set.family;
            there_are.push_back(set.name);
        }
        if (!known)
            throw std::invalid_argument(fmt::format("there is no schedule set \"{}\"; there are {}", name, fmt::join(there_are, ", ")));
    }
    std::vector<Set> selected;
    for (const Set &set : all_sets())
        for (const std::string &name : names)
            if (name == set.name || name == set.family) {
                selected.push_back(set);
                break;
            }
    return selected;
}

namespace {

/// Entry::refuses_chains where an entry has none of its own.
std::string takes_behind(const Kernel &kernel, const Set &) {
    for (const Argument &input : kernel.of().inputs)
        if (!kernel.chain(input.name).empty()) return fmt::format("it reads its {} again and again", input.name);
    for (const auto &[place, chain] : kernel.chains)
        if (draws(chain)) return "random numbers would be drawn for a channel in four";
    return "";
}

}  // namespace

std::string refusal(const Entry &entry, const Kernel &kernel, const Set &set) {
    if (std::string reason = entry.refuses(kernel.shape, set); !reason.empty()) return reason;
    return (entry.refuses_chains ? entry.refuses_chains : takes_behind)(kernel, set);
}

const std::vector<Entry> &menu(std::string_view core) {
    const auto found = std::ranges::find(all_menus(), core, &KernelMenu::core);
    if (found == all_menus().end()) throw std::invalid_argument(fmt::format("there is no core \"{}\"", core));
    return found->entries;
}

}  // namespace halcyon
