#include "plan/optimizers.h"

#include "plan/cores.h"
#include "runtime/engine/step_words.h"
#include "tests/catch.h"

#include <bit>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

/// The step buffer's words of the optimizer, of a model without dropout and with two classes.
std::vector<float> words_of(const Optimizer &optimizer, const StepValues &values) {
    std::vector<std::uint32_t> words(step_words(0, 2));
    write_optimizer_step(words, optimizer, values);
    std::vector<float> written;
    for (int word = step_learning_rate; word < step_flip_threshold; word++)
        written.push_back(std::bit_cast<float>(words[static_cast<std::size_t>(word)]));
    return written;
}

}  // namespace

TEST_CASE("the rows of the optimizers are sound") {
    std::set<std::string> names;
    for (const Optimizer &optimizer : all_optimizers()) {
        CAPTURE(optimizer.name);
        CHECK(names.insert(optimizer.name).second);
        CHECK(&find_optimizer(optimizer.name) == &optimizer);
        REQUIRE(optimizer.settings.size() <= most_optimizer_settings);
        CHECK((!optimizer.slots.empty() && int(optimizer.slots.size()) <= most_optimizer_slots()));
        std::set<std::string> keys = {"name"}, slots = {"parameters"}, saved;
        for (const OptimizerSetting &setting : optimizer.settings) {
            CHECK(keys.insert(setting.key).second);
            CHECK(setting.range.holds(setting.standard));
        }
        for (const StateSlot &slot : optimizer.slots) {
            CHECK(slots.insert(slot.name).second);
            CHECK(saved.insert(slot.saved_as).second);
        }
        CHECK(find_core(optimizer.name).outputs.size() == 1 + optimizer.slots.size());
    }
    CHECK_THROWS_AS(find_optimizer("adamax"), std::invalid_argument);
    CHECK_THROWS_AS(find_optimizer("sgd").word_of("beta_1"), std::logic_error);
}

TEST_CASE("a range holds in float32 what it holds in double") {
    for (const Optimizer &optimizer : all_optimizers())
        for (const OptimizerSetting &setting : optimizer.settings) {
            const SettingRange &range = setting.range;
            CAPTURE(optimizer.name, setting.key, to_string(range));
            for (const double value : {range.least, range.most, setting.standard}) CHECK(range.holds(float(value)));
            CHECK(range.holds(0.0) == range.or_zero);
            CHECK(range.holds(0.0F) == range.or_zero);
            for (const double value : {std::nan(""), -1.0, range.least / 2, range.most * 2}) {
                CHECK_FALSE(range.holds(value));
                CHECK_FALSE(range.holds(float(value)));
            }
        }
}

TEST_CASE("the step buffer has the settings in the row's order, and what the host makes of them") {
    CHECK(words_of(find_optimizer("sgd"), {.learning_rate = 0.25F, .settings = {0.5F, 2, 3}}) ==
          std::vector<float>{0.25F, 0.5F, 0.5F, 3, 0});  // weight_decay times the learning rate
    CHECK(words_of(find_optimizer("sgd"), {.learning_rate = 0.25F}) == std::vector<float>{0.25F, 0, 0, 0, 0});
    // sqrt(1 - 0.75) / (1 - 0.5)
    CHECK(words_of(find_optimizer("adam"), {.learning_rate = 0.25F, .settings = {0.5F, 0.75F, 1}}) ==
          std::vector<float>{0.25F, 0.5F, 0.75F, 1, 0});
    const auto standard = words_of(find_optimizer("adam"), {.learning_rate = 0.25F, .update = 1'000'000});
    CHECK(standard == std::vector<float>{0.25F, 0.9F, 0.999F, 1e-7F, 0});
}
