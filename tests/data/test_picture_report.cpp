#include "runtime/training/picture_report.h"

#include "plan/step.h"
#include "runtime/engine/random.h"
#include "runtime/training/picture_sheet.h"
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/kernels/run.h"

#include <numeric>

using namespace halcyon;

namespace {

using Bytes = std::vector<std::uint8_t>;

/// Images of w x 1 pixels in which all values are different, of 3 classes in turn, of which 2 have names.
Dataset images(int count, int w, int c) {
    Dataset data;
    data.h = 1, data.w = w, data.c = c, data.classes = 3;
    data.pixels = Pixels::of_bytes(std::size_t(count) * std::size_t(w) * std::size_t(c));
    for (std::size_t i = 0; i < data.pixels.bytes().size(); ++i) data.pixels.bytes()[i] = std::uint8_t(i * 37);
    for (int i = 0; i < count; ++i) data.labels.push_back(std::uint16_t(i % 3));
    data.class_names = {"cat", "dog"};
    return data;
}

/// What the oracle of the kernel input_fwd makes of a batch, in bytes.
std::vector<Bytes> inputs_of(const Dataset &data, const std::vector<std::int32_t> &records, const StepValues &values) {
    using oracle::Array;
    const int n = int(records.size());
    Array all({data.c, data.w, data.h, data.size()}), indices({n}), step({step_words(0, 0)});
    for (std::size_t i = 0; i < all.values.size(); ++i) all.values[i] = data.pixels.bytes()[i];
    for (int i = 0; i < n; ++i) indices(i) = records[std::size_t(i)];
    step(step_seed) = values.seed;
    step(step_epoch) = values.epoch;
    step(step_position) = values.position;
    step(step_flip_threshold) = 65536.0 * values.flip_probability;
    const Array output = run("input_fwd", {.in_h = data.h, .in_w = data.w, .in_c = data.c}, {all, indices, step}).front();
    std::vector<Bytes> inputs;
    for (std::size_t i = 0; i < output.values.size(); ++i) {
        if (i % std::size_t(data.w * data.c) == 0) inputs.emplace_back();
        inputs.back().push_back(std::uint8_t(std::lround(255 * output.values[i])));
    }
    return inputs;
}

}  // namespace

TEST_CASE("A batch is drawn as the network gets it") {
    const int c = GENERATE(1, 3), w = GENERATE(1, 2, 5);
    CAPTURE(c, w);
    const Dataset data = images(70, w, c);
    std::vector<std::int32_t> records(64);
    std::iota(records.rbegin(), records.rend(), 3);
    for (const float flip : {0.0F, 0.5F, 1.0F}) {
        CAPTURE(flip);
        StepValues step;
        step.seed = 5, step.epoch = 2, step.position = 128, step.flip_probability = flip;
        const std::vector<Bytes> inputs = inputs_of(data, records, step);
        std::vector<std::string> captions;
        for (const std::int32_t record : records) captions.push_back(record % 3 == 0 ? "cat" : record % 3 == 1 ? "dog" : "class 2");
        const Picture expected = draw_sheet(1, w, c, captions, [&](std::size_t n) { return inputs[n]; });
        CHECK((draw_batch(data, records, step).pixels == expected.pixels));
    }
}

TEST_CASE("Floats are drawn by the range of those that are shown") {
    Dataset data;
    data.h = data.w = data.c = 1, data.classes = 3;
    data.pixels = Pixels::of_floats(3);
    data.labels = {0, 1, 2};
    data.pixels.floats()[0] = -1, data.pixels.floats()[1] = 0, data.pixels.floats()[2] = 1;
    const auto first_pixels = [&](const std::vector<std::int32_t> &records) {
        const Picture picture = draw_batch(data, records, {});
        const int line = sheet_gap * picture.w;
        return Bytes{picture.pixels[std::size_t(line + sheet_gap)], picture.pixels[std::size_t(line + 2 * sheet_gap + sheet_tile)]};
    };
    CHECK(first_pixels({0, 1}) == Bytes{0, 255});
    CHECK(first_pixels({2, 1}) == Bytes{255, 0});
    CHECK(first_pixels({1, 1}) == Bytes{0, 0});
}

TEST_CASE("Mistakes are drawn with the true class, the predicted one and the probability") {
    const Dataset data = images(9, 2, 1);
    const std::vector<Mistake> mistakes = {{7, 0, 0.98F}, {2, 1, 0.5049F}};
    const Bytes bytes(data.pixels.bytes().begin(), data.pixels.bytes().end());
    const Picture expected = draw_sheet(1, 2, 1, {"dog > cat 98 %", "class 2 > dog 50 %"}, [&](std::size_t n) {
        const auto begin = bytes.begin() + 2 * mistakes[n].record;
        return Bytes(begin, begin + 2);
    });
    CHECK((draw_mistakes(data, mistakes).pixels == expected.pixels));
}

TEST_CASE("A picture of a run replaces the file, or says in one line that it cannot") {
    const TemporaryFolder folder;
    write_bytes(folder / "batch.png", "old");
    write_picture(folder / "batch.png", {1, 1, 1, {7}});
    CHECK(read_bytes(folder / "batch.png").starts_with("\x89PNG"));
    const std::string gone = folder / "gone/batch.png";
    CHECK(one_line_with(message_of([&] { write_picture(gone, {1, 1, 1, {7}}); }), {gone, "cannot be written"}));
}
