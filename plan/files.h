// Files as every part of Halcyon reads and writes them: whole, with one line for each way in which that can fail.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace halcyon {

/// What the machine could not do for a file, whichever it is: too many are open, a disk fails, memory is short. It says nothing of the
/// file.
struct MachineError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A file descriptor that closes itself.
class Descriptor {
public:
    /// What open() and its kind return: below 0 where they failed.
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor &&other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    Descriptor &operator=(Descriptor &&) = delete;
    ~Descriptor();

    int number() const { return number_; }

    /// Closing may report what an earlier write could not: below 0 where it does.
    int close();

private:
    int number_;
};

/// A regular file that is read from its beginning; a pipe that nobody writes is not waited for. All throw std::runtime_error,
/// "<path>: what is wrong", a MachineError where it is not the file.
class InputFile {
public:
    /// Throws where it is no regular file (a folder, a pipe, a device) or cannot be read.
    explicit InputFile(std::filesystem::path path);

    /// In bytes, when it was opened.
    std::size_t size() const { return size_; }

    /// Fills `bytes` with those that come next. Throws where there are fewer.
    void read(std::span<std::byte> bytes);

private:
    friend class MappedFile;

    std::filesystem::path path_;
    Descriptor file_;
    std::size_t size_ = 0;
};

/// A regular file's bytes where the system keeps them: read when they are first touched, and given back when memory is short, so that a
/// file may be larger than the memory. They are not to be written. A file that is made shorter meanwhile ends the process (SIGBUS): what
/// is mapped should be replaced, not overwritten.
class MappedFile {
public:
    /// Throws std::runtime_error, "<path>: what is wrong", as InputFile does, and where the system does not map it.
    explicit MappedFile(const std::filesystem::path &path);
    MappedFile(const MappedFile &) = delete;
    MappedFile &operator=(const MappedFile &) = delete;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return bytes_; }
    std::string_view text() const { return {reinterpret_cast<const char *>(bytes_.data()), bytes_.size()}; }

private:
    std::span<const std::byte> bytes_;
};

/// Bytes that are not initialised before they are read.
struct FileBytes {
    std::unique_ptr<std::byte[]> data;
    std::size_t size = 0;
};

/// Everything that a file holds. Throws std::runtime_error, "<path>: what is wrong", where it is no regular file (a folder, a pipe, a
/// device), cannot be read, or is larger than `most` bytes or than the memory there is.
FileBytes read_bytes(const std::filesystem::path &path, std::size_t most);

/// The same as text. Files that people write have no more than these 64 MiB.
std::string read_file(const std::filesystem::path &path, std::size_t most = std::size_t{64} << 20);

/// The folder that `path` is in: "." where it names none.
std::filesystem::path folder_of(const std::filesystem::path &path);

/// Where what can be made again is kept: $XDG_CACHE_HOME/halcyon, or ~/.cache/halcyon. Throws std::runtime_error where neither is known,
/// with `why` it is needed and what to do.
std::filesystem::path default_cache(std::string_view why);

/// Where a file or a folder is made that is to be renamed to `path`: "<path>.<process>.<thread>.tmp".
std::filesystem::path temporary_beside(const std::filesystem::path &path);

/// The folder of the program that runs.
std::filesystem::path program_folder();

/// A folder that appears at once, or leaves nothing: it is made under a temporary name, and removed with all that lies in it where it is
/// not published.
class NewFolder {
public:
    /// Throws std::runtime_error, "<path>: what is wrong".
    explicit NewFolder(std::filesystem::path path);
    NewFolder(const NewFolder &) = delete;
    NewFolder &operator=(const NewFolder &) = delete;
    ~NewFolder();

    std::filesystem::path operator/(const std::filesystem::path &name) const { return temporary_ / name; }
    const std::filesystem::path &path() const { return temporary_; }

    /// Gives it its name, on the disk. False where another has it. Throws like the constructor.
    bool publish();

private:
    std::filesystem::path path_, temporary_;
};

/// Removes from `folder` what processes that are no more left under such names.
void remove_leftovers(const std::filesystem::path &folder);

/// Removes what lies under such names beside `path`. To be called where nobody else can be writing it: a number of a process that is no
/// more may be another's by now.
void remove_temporaries(const std::filesystem::path &path);

/// Replaces the file at once by these bytes: written to temporary_beside() its place, flushed to the disk, renamed. Throws
/// std::runtime_error, "<path>: what is wrong"; what was at `path` is then as it was.
void replace_file(const std::filesystem::path &path, std::span<const std::span<const std::byte>> parts);
void replace_file(const std::filesystem::path &path, std::string_view text);

/// Adds `text` to the end of the file, made where there is none, and flushes it to the disk. Throws std::runtime_error, "<path>: what is
/// wrong"; the file is then as it was.
void append_file(const std::filesystem::path &path, std::string_view text);

}  // namespace halcyon
