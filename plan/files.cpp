#include "plan/files.h"

#include "plan/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using Bytes = std::span<const std::byte>;

/// Whether an error of open() or read() tells of the file, and not of the machine, which would read no other one.
bool is_of_the_file(int error) {
    constexpr std::array of_files = {EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENODEV, ENOENT, ENOTDIR, ENXIO, EPERM};
    return std::ranges::find(of_files, error) != of_files.end();
}

[[noreturn]] void cannot_read(const fs::path &path) {
    const int error = errno;
    const std::string reason = fmt::format("cannot be read: {}", std::strerror(error));
    if (is_of_the_file(error)) fail_for(path, reason);
    throw MachineError(fmt::format("{}: {}", path.string(), reason));
}

FileBytes allocate(const fs::path &path, std::size_t bytes) {
    try {
        return {std::make_unique_for_overwrite<std::byte[]>(bytes), bytes};
    } catch (const std::bad_alloc &) {
        throw MachineError(fmt::format("{}: there is no memory for its {} bytes", path.string(), bytes));
    }
}

[[noreturn]] void cannot_write(const char *what) {
    throw std::runtime_error(
        fmt::format("cannot be written ({}: {}); check the folder, its permissions and the free space", what, std::strerror(errno)));
}

[[noreturn]] void cannot_write(const fs::path &path) {
    fail_for(path, fmt::format("cannot be written: {}; check the folder, its permissions and the free space", std::strerror(errno)));
}

/// A name lasts once its folder is on the disk; EINVAL: a file system that cannot say so. `path` is what cannot be written else.
void sync_folder(const fs::path &folder, const fs::path &path) {
    const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (descriptor.number() < 0 || (::fsync(descriptor.number()) != 0 && errno != EINVAL)) cannot_write(path);
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

/// The number behind the last full stop of a name; 0 where there is none.
int number_behind(const fs::path &name) {
    const std::string number = name.extension().string();
    if (number.size() < 2 || number.size() > 10) return 0;
    if (!std::all_of(number.begin() + 1, number.end(), [](char c) { return c >= '0' && c <= '9'; })) return 0;
    return std::atoi(number.c_str() + 1);
}

/// What a name of temporary_beside() is made of.
struct Temporary {
    std::string file;
    pid_t process = 0;  // 0: it is no such name
};

Temporary parse_temporary(const fs::path &path) {
    const fs::path thread = path.stem(), process = thread.stem();
    if (path.extension() != ".tmp" || number_behind(thread) == 0) return {};
    return {process.stem().string(), number_behind(process)};
}

/// Where not all of `bytes` can be written, nothing of them stays.
void append_or_undo(int file, Bytes bytes) {
    struct stat before {};
    if (::fstat(file, &before) != 0) cannot_write("fstat");
    try {
        write_all(file, bytes);
        if (::fsync(file) != 0) cannot_write("fsync");
    } catch (const std::runtime_error &error) {
        if (::ftruncate(file, before.st_size) != 0) throw std::runtime_error(fmt::format("{}; a part of a line is left", error.what()));
        throw;
    }
}

}  // namespace

Descriptor::~Descriptor() {
    if (number_ >= 0) ::close(number_);
}

int Descriptor::close() { return ::close(std::exchange(number_, -1)); }

InputFile::InputFile(fs::path path) : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    struct stat status {};
    if (file_.number() < 0 || ::fstat(file_.number(), &status) != 0) cannot_read(path_);
    if (S_ISDIR(status.st_mode)) fail_for(path_, "is a folder, not a file");
    if (!S_ISREG(status.st_mode)) fail_for(path_, "is no regular file");
    size_ = static_cast<std::size_t>(status.st_size);
}

void InputFile::read(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::read(file_.number(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) cannot_read(path_);
        if (n == 0) fail_for(path_, "became shorter while it was read");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

MappedFile::MappedFile(const fs::path &path) {
    const InputFile file(path);
    if (file.size() == 0) return;  // no address has no bytes
    void *begin = ::mmap(nullptr, file.size(), PROT_READ, MAP_SHARED, file.file_.number(), 0);
    if (begin == MAP_FAILED) cannot_read(path);
    bytes_ = {static_cast<const std::byte *>(begin), file.size()};
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte *>(bytes_.data()), bytes_.size());
}

FileBytes read_bytes(const fs::path &path, std::size_t most) {
    InputFile file(path);
    if (file.size() > most) fail_for(path, fmt::format("has {} bytes, more than the {} that such a file can have", file.size(), most));
    FileBytes bytes = allocate(path, file.size());
    file.read(std::span(bytes.data.get(), bytes.size));
    return bytes;
}

std::string read_file(const fs::path &path, std::size_t most) {
    const FileBytes bytes = read_bytes(path, most);
    return {reinterpret_cast<const char *>(bytes.data.get()), bytes.size};
}

fs::path folder_of(const fs::path &path) { return path.has_parent_path() ? path.parent_path() : "."; }

fs::path default_cache(std::string_view why) {
    const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
    if (cache && fs::path(cache).is_absolute()) return fs::path(cache) / "halcyon";
    if (home && *home) return fs::path(home) / ".cache" / "halcyon";
    throw std::runtime_error(fmt::format("neither XDG_CACHE_HOME nor HOME is set, and {}", why));
}

fs::path temporary_beside(const fs::path &path) {
    fs::path temporary = path;
    temporary += fmt::format(".{}.{}.tmp", ::getpid(), ::gettid());
    return temporary;
}

fs::path program_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

NewFolder::NewFolder(fs::path path) : path_(std::move(path)), temporary_(temporary_beside(path_)) {
    fs::create_directories(folder_of(temporary_));
    if (::mkdir(temporary_.c_str(), 0777) != 0) cannot_write(path_);
}

NewFolder::~NewFolder() {
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
}

bool NewFolder::publish() {
    sync_folder(temporary_, path_);
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
        if (errno == EEXIST || errno == ENOTEMPTY) return false;
        cannot_write(path_);
    }
    sync_folder(folder_of(path_), path_);
    return true;
}

void remove_leftovers(const fs::path &folder) {
    for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
        const pid_t process = parse_temporary(entry.path()).process;
        if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path());
    }
}

void remove_temporaries(const fs::path &path) {
    for (const fs::directory_entry &entry : fs::directory_iterator(folder_of(path))) {
        const Temporary temporary = parse_temporary(entry.path());
        if (temporary.process > 0 && temporary.file == path.filename()) fs::remove(entry.path());
    }
}

void replace_file(const fs::path &path, std::span<const Bytes> parts) {
    const fs::path temporary = temporary_beside(path);
    try {
        const Descriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (folder.number() < 0) cannot_write("open the folder");
        write_through(temporary, parts);
        if (std::rename(temporary.c_str(), path.c_str()) != 0) cannot_write("rename");
        // A rename lasts once its folder is on the disk; EINVAL: a file system that cannot say so.
        if (::fsync(folder.number()) != 0 && errno != EINVAL) cannot_write("fsync the folder");
    } catch (const std::runtime_error &error) {
        ::unlink(temporary.c_str());
        fail_for(path, error.what());
    }
}

void replace_file(const fs::path &path, std::string_view text) {
    const std::array parts = {std::as_bytes(std::span(text))};
    replace_file(path, parts);
}

void append_file(const fs::path &path, std::string_view text) {
    try {
        Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
        if (file.number() < 0) cannot_write("open");
        append_or_undo(file.number(), std::as_bytes(std::span(text)));
        if (file.close() != 0) cannot_write("close");
    } catch (const std::runtime_error &error) {
        fail_for(path, error.what());
    }
}

}  // namespace halcyon
