#include "runtime/engine/random.h"

#include "tests/catch.h"

#include <cmath>
#include <vector>

using namespace halcyon;

namespace {

double chi_square(const std::vector<int> &counts, double expected) {
    double sum = 0;
    for (int n : counts) sum += (n - expected) * (n - expected) / expected;
    return sum;
}

/// Exceeded with a probability below 1e-9 by chi-square with this many degrees of freedom: k + 2 sqrt(k t) + 2t is exceeded with less than
/// exp(-t) (Laurent and Massart, 2000, lemma 1).
double chi_square_bound(double degrees) {
    const double t = std::log(1e9);
    return degrees + 2 * std::sqrt(degrees * t) + 2 * t;
}

std::vector<std::uint32_t> order(const Shuffle &shuffle, std::uint32_t count) {
    std::vector<std::uint32_t> images;
    for (std::uint32_t i = 0; i < count; i++) images.push_back(shuffle(i));
    return images;
}

}  // namespace

TEST_CASE("Philox2x32-10 gives the published answers") {
    using Words = std::array<std::uint32_t, 2>;
    CHECK(philox2x32({0, 0}, 0) == Words{0xff1dae59, 0x6cd10df2});
    CHECK(philox2x32({0xffffffff, 0xffffffff}, 0xffffffff) == Words{0x2c3f628b, 0xab4fd7ad});
    CHECK(philox2x32({0x243f6a88, 0x85a308d3}, 0x13198a2e) == Words{0xdd7ce038, 0xf62a4c12});
}

TEST_CASE("A stream's key depends on seed, epoch and stream") {
    CHECK(stream_key(5, 6, 7) == philox2x32({6, 7}, 5)[0]);
    CHECK(stream_key(1, 2, 3) != stream_key(2, 2, 3));
    CHECK(stream_key(1, 2, 3) != stream_key(1, 3, 3));
    CHECK(stream_key(1, 2, 3) != stream_key(1, 2, 4));
}

TEST_CASE("A shuffle is a permutation") {
    const std::uint32_t count = GENERATE(1, 2, 3, 4, 5, 1000, 50000, 65536);
    CAPTURE(count);
    const Shuffle shuffle(1, 0, count);
    std::vector<int> seen(count, 0);
    for (std::uint32_t image : order(shuffle, count)) {
        REQUIRE(image < count);
        seen[image]++;
    }
    CHECK(seen == std::vector<int>(count, 1));
}

TEST_CASE("A shuffle is another one in every epoch and for every seed, and the same again for the same") {
    const auto first = order(Shuffle(1, 0, 1000), 1000);
    CHECK(first == order(Shuffle(1, 0, 1000), 1000));
    // Two random permutations agree in one place on average; 20 or more have a probability of 1/20! at the most.
    for (const Shuffle &other : {Shuffle(1, 1, 1000), Shuffle(2, 0, 1000)}) {
        int equal = 0;
        for (std::uint32_t i = 0; i < 1000; i++) equal += first[i] == other(i);
        CHECK(equal < 20);
    }
}

TEST_CASE("A shuffle takes every image with equal probability to every place") {
    constexpr std::uint32_t count = 10;
    constexpr int epochs = 5000;
    std::vector<std::vector<int>> counts(count, std::vector<int>(count));
    for (int epoch = 0; epoch < epochs; epoch++) {
        const Shuffle shuffle(1, std::uint32_t(epoch), count);
        for (std::uint32_t i = 0; i < count; i++) counts[i][shuffle(i)]++;
    }
    for (std::uint32_t i = 0; i < count; i++) {
        CAPTURE(i);
        CHECK(chi_square(counts[i], double(epochs) / count) < chi_square_bound(count - 1));
    }
}

TEST_CASE("Neighbours in a shuffled epoch are as far apart as strangers") {
    constexpr std::uint32_t count = 50000, bins = 50;
    const Shuffle shuffle(1, 0, count);
    std::vector<int> distances(bins);
    for (std::uint32_t i = 0; i + 1 < count; i++) distances[(shuffle(i + 1) + count - shuffle(i)) % count * bins / count]++;
    CHECK(chi_square(distances, double(count - 1) / bins) < chi_square_bound(bins - 1));
}

TEST_CASE("The smallest shuffles give every permutation equally often") {
    constexpr int epochs = 6000;
    std::vector<int> counts(27);
    for (int epoch = 0; epoch < epochs; epoch++) {
        const Shuffle shuffle(3, std::uint32_t(epoch), 3);
        counts[shuffle(0) * 9 + shuffle(1) * 3 + shuffle(2)]++;
    }
    const std::vector<int> permutations = {counts[5],  counts[7],  counts[11],
                                           counts[15], counts[19], counts[21]};  // 012 021 102 120 201 210
    CHECK(chi_square(permutations, epochs / 6.0) < chi_square_bound(5));
}
