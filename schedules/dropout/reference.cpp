#include "generators/layers/dropout.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

// A pair of random words an element: the four lanes that share it are too far apart for a loop without memory.
void reference(Dropout &f) {
    f.key.compute_root();
    f.output.parallel(f.n);
    f.words.compute_at(f.output, f.c);
}

const Schedules<Dropout> schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
