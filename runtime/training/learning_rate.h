// The learning rate of each step: the schedules of recipes, a row each.
#pragma once

#include "plan/optimizers.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// A step of a run, from 0.
struct StepOfRun {
    std::int64_t step, steps_per_epoch, total_steps;
};

/// A number of a schedule's that a recipe can set. Without a standard it must be there.
struct ScheduleSetting {
    std::string key;
    std::optional<double> standard;
    SettingRange range;
};

struct LearningRate;

struct Schedule {
    std::string name;  // in a recipe
    std::vector<ScheduleSetting> settings;
    bool has_milestones;  // epochs, ascending
    double (*rate)(const LearningRate &rate, double step, const StepOfRun &of);
};

const std::vector<Schedule> &all_schedules();

/// Throws std::invalid_argument for an unknown name.
const Schedule &find_schedule(std::string_view name);

/// A schedule by its name, with its settings in the order of its row.
struct LearningRate {
    std::string schedule = "constant";
    double peak = 1e-3;  // the highest rate
    std::vector<double> settings = {};
    std::vector<double> milestones = {};
    bool per_epoch = false;  // all steps of an epoch have the rate of its first
};

double learning_rate(const LearningRate &rate, const StepOfRun &step);

}  // namespace halcyon
