// `halcyon cache`: what Halcyon keeps in the user's cache, compiled models and decoded pictures.
#pragma once

#include "runtime/commands/application.h"

namespace halcyon {

void add_cache_command(CLI::App &app, Command &chosen);

}  // namespace halcyon
