#include "bench/benchmarks.h"

#include "runtime/machine.h"
#include "runtime/network.h"
#include "runtime/synthetic.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <numeric>
#include <string>
#include <vector>

namespace halcyon {
namespace {

/// A network on synthetic images; every step takes the same batch, as conversion and flips are part of it.
struct Fixture {
    Dataset data;
    Network network;
    std::vector<std::int32_t> records;

    Fixture(const halcyon_model &model, const std::string &set, const BenchOptions &options)
        : data(make_synthetic(Split::train, options.batch)), network(model, set, options.threads, options.batch),
          records(static_cast<std::size_t>(options.batch)) {
        network.initialize(1);
        network.bind_data(data.images.data(), data.labels.data(), data.size());
        std::iota(records.begin(), records.end(), 0);
    }
};

void train(benchmark::State &state, const halcyon_model &model, const std::string &set, const BenchOptions &options) {
    Fixture fixture(model, set, options);
    StepValues step;
    step.learning_rate = 1e-3f;
    step.flip_probability = 0.5f;
    step.dropout_rates.assign(static_cast<std::size_t>(fixture.network.plan().dropout_layers), 0.1f);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        fixture.network.gradients(fixture.records, step);
        fixture.network.update(Optimizer::adam, step);
        step.update++;
    }
    state.counters["images/s"] =
        benchmark::Counter(static_cast<double>(options.batch) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void infer(benchmark::State &state, const halcyon_model &model, const std::string &set, const BenchOptions &options) {
    Fixture fixture(model, set, options);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        fixture.network.infer(fixture.records);
    }
    state.counters["images/s"] =
        benchmark::Counter(static_cast<double>(options.batch) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

}  // namespace

void register_steps(const halcyon_model &model, const BenchOptions &options) {
    for (const SetPlan &set : plan_of(model).sets) {
        if (!why_not(select_sets({set.set}).front()).empty()) continue;
        const auto add = [&](const char *what, auto function) {
            benchmark::RegisterBenchmark(
                fmt::format("step/{}/{}", what, set.set).c_str(),
                [&model, set = set.set, options, function](benchmark::State &state) { function(state, model, set, options); })
                ->UseRealTime()
                ->MinTime(1)
                ->Unit(benchmark::kMillisecond);
        };
        add("train", train);
        add("infer", infer);
    }
}

}  // namespace halcyon
