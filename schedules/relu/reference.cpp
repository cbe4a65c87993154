#include "schedules/reference/reference.h"

namespace halcyon {

void reference(ReluForward &f) { f.output.parallel(f.n); }

void reference(ReluBackward &f) { f.d_input.parallel(f.n); }

}  // namespace halcyon
