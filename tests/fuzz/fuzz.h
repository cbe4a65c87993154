// What every target has: a function that takes any bytes. It returns where they are taken or refused as they should be; whatever else
// happens is a fault: another kind of exception, a failed expect(), what a sanitizer finds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

namespace halcyon::tests {

inline std::string_view text_of(const std::uint8_t *data, std::size_t size) { return {reinterpret_cast<const char *>(data), size}; }

inline void expect(bool right, const char *what) {
    if (right) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

/// Does `work` unless it refuses its input, by the exception that the readers' headers name.
template<typename Work>
void unless_refused(Work &&work) {
    try {
        work();
    } catch (const std::runtime_error &) {
    }
}

}  // namespace halcyon::tests
