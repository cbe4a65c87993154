// The model whose kernels a program tests.
#pragma once

#include "runtime/model.h"

namespace halcyon {

const halcyon_model &tested_model();

}  // namespace halcyon
