#include "plan/files.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using Bytes = std::span<const std::byte>;

[[noreturn]] void fail(const fs::path &path, const std::string &reason) {
    throw std::runtime_error(fmt::format("{}: {}", path.string(), reason));
}

[[noreturn]] void cannot_read(const fs::path &path) { fail(path, fmt::format("cannot be read: {}", std::strerror(errno))); }

FileBytes allocate(const fs::path &path, std::size_t bytes) {
    try {
        return {std::make_unique_for_overwrite<std::byte[]>(bytes), bytes};
    } catch (const std::bad_alloc &) {
        fail(path, fmt::format("there is no memory for its {} bytes", bytes));
    }
}

[[noreturn]] void cannot_write(const char *what) {
    throw std::runtime_error(
        fmt::format("cannot be written ({}: {}); check the folder, its permissions and the free space", what, std::strerror(errno)));
}

void write_all(int file, Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(file, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) cannot_write("write");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

void write_through(const fs::path &path, std::span<const Bytes> parts) {
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file.number() < 0) cannot_write("open");
    for (const Bytes part : parts) write_all(file.number(), part);
    if (::fsync(file.number()) != 0) cannot_write("fsync");
    if (file.close() != 0) cannot_write("close");
}

}  // namespace

Descriptor::~Descriptor() {
    if (number_ >= 0) ::close(number_);
}

int Descriptor::close() { return ::close(std::exchange(number_, -1)); }

InputFile::InputFile(fs::path path) : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    struct stat status {};
    if (file_.number() < 0 || ::fstat(file_.number(), &status) != 0) cannot_read(path_);
    if (S_ISDIR(status.st_mode)) fail(path_, "is a folder, not a file");
    if (!S_ISREG(status.st_mode)) fail(path_, "is no regular file");
    size_ = static_cast<std::size_t>(status.st_size);
}

void InputFile::read(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::read(file_.number(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) cannot_read(path_);
        if (n == 0) fail(path_, "became shorter while it was read");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

FileBytes read_bytes(const fs::path &path, std::size_t most) {
    InputFile file(path);
    if (file.size() > most) fail(path, fmt::format("has {} bytes, more than the {} that such a file can have", file.size(), most));
    FileBytes bytes = allocate(path, file.size());
    file.read(std::span(bytes.data.get(), bytes.size));
    return bytes;
}

std::string read_file(const fs::path &path, std::size_t most) {
    const FileBytes bytes = read_bytes(path, most);
    return {reinterpret_cast<const char *>(bytes.data.get()), bytes.size};
}

void replace_file(const fs::path &path, std::span<const Bytes> parts) {
    fs::path temporary = path;
    temporary += fmt::format(".{}.{}.tmp", ::getpid(), ::gettid());
    try {
        const Descriptor folder(::open(path.has_parent_path() ? path.parent_path().c_str() : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (folder.number() < 0) cannot_write("open the folder");
        write_through(temporary, parts);
        if (std::rename(temporary.c_str(), path.c_str()) != 0) cannot_write("rename");
        // A rename lasts once its folder is on the disk; EINVAL: a file system that cannot say so.
        if (::fsync(folder.number()) != 0 && errno != EINVAL) cannot_write("fsync the folder");
    } catch (const std::runtime_error &error) {
        ::unlink(temporary.c_str());
        fail(path, error.what());
    }
}

void replace_file(const fs::path &path, std::string_view text) {
    const std::array parts = {std::as_bytes(std::span(text))};
    replace_file(path, parts);
}

}  // namespace halcyon
