#include "schedules/reference/reference.h"

namespace halcyon {

void reference(Adam &) {}

void reference(Sgd &) {}

}  // namespace halcyon
