// Zip archives: what NumPy's .npz files are.
#pragma once

#include "plan/files.h"
#include "runtime/data/stream.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace halcyon {

/// The members of an archive, stored or deflated, by its central directory (APPNOTE 6.3, with ZIP64, in which NumPy writes). All throw
/// std::runtime_error, one line that names the file, or, in a member's stream, without a name.
class ZipFile {
public:
    /// Throws where it is no zip archive, or is cut off or damaged.
    explicit ZipFile(std::filesystem::path path);

    std::vector<std::string> names() const;

    /// The bytes of a member, of which a checksum is made on the way. Throws where it is encrypted or compressed in another way. The stream
    /// must not outlive the archive. `name` must be one of names().
    std::unique_ptr<Stream> open(const std::string &name) const;

private:
    struct Member {
        std::string name;
        unsigned flags = 0, method = 0;
        std::uint32_t checksum = 0;
        std::uint64_t compressed = 0, size = 0, header = 0;  // bytes; where its local header begins
    };

    void read_directory();
    std::span<const std::byte> data_of(const Member &member) const;

    std::filesystem::path path_;
    MappedFile file_;
    std::vector<Member> members_;
};

}  // namespace halcyon
