// The program `halcyon`: its commands are told a model file, or a run's folder, which has one.
#pragma once

#include "compiler/model.h"
#include "plan/menu.h"
#include "runtime/commands/application.h"
#include "runtime/tool/model_cache.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {

class Tool final : public Application {
public:
    std::string name() const override { return "halcyon"; }
    std::string about() const override;
    std::string model_name() const override { return "MODEL"; }
    void add_model(CLI::App &command) override;
    bool may_have_weights() const override { return true; }
    void add_commands(CLI::App &app, Command &chosen) override;
    const halcyon_model &described() override;
    const halcyon_model &compiled(const std::string &run) override;
    std::string weights() const override;

private:
    /// The sets that the command line asks for, and the reference.
    std::vector<Set> sets() const;
    Model read_model(const std::string &run) const;

    // What the command line says.
    std::string model_;                   // a file or a folder; "": the run's
    std::vector<std::string> schedules_;  // sets or families to compile; none: the fastest
    CLI::App *command_ = nullptr;         // that was given

    // What was made of it.
    std::string plan_, name_, text_;  // that `described_` points to
    halcyon_model described_ = {};
    std::optional<LoadedModel> loaded_;
};

}  // namespace halcyon
