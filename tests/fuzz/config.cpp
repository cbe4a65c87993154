// A run's settings, which its checkpoint and its config.json hold.
#include "runtime/training/run_config.h"
#include "tests/fuzz/fuzz.h"

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    unless_refused([&] {
        const std::string text = to_json(parse_run_config(text_of(data, size), "config.json"));
        expect(to_json(parse_run_config(text, "again")) == text, "a run's settings read back as they were");
    });
    return 0;
}
