// Layer and group normalisation, as Keras defines them: over a group of the channels of a window of an image, which is a pixel or all of
// it. The windows lie side by side.
//
// normalised = (input - mean) * inv_std, output = gamma * normalised + beta. An activation of statistics has two values for each group in
// its channels: first those of all groups' means, then those of their inverse deviations.
#pragma once

#include "plan/shape.h"

#include <Halide.h>

#include <functional>

namespace halcyon {

/// The groups of a shape whose out_c are the statistics of a window.
inline int groups_of(const Shape &s) { return s.out_c / 2; }
inline int channels_a_group(const Shape &s) { return s.in_c / groups_of(s); }

/// The group of a channel.
inline Halide::Expr group_of(const Shape &s, const Halide::Expr &c) {
    return groups_of(s) == 1 ? Halide::Expr(0) : c / channels_a_group(s);
}

/// The mean of a value over a group's channels in a window: over a channel's pixels first, and then over the channels.
struct GroupMean {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom pixels, channels;  // x, y of a window; c of a group
    Halide::Func channel{"channel"}, sum{"sum"}, mean{"mean"};

    using Value = std::function<Halide::Expr(const Halide::Expr &c, const Halide::Expr &x, const Halide::Expr &y, const Halide::Expr &n)>;

    /// `value(c, x, y, n)` is of pixel (x, y).
    GroupMean(const Shape &s, const Value &value)
        : pixels(0, s.kernel_w, 0, s.kernel_h, "pixels"), channels(0, channels_a_group(s), "channels") {
        if (has_pixels(s)) {
            channel(c, x, y, n) = 0.0f;
            channel(c, x, y, n) += value(c, x * s.kernel_w + pixels.x, y * s.kernel_h + pixels.y, n);
        } else {
            channel(c, x, y, n) = value(c, x, y, n);
        }
        sum(c, x, y, n) = 0.0f;
        sum(c, x, y, n) += channel(c * channels_a_group(s) + channels, x, y, n);
        mean(c, x, y, n) = sum(c, x, y, n) / (float(channels_a_group(s)) * float(s.kernel_w * s.kernel_h));
    }

    static bool has_pixels(const Shape &s) { return s.kernel_w * s.kernel_h > 1; }
};

/// Two values for each group, of which the second may be made of the first.
struct GroupStatistics {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    GroupMean first;
    Halide::Func center{"center"};  // the first value, for each channel
    GroupMean second;
    Halide::Func output{"output"};

protected:
    GroupStatistics(const Shape &s, const GroupMean::Value &of_first,
                    const std::function<GroupMean::Value(const Halide::Func &center)> &of_second,
                    const std::function<Halide::Expr(const Halide::Expr &)> &result)
        : first(s, of_first), second(s, of_second(centered(s))) {
        const Halide::Expr group = c % groups_of(s);
        output(c, x, y, n) = select(c < groups_of(s), first.mean(group, x, y, n), result(second.mean(group, x, y, n)));
    }

private:
    Halide::Func centered(const Shape &s) {
        center(c, x, y, n) = first.mean(group_of(s, c), x, y, n);
        return center;
    }
};

/// The mean, and 1 / sqrt(variance + epsilon), of which the variance is the mean of the squares about the mean: it neither cancels nor
/// falls below zero.
struct GroupNormStats : GroupStatistics {
    GroupNormStats(const Halide::Func &input, const Shape &s)
        : GroupStatistics(
              s, [=](const auto &c, const auto &x, const auto &y, const auto &n) { return input(c, x, y, n); },
              [=](const Halide::Func &center) -> GroupMean::Value {
                  return [=](const auto &c, const auto &x, const auto &y, const auto &n) {
                      const Halide::Expr deviation = input(c, x, y, n) - center(c, x / s.kernel_w, y / s.kernel_h, n);
                      return deviation * deviation;
                  };
              },
              [=](const Halide::Expr &variance) { return 1.0f / sqrt(variance + s.epsilon); }) {}
};

/// What the statistics make of the input.
class Normalised {
public:
    Normalised(const Halide::Func &input, const Halide::Func &statistics, const Shape &s) : input_(input), statistics_(statistics), s_(s) {}

    Halide::Expr operator()(const Halide::Expr &c, const Halide::Expr &x, const Halide::Expr &y, const Halide::Expr &n) const {
        return (input_(c, x, y, n) - value(0, c, x, y, n)) * inv_std(c, x, y, n);
    }

    Halide::Expr inv_std(const Halide::Expr &c, const Halide::Expr &x, const Halide::Expr &y, const Halide::Expr &n) const {
        return value(groups_of(s_), c, x, y, n);
    }

private:
    Halide::Expr value(int first, const Halide::Expr &c, const Halide::Expr &x, const Halide::Expr &y, const Halide::Expr &n) const {
        return statistics_(first + group_of(s_, c), x / s_.kernel_w, y / s_.kernel_h, n);
    }

    Halide::Func input_, statistics_;
    Shape s_;
};

struct GroupNormForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func output{"output"};

    GroupNormForward(const Halide::Func &input, const Halide::Func &statistics, const Halide::Func &gamma, const Halide::Func &beta,
                     const Shape &s) {
        output(c, x, y, n) = gamma(c) * Normalised(input, statistics, s)(c, x, y, n) + beta(c);
    }
};

/// The means of the normalised values' gradients, which are gamma * d_output, and of those times the normalised values.
struct GroupNormBackwardMeans : GroupStatistics {
    GroupNormBackwardMeans(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &statistics,
                           const Halide::Func &gamma, const Shape &s)
        : GroupStatistics(
              s, [=](const auto &c, const auto &x, const auto &y, const auto &n) { return gamma(c) * d_output(c, x, y, n); },
              [=](const Halide::Func &) -> GroupMean::Value {
                  return [=, normalised = Normalised(input, statistics, s)](const auto &c, const auto &x, const auto &y, const auto &n) {
                      return gamma(c) * d_output(c, x, y, n) * normalised(c, x, y, n);
                  };
              },
              [](const Halide::Expr &mean) { return mean; }) {}
};

/// inv_std * (gamma * d_output - the first mean - normalised * the second)
struct GroupNormBackwardData {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func d_input{"d_input"};

    GroupNormBackwardData(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &statistics,
                          const Halide::Func &means, const Halide::Func &gamma, const Shape &s) {
        const Normalised normalised(input, statistics, s);
        const auto mean = [&](int first) { return means(first + group_of(s, c), x / s.kernel_w, y / s.kernel_h, n); };
        const Halide::Expr through_statistics = mean(0) + normalised(c, x, y, n) * mean(groups_of(s));
        d_input(c, x, y, n) = normalised.inv_std(c, x, y, n) * (gamma(c) * d_output(c, x, y, n) - through_statistics);
    }
};

}  // namespace halcyon
