#include "compiler/memory_plan.h"

#include "plan/plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace halcyon {
namespace {

bool meet(const Lifetime &a, const Lifetime &b) { return a.first <= b.last && b.first <= a.last; }

/// An aligned piece of the arena.
struct Piece {
    std::int64_t begin, end;
};

/// The start of the smallest gap of `bytes` between the `taken` pieces, or the end of the last one. Pieces may overlap each other.
std::int64_t best_gap(std::vector<Piece> taken, std::int64_t bytes) {
    std::ranges::sort(taken, {}, &Piece::begin);
    std::int64_t end = 0, best = -1, best_size = std::numeric_limits<std::int64_t>::max();
    for (const Piece &piece : taken) {
        const std::int64_t size = piece.begin - end;
        if (size >= bytes && size < best_size) best = end, best_size = size;
        end = std::max(end, piece.end);
    }
    return best >= 0 ? best : end;
}

}  // namespace

MemoryPlan plan_memory(const std::vector<Lifetime> &lifetimes) {
    std::vector<int> order(lifetimes.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](int a, int b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

    MemoryPlan plan;
    plan.offsets.resize(lifetimes.size());
    for (auto current = order.begin(); current != order.end(); ++current) {
        const Lifetime &lifetime = lifetimes[*current];
        std::vector<Piece> taken;
        for (auto placed = order.begin(); placed != current; ++placed)
            if (meet(lifetime, lifetimes[*placed]))
                taken.push_back({plan.offsets[*placed], plan.offsets[*placed] + align_buffer(lifetimes[*placed].bytes)});
        const std::int64_t bytes = align_buffer(lifetime.bytes);
        plan.offsets[*current] = best_gap(std::move(taken), bytes);
        plan.bytes = std::max(plan.bytes, plan.offsets[*current] + bytes);
    }
    return plan;
}

std::int64_t most_alive(const std::vector<Lifetime> &lifetimes) {
    std::int64_t most = 0;
    // The maximum is reached where some buffer's life begins.
    for (const Lifetime &at : lifetimes) {
        std::int64_t alive = 0;
        for (const Lifetime &lifetime : lifetimes)
            if (lifetime.first <= at.first && at.first <= lifetime.last) alive += align_buffer(lifetime.bytes);
        most = std::max(most, alive);
    }
    return most;
}

}  // namespace halcyon
