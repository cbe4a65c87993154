#include "generators/layers/input.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

// The bytes of a row of an image are read once each, in either direction, and stored among the other images' pixels of that row.
void rows(InputForward &f, const Shape &s, const Set &) {
    f.key.compute_root();
    f.output.reorder(f.c, f.x, f.n, f.y).unroll(f.c, s.in_c % 3 ? 1 : 3).parallel(f.y);
    f.flipped.compute_at(f.output, f.n);
}

}  // namespace

template<>
const std::vector<NamedSchedule<InputForward>> &x86_schedules() {
    static const std::vector<NamedSchedule<InputForward>> schedules = {{"rows", rows}};
    return schedules;
}

}  // namespace halcyon
