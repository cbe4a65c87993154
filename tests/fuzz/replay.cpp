// A target's main where there is no fuzzer: every file of the folders that are named, once.
#include "tests/data/files.h"
#include "tests/fuzz/fuzz.h"

#include <cstdio>
#include <filesystem>

int main(int argc, char **argv) {
    int files = 0;
    for (int i = 1; i < argc; ++i)
        for (const auto &entry : std::filesystem::directory_iterator(argv[i])) {
            std::printf("%s\n", entry.path().c_str());
            std::fflush(stdout);  // the last line names the file that fails
            const std::string bytes = read_bytes(entry.path());
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size());
            ++files;
        }
    return files > 0 ? 0 : 1;
}
