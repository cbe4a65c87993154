// Images that are arrays of numbers. The first byte says in which form the rest is: an .npz archive, a folder's images.npy or its
// labels.npy, MNIST's images or those compressed, or a CSV file of pixels.
#include "runtime/data/npy.h"
#include "runtime/data/source.h"
#include "tests/data/files.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <array>
#include <filesystem>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

struct Form {
    const char *format, *file;  // of SourceKind; what the bytes are written to
};

constexpr std::array forms = {
    Form{"npz", "x.npz"},
    Form{"npy", "images.npy"},
    Form{"npy", "labels.npy"},
    Form{"idx", "train-images-idx3-ubyte"},
    Form{"idx", "train-images-idx3-ubyte.gz"},
    Form{"pixel-csv", "x.csv"},
};

/// Two images of 2x2x1 and their labels, of which the input takes one's place.
void write_rest(const TemporaryFolder &folder) {
    using Shape = std::vector<std::size_t>;
    write_bytes(folder / "images.npy", npy_header("|u1", Shape{2, 2, 2}) + "01234567");
    write_bytes(folder / "labels.npy", npy_header("|u1", Shape{2}) + std::string("\0\1", 2));
    write_bytes(folder / "train-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x02\0\1", 10));
}

void check(const Dataset &data) {
    const std::size_t values = std::max(data.pixels.bytes().size(), data.pixels.floats().size());
    const std::size_t record = std::size_t(data.h) * std::size_t(data.w) * std::size_t(data.c);
    expect(data.size() > 0 && values == data.labels.size() * record, "an image for every label");
    expect(std::ranges::all_of(data.labels, [&](int label) { return label < data.classes; }), "every label is a class");
    expect(data.class_names.size() == std::size_t(data.classes), "every class has a name");
    unsigned sum = 0;  // every mapped byte is there
    for (const std::uint8_t byte : data.pixels.bytes()) sum += byte;
    for (const float value : data.pixels.floats()) expect(value - value == 0, "every value is finite");
    expect(sum <= 255 * data.pixels.bytes().size(), "bytes are bytes");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    static const TemporaryFolder folder;
    if (size == 0) return 0;
    const Form &form = forms[data[0] % forms.size()];
    for (const Form &other : forms) std::filesystem::remove(folder / other.file);
    write_rest(folder);
    write_bytes(folder / form.file, std::string(text_of(data + 1, size - 1)));

    DataRequest request;
    const std::string format = form.format;
    request.path = format == "npz" || format == "pixel-csv" ? folder / form.file : folder.path();
    request.format = format;
    request.h = request.w = 2;
    request.c = 1;
    request.classes = 7;
    unless_refused([&] {
        const auto source = open_source(request);
        for (const Split split : {Split::train, Split::validation, Split::test})
            if (source->has(split)) unless_refused([&] { check(source->load(split, {})); });
    });
    return 0;
}
