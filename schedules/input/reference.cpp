#include "generators/layers/input.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(InputForward &f) {
    f.key.compute_root();
    f.output.reorder(f.c, f.x, f.y, f.n).parallel(f.n);
    f.flipped.compute_at(f.output, f.n);
}

const Schedules<InputForward> schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
