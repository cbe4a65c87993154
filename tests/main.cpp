// Catch2's main. Version 3 brings it in a library of its own; for version 2 it is compiled here.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

int main(int argc, char **argv) { return Catch::Session().run(argc, argv); }
