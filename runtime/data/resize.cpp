#include "runtime/data/resize.h"

#include "runtime/engine/machine.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace halcyon {
namespace {

Picture black(int h, int w, int c) { return {h, w, c, std::vector<std::uint8_t>(std::size_t(h) * std::size_t(w) * std::size_t(c))}; }

std::size_t row_bytes(const Picture &picture) { return std::size_t(picture.w) * std::size_t(picture.c); }

// ---- Pillow's antialiased bilinear

constexpr int fraction_bits = 32 - 8 - 2;  // of a weight: a sum of 8-bit products stays below 2^31
constexpr int half = 1 << (fraction_bits - 1);

/// Halves are rounded up.
int rounded(double value) { return int(std::floor(value + 0.5)); }

/// The inputs of each output along one side, and their weights.
struct Filter {
    int most = 0;  // inputs of an output
    std::vector<int> first, count;
    std::vector<int> weights;  // `most` an output, 0 behind its last

    Filter(int inputs, float begin, float end, int outputs) : first(std::size_t(outputs)), count(std::size_t(outputs)) {
        const double scale = double(end - begin) / outputs, support = std::max(scale, 1.0), narrowing = 1 / support;
        most = int(std::ceil(support)) * 2 + 1;
        weights.resize(std::size_t(outputs) * std::size_t(most));
        std::vector<double> triangle(static_cast<std::size_t>(most));
        for (int i = 0; i < outputs; i++) {
            const double center = begin + (i + 0.5) * scale;
            const int from = std::max(rounded(center - support), 0), to = std::min(rounded(center + support), inputs);
            double sum = 0;
            for (int j = from; j < to; j++) {
                const double weight = std::max(1 - std::abs((j - center + 0.5) * narrowing), 0.0);
                triangle[std::size_t(j - from)] = weight;
                sum += weight;
            }
            first[std::size_t(i)] = from;
            count[std::size_t(i)] = to - from;
            for (int j = 0; j < to - from; j++)
                weights[std::size_t(i) * std::size_t(most) + std::size_t(j)] =
                    rounded(triangle[std::size_t(j)] / sum * (1 << fraction_bits));
        }
    }
};

/// The sums have no negative weights and at most 2^22 of them, give or take their rounding: only the top wants clipping.
std::uint8_t byte_of(int sum) { return std::uint8_t(std::min(sum >> fraction_bits, 255)); }

/// Bytes that are summed side by side, in registers: 16 pixels of RGB or 48 of grey.
constexpr std::size_t lanes = 48;

/// The weighted sum of `count` rows that lie one behind the other.
[[gnu::always_inline]] inline void merge(const std::uint8_t *rows, std::size_t bytes, const int *weights, int count, std::uint8_t *to) {
    const std::size_t width = std::min(bytes, lanes);
    for (std::size_t done = 0; done < bytes; done += width) {
        const std::size_t x = std::min(done, bytes - width);  // the last lanes overlap those before
        int sums[lanes];
        for (int &sum : sums) sum = half;
        const std::uint8_t *row = rows + x;
        for (int i = 0; i < count; i++, row += bytes) {
            const int weight = weights[i];
            if (width == lanes)
                for (std::size_t j = 0; j < lanes; j++) sums[j] += row[j] * weight;
            else
                for (std::size_t j = 0; j < width; j++) sums[j] += row[j] * weight;
        }
        for (std::size_t j = 0; j < width; j++) to[x + j] = byte_of(sums[j]);
    }
}

void merge_anywhere(const std::uint8_t *rows, std::size_t bytes, const int *weights, int count, std::uint8_t *to) {
    merge(rows, bytes, weights, count, to);
}

/// Integers are exact however many are computed at once, and with AVX2 they take half the time.
[[gnu::target("avx2")]] void merge_avx2(const std::uint8_t *rows, std::size_t bytes, const int *weights, int count, std::uint8_t *to) {
    merge(rows, bytes, weights, count, to);
}

void merge_rows(const std::uint8_t *rows, std::size_t bytes, const int *weights, int count, std::uint8_t *to) {
    static const auto fastest = cpu_has("avx2") ? merge_avx2 : merge_anywhere;
    fastest(rows, bytes, weights, count, to);
}

/// How far it is in memory to the pixel on the right and to that below.
struct Steps {
    std::size_t right, below;
};

/// Copies pixels of `c` bytes. Four bytes are moved faster than three; the fourth is the next pixel's, which is written afterwards, and the
/// last column has none.
template<std::size_t c>
void copy_pixels(const std::uint8_t *from, Steps from_steps, std::uint8_t *to, Steps to_steps, std::size_t columns, std::size_t rows) {
    constexpr std::size_t fast = c == 3 ? 4 : c;
    for (std::size_t x = 0; x + 1 < columns; x++)
        for (std::size_t y = 0; y < rows; y++)
            std::memcpy(to + x * to_steps.right + y * to_steps.below, from + x * from_steps.right + y * from_steps.below, fast);
    for (std::size_t x = columns - 1, y = 0; y < rows; y++)
        std::memcpy(to + x * to_steps.right + y * to_steps.below, from + x * from_steps.right + y * from_steps.below, c);
}

/// The rows `first` to `last` of a picture, narrower or wider. So many of them that they fill the lanes are turned into columns, which are
/// merged like rows: 48 KiB for 1000 pixels of width.
template<std::size_t c>
Picture across(const Picture &picture, const Filter &filter, int first, int last) {
    constexpr std::size_t strip_rows = lanes / c;
    constexpr Steps turned = {lanes, c};
    Picture result = black(last - first, int(filter.first.size()), int(c));
    const auto old_width = std::size_t(picture.w), new_width = std::size_t(result.w);
    std::vector<std::uint8_t> strip(old_width * lanes), narrow(new_width * lanes);
    for (std::size_t y = 0; y < std::size_t(result.h); y += strip_rows) {
        const std::size_t rows = std::min(strip_rows, std::size_t(result.h) - y);
        copy_pixels<c>(&picture.pixels[(std::size_t(first) + y) * row_bytes(picture)], {c, row_bytes(picture)}, strip.data(), turned,
                       old_width, rows);
        for (std::size_t x = 0; x < new_width; x++)
            merge_rows(&strip[std::size_t(filter.first[x]) * lanes], lanes, &filter.weights[x * std::size_t(filter.most)], filter.count[x],
                       &narrow[x * lanes]);
        copy_pixels<c>(narrow.data(), turned, &result.pixels[y * row_bytes(result)], {c, row_bytes(result)}, new_width, rows);
    }
    return result;
}

/// The rows from `first` on of a picture, fewer or more of them.
Picture down(const Picture &picture, const Filter &filter, int first) {
    Picture result = black(int(filter.first.size()), picture.w, picture.c);
    const std::size_t bytes = row_bytes(picture);
    for (std::size_t y = 0; y < filter.first.size(); y++)
        merge_rows(&picture.pixels[std::size_t(filter.first[y] - first) * bytes], bytes, &filter.weights[y * std::size_t(filter.most)],
                   filter.count[y], &result.pixels[y * bytes]);
    return result;
}

/// Which side is resized first shows in the last bit, as the result between is rounded to bytes. Since its version 13 Pillow begins with
/// the height where that loses more than twice as many pixels as the width; before, it always began with the width.
bool height_first(const Picture &picture, int h, int w) {
    const std::int64_t fewer_rows = std::int64_t{picture.h} - h, fewer_columns = std::int64_t{picture.w} - w;
    return fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
}

Picture resize_pillow(const Picture &picture, const CropBox &window, int h, int w) {
    const Filter columns(picture.w, window.left, window.right, w), rows(picture.h, window.top, window.bottom, h);
    const auto across_picture = picture.c == 1 ? across<1> : across<3>;
    if (height_first(picture, h, w)) return across_picture(down(picture, rows, 0), columns, 0, h);
    const int first = rows.first.front(), last = rows.first.back() + rows.count.back();  // no other row is needed
    return down(across_picture(picture, columns, first, last), rows, first);
}

// ---- TensorFlow's bilinear

/// The two inputs of each output along one side, and how far the output is from the lower to the upper.
struct Neighbours {
    std::vector<int> lower, upper;
    std::vector<float> distance;

    Neighbours(int inputs, float begin, float end, int outputs) {
        const float scale = (end - begin) / float(outputs);
        for (int i = 0; i < outputs; i++) {
            const float at = begin + (float(i) + 0.5F) * scale - 0.5F, floor = std::floor(at);
            lower.push_back(std::max(int(floor), 0));
            upper.push_back(std::min(int(std::ceil(at)), inputs - 1));
            distance.push_back(at - floor);
        }
    }
};

Picture resize_tf(const Picture &picture, const CropBox &window, int h, int w) {
    const Neighbours columns(picture.w, window.left, window.right, w), rows(picture.h, window.top, window.bottom, h);
    Picture result = black(h, w, picture.c);
    std::uint8_t *to = result.pixels.data();
    for (std::size_t y = 0; y < std::size_t(h); y++) {
        const std::uint8_t *top = &picture.pixels[std::size_t(rows.lower[y]) * row_bytes(picture)];
        const std::uint8_t *bottom = &picture.pixels[std::size_t(rows.upper[y]) * row_bytes(picture)];
        for (std::size_t x = 0; x < std::size_t(w); x++)
            for (int channel = 0; channel < picture.c; channel++) {
                const int left = columns.lower[x] * picture.c + channel, right = columns.upper[x] * picture.c + channel;
                const float above = float(top[left]) + float(top[right] - top[left]) * columns.distance[x];
                const float below = float(bottom[left]) + float(bottom[right] - bottom[left]) * columns.distance[x];
                *to++ = std::uint8_t(std::nearbyint(above + (below - above) * rows.distance[y]));
            }
    }
    return result;
}

// ---- The nearest pixel

/// Pillow adds the step from pixel to pixel, which rounds otherwise than a product.
std::vector<std::size_t> nearest(int inputs, float begin, float end, int outputs) {
    const double step = double(end - begin) / outputs;
    std::vector<std::size_t> result;
    double at = begin + step * 0.5;
    for (int i = 0; i < outputs; i++, at += step) result.push_back(std::size_t(std::clamp(int(at), 0, inputs - 1)));
    return result;
}

Picture resize_nearest(const Picture &picture, const CropBox &window, int h, int w) {
    const std::vector<std::size_t> columns = nearest(picture.w, window.left, window.right, w);
    Picture result = black(h, w, picture.c);
    std::uint8_t *to = result.pixels.data();
    for (const std::size_t y : nearest(picture.h, window.top, window.bottom, h))
        for (const std::size_t x : columns)
            to = std::copy_n(&picture.pixels[y * row_bytes(picture) + x * std::size_t(picture.c)], picture.c, to);
    return result;
}

}  // namespace

Picture resize(const Picture &picture, const CropBox &window, int h, int w, Resize method) {
    switch (method) {
    case Resize::pillow:
        return resize_pillow(picture, window, h, w);
    case Resize::tf:
        return resize_tf(picture, window, h, w);
    case Resize::nearest:
        return resize_nearest(picture, window, h, w);
    }
    return {};
}

}  // namespace halcyon
