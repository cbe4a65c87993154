// What the commands need of the program that they are in: its name, and a model.
#pragma once

#include "runtime/model.h"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace halcyon {

/// The command that the user chose, with its options; returns the exit code. Throws std::exception with one line for the user.
using Command = std::function<int()>;

/// A trainer, whose model is linked in, or the tool, which is told one.
class Application {
public:
    virtual ~Application() = default;

    /// What the user calls, and messages begin with: "cifar10".
    virtual std::string name() const = 0;

    /// What it is for, on one line.
    virtual std::string about() const = 0;

    /// How help texts call the model.
    virtual std::string model_name() const = 0;

    /// Adds what a command must be told to find its model.
    virtual void add_model(CLI::App &) {}

    /// Whether the model may come with weights: those of a run's best epoch.
    virtual bool may_have_weights() const { return false; }

    /// Adds commands of its own, which set `chosen` to what is to be done when the command line was read.
    virtual void add_commands(CLI::App &, Command & /*chosen*/) {}

    /// The model that the command line names; its kernels need not be there. Valid as long as this.
    virtual const halcyon_model &described() = 0;

    /// The same with kernels. `run` is the folder of the run that the command goes on with, or "": its model serves where none is named.
    virtual const halcyon_model &compiled(const std::string &run) = 0;

    /// The weights that come with the model; "" where there are none.
    virtual std::string weights() const { return ""; }
};

}  // namespace halcyon
