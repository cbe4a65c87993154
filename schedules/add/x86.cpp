#include "generators/layers/add.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

void add_channel_vectors(Add &f, const Shape &s, const Set &set) { channel_vectors(f.output, f.c, f.x, f.y, f.n, s, set); }

}  // namespace

template<>
const std::vector<NamedSchedule<Add>> &x86_schedules() {
    static const std::vector<NamedSchedule<Add>> schedules = {{"channel_vectors", add_channel_vectors}};
    return schedules;
}

}  // namespace halcyon
