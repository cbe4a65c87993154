#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

void gpu_reference(MaxPool2dForward &f) {
    element_threads(f.output, f.c, f.x, f.y, f.n);
    f.largest.compute_at(f.output, thread);
}

// Every pixel computes the choice of each window that holds it.
void gpu_reference(MaxPool2dBackward &f) {
    element_threads(f.d_input, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.d_input, thread);
    f.choice.compute_at(f.sum, f.windows.x);
}

}  // namespace halcyon
