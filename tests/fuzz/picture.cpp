// A picture to predict.
#include "runtime/data/png.h"
#include "tests/data/files.h"
#include "tests/fuzz/fuzz.h"

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    static const TemporaryFolder folder;
    const std::string path = folder / "picture.png";
    write_bytes(path, std::string(text_of(data, size)));
    for (const int channels : {1, 3})
        unless_refused([&] { expect(read_png(path, 32, 32, channels).size() == std::size_t(1024 * channels), "a value for every pixel"); });
    return 0;
}
