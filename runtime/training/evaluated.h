// What an evaluation says of a network's predictions beside their means: scores by class or by unit, as JSON and for a person.
#pragma once

#include "plan/metric.h"
#include "plan/plan.h"
#include "runtime/data/dataset.h"
#include "runtime/data/source.h"
#include "runtime/training/evaluation.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// What becomes of the predictions of all images.
class Evaluated {
public:
    virtual ~Evaluated() = default;

    virtual void add(const Dataset &data, std::int32_t record, std::span<const float> predictions) = 0;

    /// A TakeBatch of evaluate().
    void add_batch(const Dataset &data, std::span<const std::int32_t> records, std::span<const float> predictions);

    /// Whether there is more to say than the means.
    virtual bool are_finite() const = 0;

    /// `names` are those of some classes or units; the others have numbers.
    virtual void add_to(nlohmann::ordered_json &out, const std::vector<std::string> &names) const = 0;
    virtual void print(const std::vector<std::string> &names) const = 0;
};

/// Of how many likeliest classes there is an accuracy where nobody says; nothing of few classes.
std::optional<int> default_top(const Plan &plan);

/// For what the model predicts. `top`: of how many likeliest classes there is to be an accuracy.
std::unique_ptr<Evaluated> evaluated_for(const Plan &plan, std::optional<int> top);

/// What `evaluate --json` prints, docs/runs.md says of it.
nlohmann::ordered_json evaluation_json(const Evaluation &result, Metric metric, Split split, const Evaluated &evaluated,
                                       const std::vector<std::string> &names);

}  // namespace halcyon
