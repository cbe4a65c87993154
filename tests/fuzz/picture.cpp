// A picture to train on or to predict, of any format that is read.
#include "runtime/data/picture.h"
#include "tests/fuzz/fuzz.h"

#include <span>

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
    for (const int channels : {1, 3})
        for (const PictureOptions &options : {PictureOptions{},
                                              {.resize = Resize::tf, .fit = Fit::crop, .alpha = Alpha::white, .apply_exif = true},
                                              {.resize = Resize::nearest, .fit = Fit::pad}})
            unless_refused([&] {
                const Picture fitted = fit_picture(decode_picture(file, channels, options), 32, 24, options);
                expect(fitted.pixels.size() == std::size_t(32 * 24 * channels), "a value for every pixel");
            });
    return 0;
}
