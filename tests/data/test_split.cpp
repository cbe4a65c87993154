#include "runtime/data/split.h"

#include "tests/catch.h"

#include <algorithm>
#include <map>
#include <numeric>

using namespace halcyon;

namespace {

/// Labels of so many images of each class, mixed.
std::vector<std::uint16_t> mixed(const std::vector<int> &images_by_class) {
    std::vector<std::uint16_t> labels;
    const int most = *std::ranges::max_element(images_by_class);
    for (int i = 0; i < most; ++i)
        for (std::size_t c = 0; c < images_by_class.size(); ++c)
            if (i < images_by_class[c]) labels.push_back(std::uint16_t(c));
    return labels;
}

std::vector<int> counts(const std::vector<std::int32_t> &records, const std::vector<std::uint16_t> &labels, std::size_t classes) {
    std::vector<int> found(classes);
    for (const std::int32_t record : records) ++found[labels[std::size_t(record)]];
    return found;
}

}  // namespace

TEST_CASE("A split takes its fraction of every class, and leaves one to train on") {
    const std::vector<int> images = {100, 10, 0, 3, 1, 2, 5};
    const std::vector<std::uint16_t> labels = mixed(images);
    struct Case {
        double fraction;
        std::vector<int> held_out;
    };
    for (const Case &c : {Case{0.2, {20, 2, 0, 1, 0, 0, 1}}, Case{0.5, {50, 5, 0, 2, 0, 1, 3}}, Case{0.99, {99, 9, 0, 2, 0, 1, 4}},
                          Case{0.001, {0, 0, 0, 0, 0, 0, 0}}, Case{0, {0, 0, 0, 0, 0, 0, 0}}}) {
        CAPTURE(c.fraction);
        const Partition parts = split_by_class(labels, c.fraction, 1);
        CHECK(counts(parts.validation, labels, images.size()) == c.held_out);
        CHECK(std::ranges::is_sorted(parts.train));
        CHECK(std::ranges::is_sorted(parts.validation));
        std::vector<std::int32_t> all(parts.train), expected(labels.size());
        all.insert(all.end(), parts.validation.begin(), parts.validation.end());
        std::ranges::sort(all);
        std::iota(expected.begin(), expected.end(), 0);
        CHECK(all == expected);
    }
}

TEST_CASE("A split is the seed's, and every image is as likely to be held out") {
    const std::vector<std::uint16_t> labels = mixed({40, 60});
    CHECK(split_by_class(labels, 0.3, 7).validation == split_by_class(labels, 0.3, 7).validation);
    CHECK(split_by_class(labels, 0.3, 7).validation != split_by_class(labels, 0.3, 8).validation);

    constexpr int seeds = 2000;
    std::map<std::int32_t, int> times;
    for (std::uint32_t seed = 0; seed < seeds; ++seed)
        for (const std::int32_t record : split_by_class(labels, 0.3, seed).validation) ++times[record];
    REQUIRE(times.size() == labels.size());
    // Of 2000 draws with a chance of 0.3 the deviation is sqrt(2000 * 0.3 * 0.7) = 20.5.
    for (const auto &[record, held_out] : times) CHECK(std::abs(held_out - 0.3 * seeds) < 5 * 20.5);
}

TEST_CASE("More images to choose from do not change what each one draws") {
    // The lowest numbers of a class stay the lowest where images of another class come behind them.
    std::vector<std::uint16_t> labels(50, 0);
    const std::vector<std::int32_t> before = split_by_class(labels, 0.2, 3).validation;
    labels.insert(labels.end(), 30, 1);
    std::vector<std::int32_t> after = split_by_class(labels, 0.2, 3).validation;
    std::erase_if(after, [](std::int32_t record) { return record >= 50; });
    CHECK(after == before);
}

TEST_CASE("No images have no parts") {
    const Partition parts = split_by_class({}, 0.2, 1);
    CHECK((parts.train.empty() && parts.validation.empty()));
}

TEST_CASE("images with targets are held out as those of one class") {
    Dataset data;
    data.units = 2;
    data.targets.resize(60);
    const Partition parts = split(data, 0.2, 3);
    CHECK((parts.train.size() == 24 && parts.validation.size() == 6));
    CHECK(parts.validation == split_by_class(std::vector<std::uint16_t>(30), 0.2, 3).validation);
    data.units = 0, data.classes = 2;
    data.labels = {0, 1, 0, 1, 0, 1};
    CHECK(split(data, 0.5, 3).validation == split_by_class(data.labels, 0.5, 3).validation);
}
