#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/devices/device.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

/// Why this machine cannot run a compiled set; "" where it can.
std::string why_not(const SetPlan &plan) {
    const auto known = std::ranges::find(all_sets(), plan.set, &Set::name);
    return known == all_sets().end() ? "this program does not know it" : why_not(*known);
}

/// What a set runs on where it can: "this machine", or the device.
std::string runs_on(const SetPlan &plan) { return device_of(plan.set) ? to_string(describe_device(plan.set)) : "this machine"; }

/// The calls of a set's programs, each compiled kernel once.
std::vector<Call> distinct_calls(const SetPlan &set) {
    std::vector<Call> calls;
    std::set<std::string> seen;
    for (const Program &program : set.programs)
        for (const Call &call : program.calls)
            if (seen.insert(call.symbol).second) calls.push_back(call);
    return calls;
}

void print_as_json(const Plan &plan, const std::string &automatic) {
    ordered_json sets = ordered_json::array();
    for (const SetPlan &set : plan.sets) {
        ordered_json kernels = ordered_json::array();
        for (const Call &call : distinct_calls(set))
            kernels.push_back({{"kernel", work_name(call.kernel)},
                               {"layer", call.layer},
                               {"entry", call.entry},
                               {"reason", call.reason},
                               {"symbol", call.symbol}});
        const std::string reason = why_not(set);
        sets.push_back({{"name", set.set},
                        {"target", set.target},
                        {"runs", reason.empty()},
                        {"reason", reason},
                        {"device", reason.empty() ? runs_on(set) : ""},
                        {"kernels", kernels}});
    }
    print_json({{"auto", automatic}, {"sets", sets}});
}

/// A line per kernel: which of its entries serve how many layers.
void print_kernels(const SetPlan &set) {
    std::vector<std::string> kernels;
    std::map<std::string, std::map<std::string, int>> entries;
    for (const Call &call : distinct_calls(set)) {
        const std::string kernel = work_name(call.kernel);
        if (!entries.contains(kernel)) kernels.push_back(kernel);
        ++entries[kernel][call.entry];
    }
    std::size_t width = 0;
    for (const std::string &kernel : kernels) width = std::max(width, kernel.size());
    for (const std::string &kernel : kernels) {
        std::string text;
        for (const auto &[entry, count] : entries[kernel]) text += fmt::format("{}{} x{}", text.empty() ? "" : ", ", entry, count);
        fmt::print("    {:<{}}  {}\n", kernel, width, text);
    }
}

void print_text(const Plan &plan, const std::string &automatic) {
    fmt::print("model {}: {} schedule sets, auto takes {}\n", plan.model, plan.sets.size(), automatic.empty() ? "none" : automatic);
    for (const SetPlan &set : plan.sets) {
        const std::string reason = why_not(set);
        fmt::print("\n{}: {}\n    target {}\n", set.set,
                   printable(reason.empty() ? "runs on " + runs_on(set) : "cannot run here: " + reason), set.target);
        print_kernels(set);
    }
}

/// The set that auto takes; "" where this machine can run none.
std::string automatic_set(const Plan &plan) {
    const bool any = std::any_of(plan.sets.begin(), plan.sets.end(), [](const SetPlan &set) { return why_not(set).empty(); });
    return any ? choose_set("auto", compiled_sets(plan)).name : "";
}

}  // namespace

int run_schedules(const halcyon_model &model, bool json) {
    const Plan plan = plan_of(model);
    const std::string automatic = automatic_set(plan);
    json ? print_as_json(plan, automatic) : print_text(plan, automatic);
    return exit_done;
}

}  // namespace halcyon
