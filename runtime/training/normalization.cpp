#include "runtime/training/normalization.h"

#include "runtime/engine/machine.h"
#include "runtime/engine/threads.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace halcyon {
namespace {

/// A value for each channel.
using Channels = std::vector<double>;

/// The images that are looked at.
template<typename T>
struct Images {
    std::span<const T> values;  // of all records
    std::span<const std::int32_t> records;
    std::size_t pixels, channels;  // of a record

    std::span<const T> image(std::size_t i) const { return values.subspan(std::size_t(records[i]) * pixels * channels, pixels * channels); }
};

/// Sums of `term` (a function of a value and its channel) over all pixels. Each task adds up some images, about 2^16 pixels, and the tasks'
/// sums are added in order, so that the number of threads changes nothing.
template<typename T, typename Term>
Channels sums(const Images<T> &images, ThreadPool &pool, Term term) {
    const std::size_t task_images = (std::size_t{1} << 16) / images.pixels + 1, count = images.records.size();
    const std::size_t tasks = (count + task_images - 1) / task_images, channels = images.channels;
    std::vector<Channels> partial(tasks, Channels(channels));
    const auto add = [&](int task) {
        Channels &sum = partial[std::size_t(task)];
        const std::size_t first = std::size_t(task) * task_images;
        for (std::size_t i = first; i < std::min(first + task_images, count); ++i) {
            const std::span<const T> image = images.image(i);
            for (std::size_t pixel = 0; pixel < images.pixels; ++pixel)
                for (std::size_t c = 0; c < channels; ++c) sum[c] += term(double(image[pixel * channels + c]), c);
        }
    };
    const auto call = [](void *function, int task) {
        (*static_cast<decltype(add) *>(function))(task);
        return 0;
    };
    pool.parallel_for(0, int(tasks), call, const_cast<void *>(static_cast<const void *>(&add)));

    Channels all(channels);
    for (const Channels &sum : partial)
        for (std::size_t c = 0; c < channels; ++c) all[c] += sum[c];
    return all;
}

struct Moments {
    Channels mean, variance;
};

template<typename T>
Moments moments(const Images<T> &images) {
    ThreadPool pool(hardware_threads());
    const ThreadPool::Step step(pool);  // so that this thread flushes denormals as the others do
    const double pixels = double(images.records.size()) * double(images.pixels);
    Moments moments;
    moments.mean = sums(images, pool, [](double value, std::size_t) { return value; });
    for (double &mean : moments.mean) mean /= pixels;
    moments.variance = sums(images, pool, [&](double value, std::size_t c) {
        const double deviation = value - moments.mean[c];
        return deviation * deviation;
    });
    for (double &variance : moments.variance) variance /= double(pixels);
    return moments;
}

Moments moments(const Dataset &data, std::span<const std::int32_t> records) {
    const std::size_t pixels = std::size_t(data.h) * data.w, channels = std::size_t(data.c);
    if (data.pixels.are_floats()) return moments(Images<float>{data.pixels.floats(), records, pixels, channels});
    return moments(Images<std::uint8_t>{data.pixels.bytes(), records, pixels, channels});
}

/// The call that reads the statistics of the model's normalization; null where it has none.
const Call *find_fold(const Network &network) {
    for (const SetPlan &set : network.plan().sets)
        if (set.set == network.set())
            for (const Program &program : set.programs)
                for (const Call &call : program.calls)
                    if (call.kernel == "normalization_fold") return &call;
    return nullptr;
}

}  // namespace

void adapt_normalization(Network &network, const Dataset &train, std::span<const std::int32_t> records) {
    const Call *fold = find_fold(network);
    if (!fold) return;
    const auto statistic = [&](std::string_view name) -> const Parameter & {
        return *std::ranges::find(network.plan().parameters, fold->layer + "/" + std::string(name), &Parameter::name);
    };
    const Parameter &mean = statistic("mean"), &variance = statistic("variance");
    if (mean.initializer != "image_mean") return;

    // The layers before it make scale x + offset of a value x.
    const Moments of_images = moments(train, records);
    const double scale = fold->shape.image_scale, offset = fold->shape.image_offset;
    std::ranges::transform(of_images.mean, network.weight(mean).begin(), [&](double x) { return float(scale * x + offset); });
    std::ranges::transform(of_images.variance, network.weight(variance).begin(), [&](double x) { return float(scale * scale * x); });
}

}  // namespace halcyon
