#include "generators/layers/relu.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

void forward_channel_vectors(ReluForward &f, const Shape &s, const Set &set) { channel_vectors(f.output, f.c, f.x, f.y, f.n, s, set); }

void backward_channel_vectors(ReluBackward &f, const Shape &s, const Set &set) { channel_vectors(f.d_input, f.c, f.x, f.y, f.n, s, set); }

}  // namespace

template<>
const std::vector<NamedSchedule<ReluForward>> &x86_schedules() {
    static const std::vector<NamedSchedule<ReluForward>> schedules = {{"channel_vectors", forward_channel_vectors}};
    return schedules;
}

template<>
const std::vector<NamedSchedule<ReluBackward>> &x86_schedules() {
    static const std::vector<NamedSchedule<ReluBackward>> schedules = {{"channel_vectors", backward_channel_vectors}};
    return schedules;
}

}  // namespace halcyon
