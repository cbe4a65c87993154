// A recipe, and what a trainer asks of one that is taken.
#include "runtime/training/recipe.h"
#include "tests/fuzz/fuzz.h"

#include <cmath>

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    unless_refused([&] {
        const Recipe recipe = parse_recipe(text_of(data, size), "recipe.json");
        expect(to_json(parse_recipe(to_json(recipe), "again")) == to_json(recipe), "a recipe reads back as it was");
        for (const int layers : {0, 1, 3}) {
            Plan plan;
            plan.dropout_layers = layers;
            unless_refused([&] { dropout_rates(recipe, plan); });
        }
        for (const std::int64_t steps : {1, 2, 100})
            for (std::int64_t step = 0; step < steps; ++step) {
                const double rate = learning_rate(recipe.learning_rate, {step, (steps + 1) / 2, steps});
                expect(std::isfinite(rate) && rate >= 0, "every step has a rate");
            }
    });
    return 0;
}
