// The menus, the kernel list and kernel_gen agree on what there is.
#include "compiler/kernels.h"
#include "schedules/menu.h"
#include "tests/catch.h"

#include <cstdio>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>

using namespace halcyon;

namespace {

using KernelEntry = std::pair<std::string, std::string>;

std::string run(const std::string &command) {
    const std::unique_ptr<FILE, int (*)(FILE *)> pipe(popen(command.c_str(), "r"), pclose);
    std::string output;
    for (int c; pipe && (c = std::fgetc(pipe.get())) != EOF;) output += char(c);
    return output;
}

}  // namespace

TEST_CASE("every menu ends in a reference that accepts anything") {
    Shape odd{.in_h = 13, .in_w = 1, .in_c = 7, .out_h = 5, .out_w = 1, .out_c = 1, .kernel_h = 5, .kernel_w = 3, .stride_h = 3};
    odd.pad_top = 2, odd.relu = 1, odd.dropout = 9, odd.elements = 1, odd.epsilon = 0.5f, odd.momentum = 1;
    for (const Kernel &kernel : all_kernels()) {
        INFO(kernel.name);
        const std::vector<Entry> &entries = menu(kernel.name);
        REQUIRE_FALSE(entries.empty());
        CHECK(entries.back().name == "reference");
        for (const Set &set : all_sets())
            for (const Shape &shape : {Shape{}, odd}) CHECK(entries.back().refuses(shape, set) == "");
    }
}

TEST_CASE("entries have names of their own") {
    for (const Kernel &kernel : all_kernels()) {
        INFO(kernel.name);
        std::set<std::string> names;
        for (const Entry &entry : menu(kernel.name)) CHECK(names.insert(entry.name).second);
    }
}

TEST_CASE("kernel_gen has a schedule for every entry of every menu, and no other") {
    std::set<KernelEntry> menus, generated;
    for (const Kernel &kernel : all_kernels())
        for (const Entry &entry : menu(kernel.name)) menus.insert({kernel.name, entry.name});

    std::istringstream list(run("'" HALCYON_KERNEL_GEN "' --list"));
    for (KernelEntry line; list >> line.first >> line.second;) generated.insert(line);
    CHECK(generated == menus);
}
