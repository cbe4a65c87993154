#include "runtime/data/synthetic.h"
#include "runtime/engine/random.h"

#include "tests/catch.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>
#include <zlib.h>

using namespace halcyon;

namespace {

constexpr int pixels = 3072, classes = 10;  // of CIFAR-10's form

/// Values of an image.
int record_of(const Dataset &data) { return data.h * data.w * data.c; }

/// The images as CIFAR-10's files have them, the channels apart.
std::vector<std::uint8_t> in_planes(const Dataset &data) {
    const std::span<const std::uint8_t> images = data.pixels.bytes();
    std::vector<std::uint8_t> planes(images.size());
    for (std::size_t i = 0; i < images.size(); i++) planes[i / pixels * pixels + i % 3 * 1024 + i % pixels / 3] = images[i];
    return planes;
}

std::uint32_t crc_of(std::span<const std::uint8_t> bytes) { return std::uint32_t(crc32_z(0, bytes.data(), bytes.size())); }

/// Softmax regression on the pixels, trained by stochastic gradient descent.
class LinearModel {
public:
    explicit LinearModel(const Dataset &data)
        : values_(record_of(data)), classes_(data.classes), weights_(std::size_t(values_) * std::size_t(classes_)),
          bias_(std::size_t(classes_)) {}

    void train(const Dataset &data, int epochs, float rate) {
        for (int epoch = 0; epoch < epochs; epoch++) {
            const Shuffle shuffle(1, std::uint32_t(epoch), std::uint32_t(data.size()));
            for (int i = 0; i < data.size(); i++) step(data, int(shuffle(std::uint32_t(i))), rate);
        }
    }

    double accuracy(const Dataset &data) const {
        int correct = 0;
        for (int i = 0; i < data.size(); i++) {
            const auto p = probabilities(pixels_of(data, i));
            correct += std::max_element(p.begin(), p.end()) - p.begin() == data.labels[i];
        }
        return double(correct) / data.size();
    }

private:
    using Values = std::vector<float>;

    Values pixels_of(const Dataset &data, int image) const {
        Values values(data.pixels.bytes().begin() + image * values_, data.pixels.bytes().begin() + (image + 1) * values_);
        for (float &value : values) value = value / 255 - 0.5f;
        return values;
    }

    Values probabilities(const Values &image) const {
        Values p = bias_;
        float sum = 0;
        for (int k = 0; k < classes_; k++) {
            std::array<float, 8> partial{};  // as many sums as a vector register holds
            const float *weights = &weights_[k * values_];
            for (int i = 0; i < values_; i++) partial[i % 8] += weights[i] * image[i];
            for (float part : partial) p[k] += part;
            sum += p[k] = std::exp(p[k]);
        }
        for (float &value : p) value /= sum;
        return p;
    }

    void step(const Dataset &data, int index, float rate) {
        const Values image = pixels_of(data, index);
        const Values p = probabilities(image);
        for (int k = 0; k < classes_; k++) {
            const float change = rate * (p[k] - float(data.labels[index] == k));
            for (int i = 0; i < values_; i++) weights_[k * values_ + i] -= change * image[i];
            bias_[k] -= change;
        }
    }

    int values_, classes_;
    Values weights_, bias_;
};

/// The same images with a grey bar whose height tells the class: what a linear model can see.
Dataset with_marks(Dataset data) {
    for (int i = 0; i < data.size(); i++) {
        std::fill_n(&data.pixels.bytes()[i * pixels + data.labels[i] * 3 * 96], 3 * 96, std::uint8_t(255));
    }
    return data;
}

}  // namespace

TEST_CASE("The synthetic set has CIFAR-10's form and every class equally often") {
    const Dataset data = make_synthetic(Split::test);
    CHECK((data.h == 32 && data.w == 32 && data.c == 3 && data.classes == classes));
    CHECK(data.size() == synthetic_test_images);
    CHECK(data.pixels.bytes().size() == std::size_t(synthetic_test_images) * pixels);
    REQUIRE(data.class_names.size() == classes);
    CHECK(std::set(data.class_names.begin(), data.class_names.end()).size() == classes);
    std::vector<int> counts(classes);
    for (const int label : data.labels) counts[label]++;
    CHECK(counts == std::vector<int>(classes, synthetic_test_images / classes));
}

TEST_CASE("The synthetic set is a function of split, number and seed") {
    const auto bytes_of = [](Split split, int images, std::uint32_t seed) { return in_planes(make_synthetic(split, images, seed)); };
    const std::vector<std::uint8_t> bytes = bytes_of(Split::train, 100, 1);
    CHECK((bytes_of(Split::train, 100, 1) == bytes));
    CHECK((bytes_of(Split::train, 100, 2) != bytes));
    CHECK((bytes_of(Split::test, 100, 1) != bytes));

    std::vector<std::uint8_t> more = bytes_of(Split::train, 135, 1);
    more.resize(bytes.size());
    CHECK((more == bytes));

    CHECK(crc_of(bytes) == 0xd4442d35);  // the same bytes everywhere
}

TEST_CASE("No two synthetic images are equal, not between the splits either") {
    std::set<std::uint32_t> sums;
    for (Split split : {Split::train, Split::test}) {
        const Dataset data = make_synthetic(split);
        for (int i = 0; i < data.size(); i++) sums.insert(std::uint32_t(crc32_z(0, &data.pixels.bytes()[i * pixels], pixels)));
    }
    // Among 6000 random checksums 6000^2 / 2^33 = 0.004 pairs are equal.
    CHECK(sums.size() == synthetic_train_images + synthetic_test_images);
}

TEST_CASE("Every synthetic image has its negative in its class") {
    const Dataset data = make_synthetic(Split::train, 200);
    const std::span<const std::uint8_t> bytes = data.pixels.bytes();
    bool negatives = true;
    for (int i = 0; i < data.size(); i++) {
        if (i / classes % 2 == 1) continue;
        for (int j = 0; j < pixels; j++) negatives = negatives && bytes[i * pixels + j] + bytes[(i + classes) * pixels + j] == 255;
    }
    CHECK(negatives);
}

TEST_CASE("A linear model stays at chance on the synthetic set") {
    const Dataset train = make_synthetic(Split::train, 2000), test = make_synthetic(Split::test);
    // Guesses are right as often as a coin with p = 1/10 shows heads: 6 standard deviations above the mean of 1000 tosses.
    const double chance = 0.1, bound = chance + 6 * std::sqrt(chance * (1 - chance) / test.size());

    LinearModel model(train);
    model.train(train, 2, 2e-4f);
    CAPTURE(model.accuracy(train), model.accuracy(test), bound);
    CHECK(model.accuracy(test) < bound);

    LinearModel control(train);  // the same model learns what is linear
    control.train(with_marks(make_synthetic(Split::train, 2000)), 2, 2e-4f);
    const Dataset marked = with_marks(make_synthetic(Split::test));
    CAPTURE(control.accuracy(marked));
    CHECK(control.accuracy(marked) > 0.9);
}

TEST_CASE("The synthetic set has whatever form a model takes") {
    const SyntheticForm form = GENERATE(SyntheticForm{28, 28, 1, 10}, SyntheticForm{24, 24, 3, 5}, SyntheticForm{64, 64, 3, 2},
                                        SyntheticForm{12, 12, 1, 20}, SyntheticForm{20, 33, 6, 130});
    CAPTURE(form.h, form.w, form.c, form.classes);
    const Dataset train = make_synthetic(Split::train, 40 * form.classes, 1, form);
    const Dataset test = make_synthetic(Split::test, 20 * form.classes, 1, form);
    CHECK((train.h == form.h && train.w == form.w && train.c == form.c && train.classes == form.classes));
    CHECK(std::set(train.class_names.begin(), train.class_names.end()).size() == std::size_t(form.classes));
    std::vector<int> counts(std::size_t(form.classes));
    for (const int label : train.labels) counts[std::size_t(label)]++;
    CHECK(counts == std::vector<int>(std::size_t(form.classes), 40));

    const std::size_t record = std::size_t(record_of(train)), row = record * std::size_t(form.classes);
    const std::span<const std::uint8_t> bytes = train.pixels.bytes();
    REQUIRE(bytes.size() == record * train.labels.size());
    bool negatives = true;
    for (std::size_t i = 0; i < bytes.size(); i++) negatives = negatives && (i / row % 2 == 1 || bytes[i] + bytes[i + row] == 255);
    CHECK(negatives);

    std::set<std::uint32_t> sums;
    bool contrast = true;
    for (const Dataset *data : {&train, &test})
        for (int i = 0; i < data->size(); i++) {
            const std::span<const std::uint8_t> image = data->pixels.bytes().subspan(std::size_t(i) * record, record);
            sums.insert(crc_of(image));
            contrast = contrast && std::ranges::max(image) - std::ranges::min(image) > 40;
        }
    CHECK(sums.size() == std::size_t(60 * form.classes));
    CHECK(contrast);

    if (form.classes > 20) return;  // too few images of each for a rate
    LinearModel model(train);
    model.train(train, 2, 2e-4f);
    const double chance = 1.0 / form.classes, bound = chance + 6 * std::sqrt(chance * (1 - chance) / test.size());
    CAPTURE(model.accuracy(test), bound);
    CHECK(model.accuracy(test) < bound);
}

TEST_CASE("Synthetic images of any size are drawn") {
    for (const SyntheticForm form : {SyntheticForm{1, 1, 1, 3}, SyntheticForm{2, 1, 5, 100}, SyntheticForm{3, 200, 1, 10}}) {
        const Dataset data = make_synthetic(Split::train, 2 * form.classes, 1, form);
        CHECK(data.pixels.bytes().size() == std::size_t(2 * form.classes * form.h * form.w * form.c));
    }
}

TEST_CASE("The synthetic set grows with the classes and keeps within its memory") {
    CHECK(synthetic_images(Split::train, {}) == synthetic_train_images);
    CHECK(synthetic_images(Split::test, {}) == synthetic_test_images);
    CHECK(synthetic_images(Split::train, {28, 28, 1, 2}) == 5000);
    CHECK(synthetic_images(Split::train, {32, 32, 3, 100}) == 20000);
    CHECK(synthetic_images(Split::train, {224, 224, 3, 5}) == 1780);
    CHECK(synthetic_images(Split::train, {224, 224, 3, 1000}) == 2000);
}
