#include "generators/layers/add.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void vectors(Add &f, const Shape &s, const Set &) { vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c); }

const Schedules<Add> schedules{{"vectors", vectors}};

}  // namespace
}  // namespace halcyon
