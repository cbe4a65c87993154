#include "generators/layers/concatenate.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void vectors(SomeChannels &f, const Shape &s, const Set &) { vector_threads(f.d_input, f.c, f.x, f.y, f.n, s.in_c); }

const Schedules<SomeChannels> schedules{{"vectors", vectors}};

}  // namespace
}  // namespace halcyon
