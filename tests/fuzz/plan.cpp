// A plan, as the runtime reads it out of a model's library.
#include "plan/plan.h"
#include "tests/fuzz/fuzz.h"

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    unless_refused([&] {
        const std::string text = to_json(parse_plan(text_of(data, size)));
        expect(to_json(parse_plan(text)) == text, "a plan reads back as it was");
    });
    return 0;
}
