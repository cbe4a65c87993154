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

const std::vector<Entry> &menu(std::string_view kernel) {
    const auto found = std::ranges::find(all_menus(), kernel, &KernelMenu::kernel);
    if (found == all_menus().end()) throw std::invalid_argument(fmt::format("there is no kernel \"{}\"", kernel));
    return found->entries;
}

}  // namespace halcyon
