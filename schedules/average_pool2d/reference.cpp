#include "generators/layers/average_pool2d.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

template<bool averages>
void reference(WindowSum2dForward<averages> &f) {
    f.output.parallel(f.n);
    f.sum.compute_at(f.output, f.c);
}

template<bool averages>
void reference(WindowSum2dBackward<averages> &f) {
    f.d_input.parallel(f.n);
    f.sum.compute_at(f.d_input, f.c);
}

template<bool averages>
struct WindowSchedules {
    Schedules<WindowSum2dForward<averages>> forward{{"reference", reference<averages>}};
    Schedules<WindowSum2dBackward<averages>> backward{{"reference", reference<averages>}};
};

const WindowSchedules<true> of_means;
const WindowSchedules<false> of_sums;

}  // namespace
}  // namespace halcyon
