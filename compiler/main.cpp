// halcyonc, the model compiler.
#include "compiler/command_line.h"
#include "plan/errors.h"
#include "plan/text.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <functional>

namespace {

/// Reads the command line and does what it asks; returns the exit code.
int run(int argc, char **argv) {
    CLI::App app("Compiles convolutional networks ahead of time into native trainers.", "halcyonc");
    app.require_subcommand(1);
    std::function<int()> chosen;
    halcyon::add_compiler_commands(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp &help) {
        return app.exit(help);
    } catch (const CLI::ParseError &error) {
        fmt::print(stderr, "halcyonc: {}; see --help\n", halcyon::printable(error.what()));
        return 2;
    }
    return chosen();
}

}  // namespace

int main(int argc, char **argv) {
    return halcyon::run_program("", [&] { return run(argc, argv); });
}
