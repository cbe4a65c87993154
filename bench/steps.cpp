#include "bench/benchmarks.h"

#include "runtime/data/synthetic.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace halcyon {
namespace {

/// Synthetic images in the plan's form.
Dataset images_for(const Plan &plan, int images) {
    SyntheticForm form{plan.in_h, plan.in_w, plan.in_c};
    if (plan.classes > 0) form.classes = plan.classes;
    Dataset data = make_synthetic(Split::train, images, 1, form);
    data.units = plan.targets;
    data.targets.assign(static_cast<std::size_t>(images) * static_cast<std::size_t>(plan.targets), 0.5f);
    return data;
}

/// A network on such images; every step takes the same batch, as conversion and flips are part of it.
struct Fixture {
    Dataset data;
    Network network;
    std::vector<std::int32_t> records;

    Fixture(const halcyon_model &model, const Plan &plan, const std::string &set, int threads, int batch)
        : data(images_for(plan, batch)), network(model, plan, set, threads, batch), records(all_records(data)) {
        network.initialize(1);
        network.bind_data(data.pixels.records(), data.answers());
    }
};

void train(benchmark::State &state, Fixture &&fixture) {
    TrainingStep step{fixture.records, {}};
    step.values.learning_rate = 1e-3f;
    step.values.flip_probability = 0.5f;
    step.values.dropout_rates.assign(static_cast<std::size_t>(fixture.network.plan().dropout_layers), 0.1f);
    std::vector<TrainingStep> steps(static_cast<std::size_t>(fixture.network.steps_ahead()), step);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        const double seconds = seconds_of([&] { fixture.network.train(find_optimizer("adam"), steps); });
        state.SetIterationTime(seconds / static_cast<double>(steps.size()));
    }
}

void infer(benchmark::State &state, Fixture &&fixture) {
    for (auto iteration : state) {
        static_cast<void>(iteration);
        state.SetIterationTime(seconds_of([&] { fixture.network.infer(fixture.records); }));
    }
}

/// What convolutions and products compute for an image. The rest of a program moves memory.
double flops_of(const SetPlan &set, const std::vector<std::string> &programs) {
    double flops = 0;
    for (const Program &program : set.programs)
        for (auto call = program.calls.begin() + program.prepared_calls; call != program.calls.end(); ++call)
            if (std::ranges::find(programs, program.name) != programs.end() && call->kernel.core.find("conv2d") != std::string::npos)
                flops += call->flops;
    return flops;
}

}  // namespace

void register_steps(const halcyon_model &model, const Plan &plan, const BenchOptions &options, Results &results) {
    for (const SetPlan &set : plan.sets) {
        if (!why_not(select_sets({set.set}).front()).empty()) continue;
        const auto add = [&](const char *step, const std::vector<std::string> &programs, int batch, auto function) {
            results.steps.push_back({.step = step, .set = set.set, .batch = batch, .flops = batch * flops_of(set, programs)});
            benchmark::RegisterBenchmark(results.steps.back().name().c_str(),
                                         [&model, &plan, &set, threads = options.threads, batch, function](benchmark::State &state) {
                                             function(state, Fixture(model, plan, set.set, threads, batch));
                                         })
                ->UseManualTime()
                ->MinTime(1)
                ->Unit(benchmark::kMillisecond);
        };
        for (const int batch : options.batches) {
            add("train", {"features", "gradients"}, batch, train);
            add("infer", batch == 1 ? std::vector<std::string>{"infer_one"} : std::vector<std::string>{"features", "infer"}, batch, infer);
        }
    }
}

}  // namespace halcyon
