#include "generators/layers/add.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

void add_channel_vectors(Add &f, const Shape &s, const Set &set) { channel_vectors(f.output, f.c, f.x, f.y, f.n, s, set); }

const Schedules<Add> schedules{{"channel_vectors", add_channel_vectors}};

}  // namespace
}  // namespace halcyon
