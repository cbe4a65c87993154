#include "runtime/data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

// Vectors of four integers are exact whatever the CPU; with AVX2 the loops below are several times faster than with SSE2.
#define HALCYON_FASTEST_INTEGERS __attribute__((target_clones("avx2", "default")))

namespace halcyon {
namespace {

Picture black(int h, int w, int c) { return {h, w, c, std::vector<std::uint8_t>(std::size_t(h) * std::size_t(w) * std::size_t(c))}; }

std::size_t row_bytes(const Picture &picture) { return std::size_t(picture.w) * std::size_t(picture.c); }

// ---- Pillow's antialiased bilinear

constexpr int fraction_bits = 32 - 8 - 2;  // of a weight: a sum of 8-bit products stays below 2^31
constexpr int half = 1 << (fraction_bits - 1);

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
            const int from = std::max(int(center - support + 0.5), 0), to = std::min(int(center + support + 0.5), inputs);
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
                    int(0.5 + triangle[std::size_t(j)] / sum * (1 << fraction_bits));
        }
    }
};

using Four = int __attribute__((vector_size(16)));
using FourBytes = std::uint8_t __attribute__((vector_size(4)));

/// The sums have no negative weights and at most 2^22 of them, give or take their rounding: only the top wants clipping.
std::uint8_t byte_of(int sum) { return std::uint8_t(std::min(sum >> fraction_bits, 255)); }

/// A row of RGB. It reads one byte beyond its last pixel: the fourth lane, which is not used.
HALCYON_FASTEST_INTEGERS void narrow_rgb_row(const std::uint8_t *row, const Filter &filter, std::uint8_t *to) {
    const int *weights = filter.weights.data();
    for (std::size_t x = 0; x < filter.first.size(); x++, weights += filter.most, to += 3) {
        const std::uint8_t *from = row + std::ptrdiff_t{filter.first[x]} * 3;
        Four sum = {half, half, half, half};
        for (int i = 0; i < filter.count[x]; i++, from += 3) {
            FourBytes pixel;
            std::memcpy(&pixel, from, sizeof pixel);
            sum += __builtin_convertvector(pixel, Four) * weights[i];
        }
        for (int channel = 0; channel < 3; channel++) to[channel] = byte_of(sum[channel]);
    }
}

void narrow_grey_row(const std::uint8_t *row, const Filter &filter, std::uint8_t *to) {
    const int *weights = filter.weights.data();
    for (std::size_t x = 0; x < filter.first.size(); x++, weights += filter.most) {
        int sum = half;
        for (int i = 0; i < filter.count[x]; i++) sum += row[filter.first[x] + i] * weights[i];
        *to++ = byte_of(sum);
    }
}

/// The rows `first` to `last` of the picture, narrowed or widened.
Picture across(const Picture &picture, const Filter &filter, int first, int last) {
    Picture result = black(last - first, int(filter.first.size()), picture.c);
    std::vector<std::uint8_t> row(row_bytes(picture) + sizeof(FourBytes));
    for (int y = first; y < last; y++) {
        const std::uint8_t *from = &picture.pixels[std::size_t(y) * row_bytes(picture)];
        std::uint8_t *to = &result.pixels[std::size_t(y - first) * row_bytes(result)];
        if (picture.c == 1) {
            narrow_grey_row(from, filter, to);
        } else {
            std::copy_n(from, row_bytes(picture), row.begin());
            narrow_rgb_row(row.data(), filter, to);
        }
    }
    return result;
}

/// A weighted sum of `count` rows that lie one behind the other.
HALCYON_FASTEST_INTEGERS void merge_rows(const std::uint8_t *rows, std::size_t bytes, const int *weights, int count, std::uint8_t *to) {
    constexpr std::size_t block = 64;  // sums that stay in registers
    for (std::size_t x = 0; x < bytes; x += block) {
        const std::size_t width = std::min(block, bytes - x);
        int sums[block];
        std::fill_n(sums, block, half);
        for (int i = 0; i < count; i++) {
            const std::uint8_t *row = rows + std::size_t(i) * bytes + x;
            if (width == block)
                for (std::size_t j = 0; j < block; j++) sums[j] += row[j] * weights[i];
            else
                for (std::size_t j = 0; j < width; j++) sums[j] += row[j] * weights[i];
        }
        for (std::size_t j = 0; j < width; j++) to[x + j] = byte_of(sums[j]);
    }
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

Picture resize_pillow(const Picture &picture, const Window &window, int h, int w) {
    const Filter columns(picture.w, window.left, window.right, w), rows(picture.h, window.top, window.bottom, h);
    if (height_first(picture, h, w)) return across(down(picture, rows, 0), columns, 0, h);
    const int first = rows.first.front(), last = rows.first.back() + rows.count.back();  // no other row is needed
    return down(across(picture, columns, first, last), rows, first);
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

Picture resize_tf(const Picture &picture, const Window &window, int h, int w) {
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

Picture resize_nearest(const Picture &picture, const Window &window, int h, int w) {
    const std::vector<std::size_t> columns = nearest(picture.w, window.left, window.right, w);
    Picture result = black(h, w, picture.c);
    std::uint8_t *to = result.pixels.data();
    for (const std::size_t y : nearest(picture.h, window.top, window.bottom, h))
        for (const std::size_t x : columns)
            to = std::copy_n(&picture.pixels[y * row_bytes(picture) + x * std::size_t(picture.c)], picture.c, to);
    return result;
}

}  // namespace

Picture resize(const Picture &picture, const Window &window, int h, int w, Resize method) {
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
