// Picture files to pixels of one size, over and over: bench/pictures.py times it beside Pillow.
#include "runtime/data/picture.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <limits>
#include <string>

namespace {

/// Seconds that this process was on a CPU: other work on the machine does not count.
double cpu_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int argc, char **argv) try {
    CLI::App app("Reads, decodes and resizes pictures, and prints the CPU microseconds that one takes in the best pass over all");
    std::vector<std::string> files;
    std::string out;
    int size = 150, passes = 10;
    app.add_option("files", files, "JPEG, PNG, WebP or BMP files")->required();
    app.add_option("--size", size, "rows and columns of the result")->check(CLI::PositiveNumber);
    app.add_option("--passes", passes, "passes over all files")->check(CLI::PositiveNumber);
    app.add_option("--out", out, "a file to write the resized pixels to, one picture after the other");
    CLI11_PARSE(app, argc, argv);

    double best = std::numeric_limits<double>::infinity();
    std::vector<std::uint8_t> pixels;
    for (int pass = 0; pass < passes; pass++) {
        pixels.clear();
        const double start = cpu_seconds();
        for (const std::string &file : files) {
            const halcyon::Picture picture = halcyon::read_picture(file, size, size, 3, {});
            pixels.insert(pixels.end(), picture.pixels.begin(), picture.pixels.end());
        }
        best = std::min(best, cpu_seconds() - start);
    }
    if (!out.empty())
        std::ofstream(out, std::ios::binary).write(reinterpret_cast<const char *>(pixels.data()), std::streamsize(pixels.size()));
    fmt::print("{:.1f}\n", 1e6 * best / double(files.size()));
} catch (const std::exception &error) {
    fmt::print(stderr, "halcyon_pictures: {}\n", error.what());
    return 1;
}
