#include "runtime/engine/weight_update.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

namespace halcyon {
namespace {

constexpr std::size_t floats_in_part = 8192;  // 32 KiB
constexpr std::size_t columns_in_task = 64;

double sum_of_squares(std::span<const float> values) {
    std::array<double, 8> sums{};  // side by side: the compiler makes vectors of them
    std::size_t i = 0;
    for (; i + sums.size() <= values.size(); i += sums.size())
        for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += double(values[i + lane]) * values[i + lane];
    for (; i < values.size(); ++i) sums[0] += double(values[i]) * values[i];
    return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// Does `work` with each of `tasks`, on all threads, which treat denormals alike meanwhile.
template<typename Task, typename Work>
void for_each(ThreadPool &threads, std::vector<Task> &tasks, Work &&work) {
    auto one = [&](int index) { work(tasks[std::size_t(index)]); };
    const ThreadPool::Step step(threads);
    const auto run = [](void *context, int index) {
        (*static_cast<decltype(one) *>(context))(index);
        return 0;
    };
    threads.parallel_for(0, int(tasks.size()), run, &one);
}

}  // namespace

WeightUpdate::WeightUpdate(const Plan &plan, ThreadPool &threads) : threads_(threads) {
    for (const Parameter &parameter : plan.parameters) {
        if (parameter.home != Home::parameters) continue;
        const std::size_t begin = std::size_t(parameter.offset) / sizeof(float), size = elements_of(parameter);
        for (std::size_t done = 0; done < size; done += floats_in_part)
            parts_.push_back({squares_.size(), begin + done, std::min(floats_in_part, size - done)});
        names_.push_back(parameter.name);
        squares_.push_back(0);
        if (parameter.constraint) add_constraint(parameter);
    }
}

void WeightUpdate::add_constraint(const Parameter &parameter) {
    if (parameter.constraint->type == Constraint::Type::non_neg) {
        std::ranges::copy_if(parts_, std::back_inserter(non_negative_),
                             [&](const Part &part) { return part.tensor + 1 == squares_.size(); });
        return;
    }
    const std::vector<int> &shape = parameter.shape, &axes = parameter.constraint->axes;
    const auto is_summed = [&](std::size_t axis) { return std::ranges::find(axes, int(axis)) != axes.end(); };
    const std::size_t last = shape.size() - 1, columns = std::size_t(shape[last]);
    Normed tensor{*parameter.constraint, std::size_t(parameter.offset) / sizeof(float), columns, !is_summed(last), {}, {}};
    std::size_t norms = 0;
    for (std::size_t row = 0; row < elements_of(parameter) / columns; ++row) {
        std::size_t rest = row, norm = 0, next = 1;
        for (std::size_t axis = last; axis-- > 0; rest /= std::size_t(shape[axis])) {
            if (is_summed(axis)) continue;
            norm += rest % std::size_t(shape[axis]) * next;
            next *= std::size_t(shape[axis]);
        }
        tensor.norm_of_row.push_back(norm);
        norms = std::max(norms, norm + 1);
    }
    tensor.norms.resize(norms * (tensor.of_columns ? columns : 1));
    const std::size_t step = tensor.of_columns ? columns_in_task : columns;
    for (std::size_t column = 0; column < columns; column += step)
        columns_.push_back({normed_.size(), column, std::min(column + step, columns)});
    normed_.push_back(std::move(tensor));
}

void WeightUpdate::clip(std::span<float> gradients, const Clipping &clipping) {
    const auto of = [&](const Part &part) { return gradients.subspan(part.first, part.count); };
    if (clipping.by == Clipping::By::value) {
        const auto most = float(clipping.most);
        return for_each(threads_, parts_, [&](Part &part) {
            for (float &g : of(part)) g = g > most ? most : g < -most ? -most : g;
        });
    }
    for_each(threads_, parts_, [&](Part &part) { part.sum = sum_of_squares(of(part)); });
    std::ranges::fill(squares_, 0);
    for (const Part &part : parts_) squares_[part.tensor] += part.sum;
    if (clipping.by == Clipping::By::global_norm) std::ranges::fill(squares_, std::accumulate(squares_.begin(), squares_.end(), 0.0));
    for_each(threads_, parts_, [&](Part &part) {
        const double norm = std::sqrt(squares_[part.tensor]);
        if (norm <= clipping.most) return;
        const double factor = clipping.most / norm + (norm - norm);  // NaN where the norm is not finite
        for (float &g : of(part)) g = float(g * factor);
    });
}

void WeightUpdate::decay(std::span<float> parameters, std::span<float> gradients, const WeightDecay &decay,
                         std::span<const std::string> excluded) {
    for_each(threads_, parts_, [&](const Part &part) {
        const std::string &name = names_[part.tensor];
        if (std::ranges::any_of(excluded, [&](const std::string &text) { return name.find(text) != std::string::npos; })) return;
        for (std::size_t i = part.first; i < part.first + part.count; ++i) {
            gradients[i] += decay.l2 * parameters[i];
            parameters[i] -= decay.shrink * parameters[i];
        }
    });
}

void WeightUpdate::average(std::span<float> parameters, std::span<float> averages, const Averaging &averaging, std::int64_t update) {
    const float momentum = update == 1 ? 0 : float(averaging.momentum), rest = 1 - momentum;
    const bool overwrites = averaging.overwrite_frequency && update % *averaging.overwrite_frequency == 0;
    for_each(threads_, parts_, [&](const Part &part) {
        for (std::size_t i = part.first; i < part.first + part.count; ++i) {
            averages[i] = momentum * averages[i] + rest * parameters[i];
            if (overwrites) parameters[i] = averages[i];
        }
    });
}

void WeightUpdate::constrain(Normed &tensor, const Columns &columns, std::span<float> weights) {
    constexpr double epsilon = 1e-7;  // Keras's
    // Where the norms are of whole rows there is one in the place of a row of them.
    const std::size_t stride = tensor.of_columns ? tensor.columns : 1, step = tensor.of_columns ? 1 : 0;
    const auto for_each_weight = [&](auto &&work) {
        for (std::size_t row = 0; row < tensor.norm_of_row.size(); ++row) {
            float *const w = &weights[row * tensor.columns];
            double *const norms = &tensor.norms[tensor.norm_of_row[row] * stride];
            for (std::size_t i = columns.begin; i < columns.end; ++i) work(w[i], norms[i * step]);
        }
    };
    const auto for_each_norm = [&](auto &&work) {
        for (std::size_t row = 0; row < tensor.norms.size(); row += stride)
            for (std::size_t i = columns.begin * step; i < (columns.end - 1) * step + 1; ++i) work(tensor.norms[row + i]);
    };
    for_each_norm([](double &squares) { squares = 0; });
    for_each_weight([](float w, double &squares) { squares += double(w) * w; });
    for_each_norm([&](double &value) {
        const double norm = std::sqrt(value), most = tensor.constraint.max_value;
        const double desired = tensor.constraint.type == Constraint::Type::unit_norm ? 1 : std::min(norm, most);  // NaN where the norm is
        value = desired / (epsilon + norm);
    });
    for_each_weight([](float &w, double factor) { w = float(w * factor); });
}

void WeightUpdate::constrain(std::span<float> parameters) {
    for_each(threads_, non_negative_, [&](const Part &part) {
        for (float &w : parameters.subspan(part.first, part.count)) w = w < 0 ? 0 : w;
    });
    for_each(threads_, columns_, [&](const Columns &columns) {
        Normed &tensor = normed_[columns.tensor];
        constrain(tensor, columns, parameters.subspan(tensor.first, tensor.norm_of_row.size() * tensor.columns));
    });
}

}  // namespace halcyon
