// The main program of every compiled model; the build names the model's function as HALCYON_MODEL (halcyon_cifar10).
#include "runtime/commands/command_line.h"

extern "C" const halcyon_model *HALCYON_MODEL();

int main(int argc, char **argv) { return halcyon::run_command_line(*HALCYON_MODEL(), argc, argv); }
