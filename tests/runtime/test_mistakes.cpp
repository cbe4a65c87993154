#include "runtime/training/picture_report.h"

#include "tests/catch.h"
#include "tests/runtime/tiny_model.h"

#include <algorithm>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

/// Images of pixels 0 and `values`, all of class `label`, for weights with which the network's "probabilities" are 10 and that pixel.
struct OneImage {
    TinyModel model;
    Network network{model.library(), plan_of(model.library()), "reference", 1, 4};
    Dataset data;
    PlacedData placed;

    OneImage(const std::vector<std::uint8_t> &values, std::uint16_t label) : data(images(values, label)), placed(place_images()) {
        weight("dense/kernel")[3] = 1;
        weight("dense/bias")[0] = 10;
    }

    std::optional<std::vector<Mistake>> find(const std::vector<std::int32_t> &records, int batches = 1000) {
        Mistakes mistakes(data);
        const auto stop = [batches]() mutable { return batches-- == 0; };
        const auto take = [&mistakes](auto batch, auto probabilities) { mistakes.add_batch(batch, probabilities); };
        return evaluate(network, placed, records, stop, take) ? std::optional(mistakes.surest()) : std::nullopt;
    }

private:
    static Dataset images(const std::vector<std::uint8_t> &values, std::uint16_t label) {
        Dataset data;
        data.h = data.c = 1, data.w = data.classes = 2;
        data.pixels = Pixels::of_bytes(2 * values.size());
        for (std::size_t i = 0; i < values.size(); ++i) data.pixels.bytes()[2 * i] = 0, data.pixels.bytes()[2 * i + 1] = values[i];
        data.labels.assign(values.size(), label);
        return data;
    }

    PlacedData place_images() { return network.place(data.pixels.bytes(), data.labels); }

    std::span<float> weight(std::string_view name) {
        return network.weight(*std::ranges::find(network.plan().parameters, name, &Parameter::name));
    }
};

std::vector<std::int32_t> records_of(const std::vector<Mistake> &mistakes) {
    std::vector<std::int32_t> records;
    for (const Mistake &mistake : mistakes) records.push_back(mistake.record);
    return records;
}

}  // namespace

TEST_CASE("Mistakes are found, those that the network is surest of first") {
    OneImage fixture({12, 9, 10, 30, 12, 11, 40}, 0);
    const auto mistakes = fixture.find({0, 1, 2, 3, 4, 5});  // of 6 images in batches of 4; 10 and 10 is no mistake
    REQUIRE(mistakes);
    CHECK(records_of(*mistakes) == std::vector<std::int32_t>{3, 0, 4, 5});
    CHECK(mistakes->front().predicted == 1);
    CHECK(mistakes->front().probability == 30);
    CHECK(records_of(*fixture.find({4, 0})) == std::vector<std::int32_t>{4, 0});
    CHECK(fixture.find({1, 2})->empty());

    OneImage other({12, 9, 10, 30}, 1);
    CHECK(records_of(*other.find({0, 1, 2, 3})) == std::vector<std::int32_t>{1, 2});
}

TEST_CASE("No more mistakes are kept than are drawn") {
    std::vector<std::uint8_t> values;
    std::vector<std::int32_t> records;
    for (int i = 0; i < 100; ++i) values.push_back(std::uint8_t(20 + i)), records.push_back(i);
    const auto mistakes = OneImage(values, 0).find(records);
    REQUIRE(mistakes->size() == most_reported);
    CHECK(mistakes->front().record == 99);
    CHECK(mistakes->back().record == 36);
}

TEST_CASE("The search for mistakes can be stopped before every batch") {
    OneImage fixture({12, 12, 12, 12, 12}, 0);
    CHECK(!fixture.find({0, 1, 2, 3, 4}, 0));
    CHECK(!fixture.find({0, 1, 2, 3, 4}, 1));
    CHECK(fixture.find({0, 1, 2, 3, 4}, 2)->size() == 5);
}
