// The shipped network on a few synthetic images: the smallest run that does all that a run does.
#pragma once

#include "halcyon_cifar10.h"
#include "runtime/data/synthetic.h"
#include "runtime/engine/machine.h"
#include "runtime/training/trainer.h"
#include "tests/data/files.h"

#include <cstdio>
#include <memory>
#include <string>

namespace halcyon::tests {

constexpr int tiny_images = 40, tiny_batch = 16;  // batches of 16, 16 and 8
constexpr int tiny_steps = 3;                     // of an epoch

inline std::string fastest_set() {
    const Plan plan = plan_of(*halcyon_cifar10());
    std::vector<std::string> compiled;
    for (const SetPlan &set : plan.sets) compiled.push_back(set.set);
    return choose_set("auto", compiled).name;
}

inline std::unique_ptr<Network> make_network(int threads = 2, int max_batch = tiny_batch) {
    return std::make_unique<Network>(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), fastest_set(), threads, max_batch);
}

inline RunConfig tiny_config(int epochs = 2) {
    RunConfig config;
    config.model = "cifar10";
    config.train_images = tiny_images;
    config.recipe = load_recipe("onecycle");
    config.recipe.epochs = epochs;
    config.recipe.batch = tiny_batch;
    config.schedule = fastest_set();
    return config;
}

/// A new run's folder and settings.
struct Run {
    RunConfig config;
    RunFolder folder;
};

inline Run make_run(const std::filesystem::path &path, const RunConfig &config = tiny_config()) {
    return {config, RunFolder::create(path)};
}

/// Nothing is shown.
class Silence {
public:
    Silence() : stream_(std::fopen("/dev/null", "w")), progress(stream_) {}
    ~Silence() { std::fclose(stream_); }
    Silence(const Silence &) = delete;
    Silence &operator=(const Silence &) = delete;

private:
    std::FILE *stream_;

public:
    Progress progress;
};

/// Says stop when it is asked for the `n`-th time, from 0.
inline StopRequested stop_at(int n) {
    return [n, asked = 0]() mutable { return asked++ >= n; };
}

inline StopRequested never() {
    return [] { return false; };
}

}  // namespace halcyon::tests
