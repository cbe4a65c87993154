// tests/kernels/normalised.json beside Keras's layers: make_normalization.py says what is in the file and how it was made. And data sets of
// bytes and of floats, larger than 32 bits can address.
#include "halcyon_normalised.h"

#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/training/normalization.h"
#include "runtime/training/trainer.h"
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/golden/golden_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

constexpr std::size_t image_values = 5 * 7 * 3;

using Floats = std::vector<float>;

Dataset data_of(const Floats &images, bool floats) {
    Dataset data;
    data.h = 5, data.w = 7, data.c = 3, data.classes = 4;
    data.labels.resize(images.size() / image_values);
    data.pixels = floats ? Pixels::of_floats(images.size()) : Pixels::of_bytes(images.size());
    if (floats)
        std::ranges::copy(images, data.pixels.floats().begin());
    else
        std::ranges::transform(images, data.pixels.bytes().begin(), [](float value) { return static_cast<std::uint8_t>(value); });
    return data;
}

const Parameter &parameter(const Network &network, std::string_view name) {
    return *std::ranges::find(network.plan().parameters, name, &Parameter::name);
}

Network make_network(const std::string &set) { return {*halcyon_normalised(), plan_of(*halcyon_normalised()), set, 2, 8}; }

Floats probabilities(Network &network, const std::vector<std::int32_t> &records) {
    network.infer(records);
    return {network.predictions().begin(), network.predictions().end()};
}

void check_close(std::span<const float> ours, std::span<const float> theirs, float tolerance) {
    REQUIRE(ours.size() == theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
        CAPTURE(i, ours[i], theirs[i]);
        CHECK(std::abs(ours[i] - theirs[i]) <= tolerance);
    }
}

/// Runs a check on every set that this machine can run.
void on_every_set(void (*check)(const std::string &set)) {
    for (const SetPlan &set : plan_of(*halcyon_normalised()).sets) {
        CAPTURE(set.set);
        if (why_not(select_sets({set.set}).front()).empty()) check(set.set);
    }
}

/// A file of so many bytes, mapped, of which only what is written takes room on the disk.
class SparseFile {
public:
    explicit SparseFile(std::size_t bytes) : bytes_(bytes) {
        const int file = ::open((folder_ / "records").c_str(), O_RDWR | O_CREAT, 0600);
        REQUIRE(::ftruncate(file, static_cast<off_t>(bytes)) == 0);
        memory_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        ::close(file);
        REQUIRE(memory_ != MAP_FAILED);
    }
    SparseFile(const SparseFile &) = delete;
    SparseFile &operator=(const SparseFile &) = delete;
    ~SparseFile() { ::munmap(memory_, bytes_); }

    template<typename T>
    std::span<T> values() const {
        return {static_cast<T *>(memory_), bytes_ / sizeof(T)};
    }

private:
    TemporaryFolder folder_;
    std::size_t bytes_;
    void *memory_;
};

/// The first and the last record of a data set beyond 2^31 bytes give what they give in a small one.
template<typename T>
void check_large(const std::string &set) {
    if (select_sets({set}).front().on_device()) return;
    const std::size_t records = (std::size_t{1} << 31) / (image_values * sizeof(T)) + 2;
    const SparseFile file(records * image_values * sizeof(T));
    const std::span<T> images = file.values<T>();
    std::vector<T> ends(2 * image_values);
    for (std::size_t i = 0; i < ends.size(); ++i) ends[i] = static_cast<T>(i * 31 % 256);
    std::copy_n(ends.begin(), image_values, images.begin());
    std::copy_n(ends.begin() + image_values, image_values, images.end() - image_values);

    Network network = make_network(set);
    network.initialize(2);
    const std::vector<std::uint16_t> labels(records);
    network.bind_data(std::span<const T>(ends), std::span(labels).first(2));
    const Floats expected = probabilities(network, {0, 1});
    network.bind_data(std::span<const T>(images), labels);
    CHECK(probabilities(network, {0, static_cast<std::int32_t>(records) - 1}) == expected);
}

/// The mean, of which Keras's float32 is less sure than ours, goes into every value of a channel.
void check_adapted(const std::string &set) {
    const Floats images = tensor<float>("images");
    for (const bool floats : {false, true}) {
        const Dataset data = data_of(images, floats);
        Network network = make_network(set);
        network.initialize(1);
        CHECK(network.weight(parameter(network, "normalization/variance"))[0] == 1);
        adapt_normalization(network, data, all_records(data));
        for (const char *name : {"normalization/mean", "normalization/variance"})
            check_close(network.weight(parameter(network, name)), tensor<float>(name), 1e-6F);
        for (const char *name : {"dense/kernel", "dense/bias"})
            std::ranges::copy(tensor<float>(name), network.weight(parameter(network, name)).begin());
        const PlacedData placed = place(network, data);
        network.bind_data(placed);
        const std::vector<std::int32_t> records = all_records(data);
        check_close(probabilities(network, records), tensor<float>("probabilities"), 1e-5F);

        // Weights that are written take effect, in both programs.
        const Floats before = probabilities(network, {3});
        network.weight(parameter(network, "normalization/mean"))[1] += 0.5F;
        CHECK(probabilities(network, {3}) != before);
        network.weight(parameter(network, "normalization/mean"))[1] -= 0.5F;
        check_close(probabilities(network, {3}), before, 1e-5F);
        if (!floats) continue;

        Floats scaled = images;
        for (float &value : scaled) value = value / 64 - 1;
        network.bind_data(scaled, data.labels);
        check_close(probabilities(network, records), tensor<float>("scaled/probabilities"), 1e-5F);
    }
}

}  // namespace

TEST_CASE("an adapted normalization agrees with Keras's, on every set") { on_every_set(check_adapted); }

TEST_CASE("images of more than 2^31 bytes are read on the host: bytes") { on_every_set(check_large<std::uint8_t>); }
TEST_CASE("images of more than 2^31 bytes are read on the host: floats") { on_every_set(check_large<float>); }

TEST_CASE("only the images that are trained on are counted") {
    const Dataset data = data_of(tensor<float>("images"), false), first = data_of(
                                                                      [] {
                                                                          Floats images = tensor<float>("images");
                                                                          images.resize(2 * image_values);
                                                                          return images;
                                                                      }(),
                                                                      false);
    Network all = make_network("reference"), two = make_network("reference"), limited = make_network("reference");
    adapt_normalization(all, data, all_records(data));
    adapt_normalization(two, first, all_records(first));
    adapt_normalization(limited, data, std::vector<std::int32_t>{1, 0});
    CHECK(std::ranges::equal(limited.moving_slab(), two.moving_slab()));
    CHECK_FALSE(std::ranges::equal(limited.moving_slab(), all.moving_slab()));
}
