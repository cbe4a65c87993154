#include "runtime/data/zip.h"

#include "plan/errors.h"
#include "plan/file_kind.h"
#include "plan/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <stdexcept>
#include <zlib.h>

namespace halcyon {
namespace {

using Bytes = std::span<const std::byte>;

// The records of an archive: what each begins with, and how long it is without names and extra fields.
constexpr std::uint64_t end_mark = 0x06054b50, end64_mark = 0x06064b50, locator64_mark = 0x07064b50;
constexpr std::uint64_t member_mark = 0x02014b50, local_mark = 0x04034b50;
constexpr std::size_t end_bytes = 22, end64_bytes = 56, locator64_bytes = 20, member_bytes = 46, local_bytes = 30;
constexpr std::uint64_t in_extra_16 = 0xffff, in_extra_32 = 0xffffffff;  // the number stands in ZIP64's record
constexpr unsigned stored = 0, deflated = 8, encrypted = 1;

struct Damaged {};

/// A part of the archive. Throws Damaged where it lies outside.
Bytes part(Bytes bytes, std::uint64_t begin, std::uint64_t size) {
    if (begin > bytes.size() || size > bytes.size() - begin) throw Damaged();
    return bytes.subspan(begin, size);
}

/// The little-endian number of `size` bytes at `begin`.
std::uint64_t number(Bytes bytes, std::uint64_t begin, std::size_t size) {
    std::uint64_t value = 0;
    const Bytes digits = part(bytes, begin, size);
    for (std::size_t i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(digits[i]);
    return value;
}

/// Where the record lies that ends the archive: at its end, but for a comment of up to 64 KiB.
std::uint64_t find_end(Bytes file) {
    constexpr std::size_t longest_comment = 0xffff;
    for (std::size_t comment = 0; comment <= longest_comment && comment + end_bytes <= file.size(); ++comment) {
        const std::size_t begin = file.size() - end_bytes - comment;
        if (number(file, begin, 4) == end_mark && number(file, begin + 20, 2) == comment) return begin;
    }
    throw Damaged();
}

struct Directory {
    std::uint64_t members = 0, bytes = 0, begin = 0;
};

Directory find_directory(Bytes file) {
    const std::uint64_t end = find_end(file);
    const Directory directory{number(file, end + 10, 2), number(file, end + 12, 4), number(file, end + 16, 4)};
    if (directory.members != in_extra_16 && directory.bytes != in_extra_32 && directory.begin != in_extra_32) return directory;
    if (end < locator64_bytes || number(file, end - locator64_bytes, 4) != locator64_mark) return directory;
    const std::uint64_t end64 = number(file, end - locator64_bytes + 8, 8);
    if (number(part(file, end64, end64_bytes), 0, 4) != end64_mark) throw Damaged();
    return {number(file, end64 + 32, 8), number(file, end64 + 40, 8), number(file, end64 + 48, 8)};
}

/// Takes from ZIP64's extra field the numbers that had no room in the record, in its order.
void read_zip64(Bytes extra, std::initializer_list<std::uint64_t *> numbers) {
    constexpr std::uint64_t zip64 = 1;
    for (std::uint64_t at = 0; at < extra.size();) {
        const std::uint64_t kind = number(extra, at, 2), size = number(extra, at + 2, 2);
        const Bytes field = part(extra, at + 4, size);
        std::uint64_t next = 0;
        for (std::uint64_t *value : numbers) {
            if (kind != zip64 || *value != in_extra_32) continue;
            *value = number(field, next, 8);
            next += 8;
        }
        at += 4 + size;
    }
}

/// Holds a member's stream to the size and the checksum that the directory has.
class MemberStream final : public Stream {
public:
    MemberStream(std::unique_ptr<Stream> bytes, std::uint64_t size, std::uint32_t checksum)
        : bytes_(std::move(bytes)), size_(size), rest_(size), checksum_(checksum) {}

    void read(std::span<std::byte> bytes) override {
        if (bytes.size() > rest_) throw std::runtime_error("is cut off; get the file anew");
        bytes_->read(bytes);
        rest_ -= bytes.size();
        crc_ = crc32_z(crc_, reinterpret_cast<const Bytef *>(bytes.data()), bytes.size());
    }

    void finish() override {
        if (rest_ > 0) throw std::runtime_error("holds more than its header says; get the file anew");
        bytes_->finish();
        if (crc_ != checksum_) throw std::runtime_error("is damaged: its checksum is another; get the file anew");
    }

    std::size_t most() const override { return std::min<std::size_t>(size_, bytes_->most()); }

private:
    std::unique_ptr<Stream> bytes_;
    std::uint64_t size_, rest_;
    std::uint32_t checksum_;
    uLong crc_ = 0;
};

}  // namespace

ZipFile::ZipFile(std::filesystem::path path) : path_(std::move(path)), file_(path_) {
    constexpr std::size_t telling = 512;
    const Bytes begin = file_.bytes().first(std::min(telling, file_.bytes().size()));
    constexpr std::string_view local_header = "PK\x03\x04", no_members = "PK\x05\x06";
    if (!file_.text().starts_with(local_header) && !file_.text().starts_with(no_members))
        fail_for(path_, not_wanted(begin, "a zip archive", "save it anew"));
    try {
        read_directory();
    } catch (const Damaged &) {
        throw std::runtime_error(fmt::format("{}: is a zip archive that is cut off or damaged; get the file anew", path_.string()));
    }
}

void ZipFile::read_directory() {
    const Bytes file = file_.bytes();
    const Directory directory = find_directory(file);
    const Bytes records = part(file, directory.begin, directory.bytes);
    if (directory.members > records.size() / member_bytes) throw Damaged();
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < directory.members; ++i) {
        const Bytes record = part(records, at, member_bytes);
        if (number(record, 0, 4) != member_mark) throw Damaged();
        const std::uint64_t name = number(record, 28, 2), extra = number(record, 30, 2), comment = number(record, 32, 2);
        const Bytes name_bytes = part(records, at + member_bytes, name);
        Member member{{reinterpret_cast<const char *>(name_bytes.data()), name},
                      static_cast<unsigned>(number(record, 8, 2)),
                      static_cast<unsigned>(number(record, 10, 2)),
                      static_cast<std::uint32_t>(number(record, 16, 4)),
                      number(record, 20, 4),
                      number(record, 24, 4),
                      number(record, 42, 4)};
        read_zip64(part(records, at + member_bytes + name, extra), {&member.size, &member.compressed, &member.header});
        members_.push_back(std::move(member));
        at += member_bytes + name + extra + comment;
    }
}

std::vector<std::string> ZipFile::names() const {
    std::vector<std::string> names;
    for (const Member &member : members_) names.push_back(member.name);
    return names;
}

/// The local header says again what the directory does, and how far behind it the data begin.
Bytes ZipFile::data_of(const Member &member) const {
    const Bytes header = part(file_.bytes(), member.header, local_bytes);
    if (number(header, 0, 4) != local_mark) throw Damaged();
    return part(file_.bytes(), member.header + local_bytes + number(header, 26, 2) + number(header, 28, 2), member.compressed);
}

std::unique_ptr<Stream> ZipFile::open(const std::string &name) const {
    const Member &member = *std::ranges::find(members_, name, &Member::name);
    const auto fail = [&](std::string_view reason) {
        throw std::runtime_error(fmt::format("{}: its member {} {}", path_.string(), printable(name), reason));
    };
    if ((member.flags & encrypted) != 0) fail("is encrypted; save it without a password");
    if (member.method != stored && member.method != deflated) fail("is compressed in another way than by deflating; save it anew");
    Bytes data;
    try {
        data = data_of(member);
    } catch (const Damaged &) {
        fail("is cut off or damaged; get the file anew");
    }
    return std::make_unique<MemberStream>(member.method == stored ? plain_stream(data) : deflate_stream(data), member.size,
                                          member.checksum);
}

}  // namespace halcyon
