#include "runtime/weights/safetensors.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

using namespace halcyon;

namespace {

const std::vector<float> kernel = {1.5f, -2, 3e-8f, 0, 5, 6};
const std::vector<float> bias = {0.25f, -0.5f};

TensorViews two_tensors() { return {{"conv2d/kernel", view_floats(kernel, {1, 2, 3})}, {"conv2d/bias", view_floats(bias, {2})}}; }

bool same_bytes(const TensorView &a, const TensorView &b) {
    return std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end());
}

void check_equal(const TensorViews &found, const TensorViews &expected) {
    REQUIRE(found.size() == expected.size());
    for (const auto &[name, tensor] : expected) {
        CAPTURE(name);
        REQUIRE(found.count(name) == 1);
        CHECK(found.at(name).type == tensor.type);
        CHECK(found.at(name).shape == tensor.shape);
        CHECK(same_bytes(found.at(name), tensor));
    }
}

/// A file as anyone may write it.
std::string file_with(const std::string &header, const std::string &data) {
    const std::uint64_t size = header.size();
    return std::string(reinterpret_cast<const char *>(&size), sizeof size) + header + data;
}

std::string message_for(const std::filesystem::path &path, const std::string &bytes) {
    write_bytes(path, bytes);
    return message_of([&] { read_safetensors(path); });
}

bool parses(const std::string &bytes) {
    auto storage = std::make_unique<std::byte[]>(bytes.size());
    std::memcpy(storage.get(), bytes.data(), bytes.size());
    return message_of([&] { parse_safetensors(std::move(storage), bytes.size()); }).empty();
}

template<typename T>
std::string bytes_of(const std::vector<T> &values) {
    return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)};
}

/// A file of ours as the first versions wrote it, which set no mark.
std::string without_mark(const std::string &file) {
    const std::size_t header_end = 8 + std::size_t(*reinterpret_cast<const std::uint64_t *>(file.data()));
    nlohmann::json header = nlohmann::json::parse(file.substr(8, header_end - 8));
    header["__metadata__"].erase("format");
    header["__metadata__"].erase("checksum");
    const std::string text = header.dump();
    char sum[9];
    std::snprintf(sum, sizeof sum, "%08lx", crc32_z(0, reinterpret_cast<const Bytef *>(text.data()), text.size()));
    header["__metadata__"]["checksum"] = sum;
    return file_with(header.dump(), file.substr(header_end));
}

}  // namespace

TEST_CASE("Tensors and metadata come back as they were written") {
    const TemporaryFolder folder;
    const std::vector<std::int64_t> steps = {1, -2};
    const std::vector<std::int32_t> numbers = {7};
    const std::vector<std::uint8_t> bytes = {1, 2, 3};
    TensorViews tensors = two_tensors();
    tensors["empty"] = view_floats({}, {0, 4});
    tensors["a byte array"] = {DType::u8, {3}, std::as_bytes(std::span(bytes))};
    tensors["int32 scalar"] = {DType::i32, {}, std::as_bytes(std::span(numbers))};
    tensors["int64"] = {DType::i64, {2}, std::as_bytes(std::span(steps))};
    const Metadata metadata = {{"step", "12"}, {"quotes", "\"\\ \n\xc3\xa9"}};

    write_safetensors(folder / "a.safetensors", tensors, metadata);
    const TensorFile file = read_safetensors(folder / "a.safetensors");
    check_equal(file.tensors, tensors);
    CHECK(file.metadata == metadata);
    CHECK(files_in(folder.path()).size() == 1);
}

TEST_CASE("A file of no tensors, or without metadata, is a file") {
    const TemporaryFolder folder;
    write_safetensors(folder / "a.safetensors", {}, {});
    const TensorFile file = read_safetensors(folder / "a.safetensors");
    CHECK(file.tensors.empty());
    CHECK(file.metadata.empty());
}

TEST_CASE("The header is aligned and every tensor lies at a multiple of its type's size") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> byte = {1};
    const std::vector<std::int64_t> wide = {1};
    TensorViews tensors = two_tensors();
    tensors["a"] = {DType::u8, {1}, std::as_bytes(std::span(byte))};
    tensors["z"] = {DType::i64, {1}, std::as_bytes(std::span(wide))};
    write_safetensors(folder / "a.safetensors", tensors, {});
    const TensorFile file = read_safetensors(folder / "a.safetensors");
    const auto offset = [&](const char *name) { return file.tensors.at(name).bytes.data() - file.storage.get(); };
    CHECK(offset("z") % 8 == 0);
    CHECK(offset("conv2d/bias") % 4 == 0);
    CHECK(offset("conv2d/kernel") % 4 == 0);
}

TEST_CASE("Every truncation and every extension of a file is refused") {
    const TemporaryFolder folder;
    write_safetensors(folder / "a.safetensors", two_tensors(), {{"step", "12"}});
    const std::string whole = read_bytes(folder / "a.safetensors");
    CHECK(parses(whole));
    std::vector<std::size_t> accepted;
    for (std::size_t size = 0; size < whole.size(); size++) {
        if (parses(whole.substr(0, size))) accepted.push_back(size);
    }
    CHECK(accepted == std::vector<std::size_t>{});
    CHECK(one_line_with(message_for(folder / "b.safetensors", whole + '\0'), {"b.safetensors", "1 bytes after the last tensor"}));
}

TEST_CASE("Every flipped bit of a file is found") {
    const TemporaryFolder folder;
    write_safetensors(folder / "a.safetensors", two_tensors(), {{"step", "12"}});
    const bool marked = GENERATE(true, false);
    const std::string whole = marked ? read_bytes(folder / "a.safetensors") : without_mark(read_bytes(folder / "a.safetensors"));
    CHECK((whole.find("halcyon") != std::string::npos) == marked);
    CHECK(parses(whole));
    std::vector<std::size_t> accepted;
    for (std::size_t bit = 0; bit < 8 * whole.size(); bit++) {
        std::string damaged = whole;
        damaged[bit / 8] = char(damaged[bit / 8] ^ 1 << bit % 8);
        if (parses(damaged)) accepted.push_back(bit);
    }
    CHECK(accepted == std::vector<std::size_t>{});
}

TEST_CASE("The metadata of others mean nothing of ours") {
    const TemporaryFolder folder;
    const std::string data(reinterpret_cast<const char *>(bias.data()), 8);
    const std::string metadata = R"("__metadata__":{"format":"pt","checksum":"sha256:00","classes":"cat, dog","step":"many"},)";
    const std::string header = "{" + metadata + R"("dense/bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    write_bytes(folder / "a.safetensors", file_with(header, data));
    const TensorFile file = read_safetensors(folder / "a.safetensors");
    CHECK(!file.ours);
    CHECK(file.metadata == Metadata{{"format", "pt"}, {"checksum", "sha256:00"}, {"classes", "cat, dog"}, {"step", "many"}});
}

TEST_CASE("Floats of every width become float32, rounded once") {
    struct Case {
        DType type;
        std::string bytes;
        std::vector<float> values;
    };
    const float inf = std::numeric_limits<float>::infinity();
    const std::vector<std::uint16_t> halves = {0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x8000, 0x7c00, 0xfc00, 0x3555};
    const std::vector<std::uint16_t> brains = {0x3f80, 0xc020, 0x0001, 0x7f7f, 0x8000, 0x7f80};
    // Halfway between two floats (twice), a hair above, beyond the largest float by less than half a step, by half a step, a subnormal.
    const std::vector<double> doubles = {1 + 0x1p-24, 1 + 0x3p-24, 1 + 0x1p-24 + 0x1p-50, 0x1.fffffefp127, 0x1.ffffffp127, 0x1.8p-149};
    const std::vector<Case> cases = {
        {DType::f16, bytes_of(halves), {1, -2, 0x1p-24f, 0x3ffp-24f, 0x1p-14f, 65504, -0.0f, inf, -inf, 0x1.554p-2f}},
        {DType::bf16, bytes_of(brains), {1, -2.5f, 0x1p-133f, 0x1.fep127f, -0.0f, inf}},
        {DType::f32, bytes_of(kernel), kernel},
        {DType::f64, bytes_of(doubles), {1, 1 + 0x1p-22f, 1 + 0x1p-23f, 0x1.fffffep127f, inf, 0x1p-148f}},
    };
    for (const Case &c : cases) {
        CAPTURE(name_of(c.type));
        const TensorView tensor{c.type, {std::int64_t(c.values.size())}, std::as_bytes(std::span(c.bytes))};
        std::vector<float> found(c.values.size());
        copy_floats(tensor, found);
        CHECK(bytes_of(found) == bytes_of(c.values));
        CHECK(is_float(c.type));
    }
}

TEST_CASE("Values of every width are counted") {
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    const std::vector<float> floats = {1, nan, inf, -inf, -nan};
    const std::vector<double> doubles = {1e300, -1e39, 3e38, nan, inf};
    const std::vector<std::uint16_t> halves = {0x7c00, 0x7c01, 0xffff}, brains = {0xff80, 0x7f81, 0x7f7f};
    const auto count = [](DType type, const std::string &bytes) {
        const TensorView tensor = {type, {}, std::as_bytes(std::span(bytes))};
        return std::vector<std::size_t>{count_values(tensor, [](double value) { return std::isnan(value); }),
                                        count_values(tensor, [](double value) { return std::isinf(value); }),
                                        count_values(tensor, [](double value) { return std::abs(value) > 3.4e38; })};
    };
    CHECK(count(DType::f32, bytes_of(floats)) == std::vector<std::size_t>{2, 2, 2});
    CHECK(count(DType::f64, bytes_of(doubles)) == std::vector<std::size_t>{1, 1, 3});
    CHECK(count(DType::f16, bytes_of(halves)) == std::vector<std::size_t>{2, 1, 1});
    CHECK(count(DType::bf16, bytes_of(brains)) == std::vector<std::size_t>{1, 1, 1});
    CHECK_THROWS_AS(count_values({DType::i32, {}, {}}, [](double) { return true; }), std::invalid_argument);
}

TEST_CASE("A file of another format is called what it is") {
    const TemporaryFolder folder;
    const auto [bytes, kind] = GENERATE(table<std::string, std::string>({
        {"", "is an empty file, not a safetensors file"},
        {"no weights at all", "is a text file, not a safetensors file; export the weights as safetensors under Keras's names"},
        {"\x89HDF\r\n\x1a\n and more", "is an HDF5 file (.h5), not"},
        {std::string("PK\x03\x04\x14\0\0\0 and more", 17), "is a zip archive (Keras's .keras, PyTorch's .pt, NumPy's .npz), not"},
        {"\x80\x02}q\x01. and more", "is a Python pickle (PyTorch's older .pt and .pth), not"},
        {std::string("\x1f\x8b\x08\0\0\0\0\0 and more", 17), "is a gzip archive, not"},
        {"\x93NUMPY\x01 and more", "is a NumPy array (.npy), not"},
        {"\x08\x07\x12\x07pytorch and more", "is an ONNX model, not"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n",
         "is a Git LFS pointer, not a safetensors file; fetch the file"},
        {"\x89PNG\r\n\x1a\n and more", "is a PNG picture, not"},
        {"<!DOCTYPE html><html>", "is an HTML page, not"},
    }));
    const std::string message = message_for(folder / "a", bytes);
    INFO(message);
    CHECK(one_line_with(message, {"/a: " + kind}));
}

TEST_CASE("A file without checksums loads, as others write it") {
    const TemporaryFolder folder;
    const std::string data(reinterpret_cast<const char *>(bias.data()), 8);
    const std::string metadata = GENERATE("", R"("__metadata__":{"format":"pt"},)");
    const std::string header = "{" + metadata + R"("dense/bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   )";
    write_bytes(folder / "a.safetensors", file_with(header, data));
    const TensorFile file = read_safetensors(folder / "a.safetensors");
    check_equal(file.tensors, {{"dense/bias", view_floats(bias, {2})}});
    CHECK(file.metadata.size() == (metadata.empty() ? 0 : 1));
}

TEST_CASE("Headers that lie are refused in one line") {
    const TemporaryFolder folder;
    const auto tensor = [](const std::string &shape, const std::string &offsets, const std::string &dtype = "\"F32\"") {
        return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
    };
    const std::string good = tensor("[2]", "[0,8]");
    const std::string data(8, 'x');
    struct Attack {
        std::string header, reason;
    };
    const std::vector<Attack> attacks = {
        {"", "no valid JSON"},
        {"[]", "no JSON object"},
        {"{\"a\":" + good, "no valid JSON"},
        {"{\"a\":" + good + "} {}", "no valid JSON"},
        {"{\"a\":" + good + "}" + std::string(1, '\0'), "zero byte"},
        {"{\"a\":" + good + ",\"a\":" + good + "}", "\"a\" twice"},
        {R"({"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})", "\"shape\" twice"},
        {R"({"__metadata__":{"k":"1","k":"2"},"a":)" + good + "}", "\"k\" twice"},
        {R"({"__metadata__":{},"__metadata__":{},"a":)" + good + "}", "twice"},
        {R"({"__metadata__":[],"a":)" + good + "}", "metadata is no object"},
        {R"({"__metadata__":{"k":1},"a":)" + good + "}", "\"k\" is no text"},
        {R"({"__metadata__":{"checksum/a":"00000000"},"a":)" + good + "}", "checksum does not match"},
        {R"({"__metadata__":{"format":"halcyon"},"a":)" + good + "}", "checksum does not match"},
        {R"({"a":3})", "not an object of dtype"},
        {R"({"a":{"dtype":"F32","shape":[2]}})", "not an object of dtype"},
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", "not an object of dtype"},
        {"{\"a\":" + tensor("[2]", "[0,8]", "\"F16\"") + "}", "8 bytes do not match its shape"},
        {"{\"a\":" + tensor("[4]", "[0,8]", "\"U16\"") + "}", "tensor \"a\": its dtype \"U16\" is not supported"},
        {"{\"a\":" + tensor("[8]", "[0,8]", "\"F8_E4M3\"") + "}", "its dtype \"F8_E4M3\" is not supported"},
        {"{\"a\":" + tensor("[2]", "[0,8]", "7") + "}", "its dtype 7 is not supported"},
        {"{\"a\":" + tensor("2", "[0,8]") + "}", "shape is no list"},
        {"{\"a\":" + tensor("[-2]", "[0,8]") + "}", "shape is no list of natural numbers"},
        {"{\"a\":" + tensor("[2.0]", "[0,8]") + "}", "shape is no list of natural numbers"},
        {"{\"a\":" + tensor("[\"2\"]", "[0,8]") + "}", "shape is no list of natural numbers"},
        {"{\"a\":" + tensor("[[2]]", "[0,8]") + "}", "nested too deeply"},
        {"{\"a\":" + tensor("[18446744073709551615]", "[0,8]") + "}", "shape is no list of natural numbers"},
        {"{\"a\":" + tensor("[4611686018427387905]", "[0,4]") + "}", "too large"},    // 4 times it is 4 modulo 2^64
        {"{\"a\":" + tensor("[4294967296,4294967296]", "[0,0]") + "}", "too large"},  // 0 modulo 2^64
        {"{\"a\":" + tensor("[3]", "[0,8]") + "}", "do not match its shape"},
        {"{\"a\":" + tensor("[2]", "[0,8,8]") + "}", "no pair"},
        {"{\"a\":" + tensor("[2]", "[8,0]") + "}", "outside"},
        {"{\"a\":" + tensor("[2]", "[4,12]") + "}", "outside"},
        {"{\"a\":" + tensor("[2]", "[18446744073709551612,4]") + "}", "data_offsets is no list of natural numbers"},
        {"{\"a\":" + tensor("[1]", "[4,8]") + "}", "hole"},
        {"{\"a\":" + tensor("[1]", "[0,4]") + "}", "4 bytes after the last tensor"},
        {"{\"a\":" + good + ",\"b\":" + tensor("[1]", "[4,8]") + "}", "overlap"},
        {"{\"a\":" + good + ",\"b\":" + good + "}", "overlap"},
        {"{}", "8 bytes after the last tensor"},
        {std::string(100'000, '['), "nested too deeply"},
        {R"({"a\nb":3})", R"("a\nb")"},
        {"{\"\xff\":3}", "no valid JSON"},
    };
    for (const Attack &attack : attacks) {
        const std::string message = message_for(folder / "a.safetensors", file_with(attack.header, data));
        INFO(attack.header.substr(0, 200));
        INFO(message);
        CHECK(one_line_with(message, {"a.safetensors: ", attack.reason}));
    }
}

TEST_CASE("A header's length is checked before it is believed") {
    const TemporaryFolder folder;
    const std::uint64_t length = GENERATE(as<std::uint64_t>{}, 3, 100'000'001, 0x7fffffffffffffff, 0xffffffffffffffff, 0xfffffffffffffff8);
    std::string bytes(reinterpret_cast<const char *>(&length), sizeof length);
    bytes += "{}";
    CHECK(one_line_with(message_for(folder / "a.safetensors", bytes), {"a.safetensors: ", "does not fit"}));
}

TEST_CASE("What is no file is said to be none") {
    const TemporaryFolder folder;
    CHECK(one_line_with(message_of([&] { read_safetensors(folder / "none"); }), {"none: cannot be read: No such file"}));
    CHECK(one_line_with(message_of([&] { read_safetensors(folder.path()); }), {"is a folder, not a file"}));
}

TEST_CASE("A file is replaced whole") {
    const TemporaryFolder folder;
    write_bytes(folder / "a.safetensors", std::string(100'000, 'x'));
    write_safetensors(folder / "a.safetensors", two_tensors(), {});
    check_equal(read_safetensors(folder / "a.safetensors").tensors, two_tensors());
    CHECK(files_in(folder.path()).size() == 1);
}

TEST_CASE("A file that cannot be written leaves the one before, and says so in one line") {
    const TemporaryFolder folder;
    write_safetensors(folder / "a.safetensors", two_tensors(), {{"step", "1"}});
    const std::string before = read_bytes(folder / "a.safetensors");
    SECTION("no folder") {
        const std::string message = message_of([&] { write_safetensors(folder / "none/a.safetensors", two_tensors(), {}); });
        CHECK(one_line_with(message, {"none/a.safetensors: cannot be written", "No such file"}));
    }
    SECTION("a file in the folder's place") {
        const std::string message = message_of([&] { write_safetensors(folder / "a.safetensors/b", two_tensors(), {}); });
        CHECK(one_line_with(message, {"a.safetensors/b: cannot be written", "Not a directory"}));
    }
    SECTION("a folder in the file's place") {
        std::filesystem::create_directories(folder / "b.safetensors/c");
        const std::string message = message_of([&] { write_safetensors(folder / "b.safetensors", two_tensors(), {}); });
        CHECK(one_line_with(message, {"b.safetensors: cannot be written", "rename"}));
        CHECK(std::filesystem::is_directory(folder / "b.safetensors/c"));
        CHECK(files_in(folder.path()) == std::vector<std::string>{"a.safetensors"});
    }
    SECTION("a read-only folder") {
        if (geteuid() != 0) {  // root may write everywhere
            std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
            const std::string message = message_of([&] { write_safetensors(folder / "a.safetensors", {}, {}); });
            std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
            CHECK(one_line_with(message, {"a.safetensors: cannot be written", "Permission denied"}));
        }
    }
    SECTION("no space") {  // a limit on the size of files, in a process of its own, stands for a full disk
        const pid_t child = fork();
        if (child == 0) {
            std::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit{100, 100};
            setrlimit(RLIMIT_FSIZE, &limit);
            const std::string message = message_of([&] { write_safetensors(folder / "a.safetensors", two_tensors(), {{"step", "2"}}); });
            _exit(one_line_with(message, {"a.safetensors: cannot be written", "write", "free space"}) ? 0 : 1);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
        CHECK(files_in(folder.path()).size() == 1);
    }
    CHECK(read_bytes(folder / "a.safetensors") == before);
}
