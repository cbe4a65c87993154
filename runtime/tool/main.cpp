// halcyon: the commands of a trainer for any model, which it compiles first, once, and those of halcyonc.
#include "runtime/commands/command_line.h"
#include "runtime/tool/tool.h"

int main(int argc, char **argv) {
    halcyon::Tool tool;
    return halcyon::run_command_line(tool, argc, argv);
}
