#include "generators/layers/relu.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

void forward_channel_vectors(ReluForward &f, const Shape &s, const Set &set) { channel_vectors(f.output, f.c, f.x, f.y, f.n, s, set); }

void backward_channel_vectors(ReluBackward &f, const Shape &s, const Set &set) { channel_vectors(f.d_input, f.c, f.x, f.y, f.n, s, set); }

const Schedules<ReluForward> forward_schedules{{"channel_vectors", forward_channel_vectors}};
const Schedules<ReluBackward> backward_schedules{{"channel_vectors", backward_channel_vectors}};

}  // namespace
}  // namespace halcyon
