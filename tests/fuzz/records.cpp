// CIFAR-10's files. The first byte says how many of the next ones are batches.meta.txt (0: there is no such file), its top bit whether the
// rest, test_batch.bin, is filled up to a whole record.
#include "runtime/data/cifar10.h"
#include "tests/data/files.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <filesystem>

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    constexpr std::size_t record = 3073;
    static const TemporaryFolder folder;
    if (size == 0) return 0;
    const bool whole = (data[0] & 0x80) != 0;
    const std::string_view rest = text_of(data + 1, size - 1);
    const std::size_t names = std::min<std::size_t>(data[0] & 0x7f, rest.size());
    std::string records(rest.substr(names));
    if (whole) records.resize((records.size() + record - 1) / record * record);

    if (names > 0)
        write_bytes(folder / "batches.meta.txt", std::string(rest.substr(0, names)));
    else
        std::filesystem::remove(folder / "batches.meta.txt");
    write_bytes(folder / "test_batch.bin", records);
    unless_refused([&] {
        const Dataset set = load_cifar10(folder.path(), Split::test);
        expect(set.size() > 0 && set.pixels.bytes().size() == set.labels.size() * (record - 1), "an image for every label");
        expect(std::ranges::all_of(set.labels, [](int label) { return label < 10; }), "every label is a class");
        expect(set.class_names.size() == 10, "every class has a name");
    });
    return 0;
}
