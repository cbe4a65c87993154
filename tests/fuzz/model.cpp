// A model file, and the plan of a small one that is taken.
#include "compiler/model.h"
#include "compiler/options.h"
#include "compiler/planner.h"
#include "tests/fuzz/fuzz.h"

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    unless_refused([&] {
        static const PlanOptions options{.sets = select_sets({"reference", "x86_avx2"})};
        const Model model = parse_model(text_of(data, size), "model.json");
        if (model.layers.size() > 6) return;  // a plan of more takes too long to see many
        const std::string text = to_json(make_plan(model, options));
        expect(to_json(parse_plan(text)) == text, "a plan reads back as it was");
    });
    return 0;
}
