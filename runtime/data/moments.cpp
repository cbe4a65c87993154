#include "runtime/data/moments.h"

#include "runtime/engine/machine.h"
#include "runtime/engine/threads.h"

#include <algorithm>

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

template<typename T>
ChannelMoments moments(const Images<T> &images) {
    ThreadPool pool(hardware_threads());
    const ThreadPool::Step step(pool);  // so that this thread flushes denormals as the others do
    const double pixels = double(images.records.size()) * double(images.pixels);
    ChannelMoments moments;
    moments.mean = sums(images, pool, [](double value, std::size_t) { return value; });
    for (double &mean : moments.mean) mean /= pixels;
    moments.variance = sums(images, pool, [&](double value, std::size_t c) {
        const double deviation = value - moments.mean[c];
        return deviation * deviation;
    });
    for (double &variance : moments.variance) variance /= pixels;
    return moments;
}

}  // namespace

ChannelMoments channel_moments(const Dataset &data, std::span<const std::int32_t> records) {
    const std::size_t pixels = std::size_t(data.h) * data.w, channels = std::size_t(data.c);
    if (data.pixels.are_floats()) return moments(Images<float>{data.pixels.floats(), records, pixels, channels});
    return moments(Images<std::uint8_t>{data.pixels.bytes(), records, pixels, channels});
}

}  // namespace halcyon
