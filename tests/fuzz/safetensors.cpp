// A file of weights.
#include "runtime/weights/safetensors.h"
#include "tests/fuzz/fuzz.h"

#include <cstring>
#include <numeric>

using namespace halcyon;
using namespace halcyon::tests;

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    auto storage = std::make_unique_for_overwrite<std::byte[]>(size);
    if (size > 0) std::memcpy(storage.get(), data, size);
    unless_refused([&] {
        const TensorFile file = parse_safetensors(std::move(storage), size);
        std::size_t bytes = 0;
        for (const auto &[name, tensor] : file.tensors) {
            bytes += tensor.bytes.size();
            // Every byte is there to be read.
            volatile unsigned sum = 0;
            for (const std::byte byte : tensor.bytes) sum = sum + std::to_integer<unsigned>(byte);
        }
        expect(bytes < size, "the tensors lie within the file");
    });
    return 0;
}
