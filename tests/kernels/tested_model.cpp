// The build names the model's function as HALCYON_MODEL (halcyon_cifar10).
#include "tests/kernels/tested_model.h"

extern "C" const halcyon_model *HALCYON_MODEL();

const halcyon_model &halcyon::tested_model() { return *HALCYON_MODEL(); }
