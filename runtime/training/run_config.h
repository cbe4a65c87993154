// The settings of a run: config.json, and the same text in its checkpoints.
#pragma once

#include "runtime/data/data_settings.h"
#include "runtime/training/recipe.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace halcyon {

/// Everything needed to repeat a run.
struct RunConfig {
    std::string model;
    std::string data;  // what holds the images; empty: the embedded synthetic set
    DataSettings data_settings;
    int train_images = 0;         // in the data, without those that are held out, before the limit
    double validation_split = 0;  // the fraction of the data's training images that are held out to validate on; below 1
    int limit = 0;                // train on the first so many; 0: on all
    Recipe recipe;                // resolved: with what the command line changed
    std::uint32_t seed = 1;
    bool shuffle = true;
    bool evaluate = true;  // on the images to validate on, after every epoch
    std::string init;      // the file of the first weights; empty: from the seed
    std::string schedule;  // the set, as auto resolved it
    int threads = 1;       // 1 .. ThreadPool::most_threads

    /// Training images of an epoch.
    int images() const { return limit > 0 && limit < train_images ? limit : train_images; }

    /// The last batch of an epoch may be smaller.
    std::int64_t steps_per_epoch() const { return (std::int64_t{images()} + recipe.batch - 1) / recipe.batch; }
};

/// What may be held out: a fraction above 0 and below 1.
bool is_validation_split(double fraction);

std::string to_json(const RunConfig &config);

/// Reads what to_json() wrote; `where` stands for it in messages. Throws std::runtime_error, one line that names the key, where one is
/// missing, unknown, of another type or out of range.
RunConfig parse_run_config(std::string_view text, const std::string &where);

/// Where two JSON texts first differ, as "recipe.epochs is 3, not 2" (`text` has 3, `other` 2); "" where they say the same. `where` stands
/// for `text` in messages. Throws std::runtime_error where that is no JSON.
std::string difference(std::string_view text, const std::string &where, std::string_view other);

}  // namespace halcyon
