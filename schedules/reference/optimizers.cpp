#include "schedules/reference/reference.h"

namespace halcyon {

// Each slab a loop of its own, the state before the parameters that read it.
void reference(Adam &) {}

void reference(Sgd &) {}

}  // namespace halcyon
