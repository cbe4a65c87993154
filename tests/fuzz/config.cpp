// A run's config.json.
#include "runtime/run_folder.h"
#include "tests/data/files.h"
#include "tests/fuzz/fuzz.h"

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    static const TemporaryFolder folder;
    const auto read = [](std::string_view text) {
        write_bytes(folder / "config.json", std::string(text));
        return RunFolder::open(folder.path()).read_config();
    };
    unless_refused([&] {
        const std::string text = to_json(read(text_of(data, size)));
        expect(to_json(read(text)) == text, "a run's settings read back as they were");
    });
    return 0;
}
