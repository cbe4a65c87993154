#include "generators/layers/relu.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void forward_vectors(ReluForward &f, const Shape &s, const Set &) { vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c); }

void backward_vectors(ReluBackward &f, const Shape &s, const Set &) { vector_threads(f.d_input, f.c, f.x, f.y, f.n, s.in_c); }

const Schedules<ReluForward> forward_schedules{{"vectors", forward_vectors}};
const Schedules<ReluBackward> backward_schedules{{"vectors", backward_vectors}};

}  // namespace
}  // namespace halcyon
