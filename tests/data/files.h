// Small files for tests, and what the code says of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

/// A folder of its own for a test, removed at its end.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "halcyon-XXXXXX").string();
        if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        path_ = name;
    }
    TemporaryFolder(const TemporaryFolder &) = delete;
    TemporaryFolder &operator=(const TemporaryFolder &) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    std::filesystem::path operator/(const std::string &name) const { return path_ / name; }
    const std::filesystem::path &path() const { return path_; }

private:
    std::filesystem::path path_;
};

inline void write_bytes(const std::filesystem::path &path, const std::string &bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
}

inline std::string read_bytes(const std::filesystem::path &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Every file in a folder and in those within, by its path from there, in order.
inline std::vector<std::string> files_in(const std::filesystem::path &folder) {
    std::vector<std::string> files;
    for (const auto &entry : std::filesystem::recursive_directory_iterator(folder))
        if (!entry.is_directory()) files.push_back(std::filesystem::relative(entry, folder).string());
    std::ranges::sort(files);
    return files;
}

/// The message of the exception that `action` throws, "" if it throws none.
template<typename Action>
std::string message_of(const Action &action) {
    try {
        action();
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "";
}

/// One line that holds every one of these texts.
inline bool one_line_with(const std::string &message, const std::vector<std::string> &texts) {
    if (message.empty() || message.find('\n') != std::string::npos) return false;
    for (const std::string &text : texts) {
        if (message.find(text) == std::string::npos) return false;
    }
    return true;
}
