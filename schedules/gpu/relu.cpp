#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

void gpu_reference(ReluForward &f) { element_threads(f.output, f.c, f.x, f.y, f.n); }

void gpu_reference(ReluBackward &f) { element_threads(f.d_input, f.c, f.x, f.y, f.n); }

}  // namespace halcyon
