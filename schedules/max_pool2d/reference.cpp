#include "schedules/reference/reference.h"

namespace halcyon {

void reference(MaxPool2dForward &f) {
    f.output.parallel(f.n);
    f.largest.compute_at(f.output, f.c);
}

// Every pixel computes the choice of each window that holds it.
void reference(MaxPool2dBackward &f) {
    f.d_input.parallel(f.n);
    f.sum.compute_at(f.d_input, f.c);
    f.choice.compute_at(f.sum, f.windows.x);
}

}  // namespace halcyon
