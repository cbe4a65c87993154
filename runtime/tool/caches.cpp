#include "runtime/tool/caches.h"

#include "plan/files.h"
#include "plan/json.h"
#include "plan/text.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

/// A folder that can be made again.
struct Kept {
    fs::path folder;
    std::string of;  // what it was made of, for people
    std::uintmax_t bytes = 0;
};

std::uintmax_t bytes_in(const fs::path &folder) {
    std::uintmax_t bytes = 0;
    for (const fs::directory_entry &entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) bytes += entry.file_size();
    return bytes;
}

std::vector<fs::path> folders_in(const fs::path &folder) {
    std::vector<fs::path> folders;
    if (fs::exists(folder))
        for (const fs::directory_entry &entry : fs::directory_iterator(folder))
            if (entry.is_directory()) folders.push_back(entry.path());
    std::ranges::sort(folders);
    return folders;
}

/// Where decoded pictures came from; "" where this is no folder of such.
std::string pictures_of(const fs::path &folder) {
    for (const char *split : {"train", "validation", "test"}) {
        const fs::path manifest = folder / split / "manifest.json";
        if (!fs::exists(manifest)) continue;
        const nlohmann::json root = parse_json(read_file(manifest), manifest.string()).value("root", nlohmann::json());
        if (root.is_string()) return "pictures of " + root.get<std::string>();
    }
    return "";
}

/// What can be removed. Folders that others made are not among them.
std::vector<Kept> all_kept(const fs::path &cache) {
    std::vector<Kept> kept;
    for (const fs::path &folder : folders_in(cache / "models"))
        if (fs::exists(folder / "model.json")) kept.push_back({folder, "a compiled model", bytes_in(folder)});
    for (const fs::path &folder : folders_in(cache))
        if (const std::string of = pictures_of(folder); !of.empty()) kept.push_back({folder, of, bytes_in(folder)});
    return kept;
}

bool is_called(const Kept &one, const std::string &name) { return one.folder == name || one.folder.filename() == name; }

/// Those of `names`, which are folders or their last parts; all where nothing is named.
std::vector<Kept> selected(std::vector<Kept> kept, const std::vector<std::string> &names) {
    for (const std::string &name : names)
        if (std::ranges::none_of(kept, [&](const Kept &one) { return is_called(one, name); }))
            throw std::runtime_error(fmt::format("{}: nothing of this name is kept; halcyon cache lists all", printable(name)));
    const auto is_named = [&](const Kept &one) {
        return std::ranges::any_of(names, [&](const std::string &name) { return is_called(one, name); });
    };
    if (!names.empty()) std::erase_if(kept, [&](const Kept &one) { return !is_named(one); });
    return kept;
}

int show_cache(const std::vector<std::string> &names, bool clear) {
    const std::vector<Kept> kept = selected(all_kept(default_cache("there is no cache then; set one")), names);
    std::uintmax_t bytes = 0;
    for (const Kept &one : kept) {
        if (clear) fs::remove_all(one.folder);
        bytes += one.bytes;
        fmt::print("{:8.1f} MiB  {}  {}\n", double(one.bytes) / (1 << 20), printable(one.folder.string()), printable(one.of));
    }
    fmt::print("{}{} folders, {:.1f} MiB\n", clear ? "removed " : "", kept.size(), double(bytes) / (1 << 20));
    return 0;
}

}  // namespace

void add_cache_command(CLI::App &app, Command &chosen) {
    CLI::App *command = app.add_subcommand("cache", "Print what is kept of compiled models and decoded pictures");
    struct Options {
        std::vector<std::string> names;
        bool clear = false;
    };
    const auto options = std::make_shared<Options>();
    command->add_option("names", options->names, "These alone, as they are printed or by the last part")->type_name("NAME");
    command->add_flag("--clear", options->clear, "Remove it; what is needed again is made again");
    command->callback([&chosen, options] { chosen = [options] { return show_cache(options->names, options->clear); }; });
}

}  // namespace halcyon
