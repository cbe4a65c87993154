#include "runtime/data/npz.h"

#include "plan/errors.h"
#include "plan/json.h"
#include "plan/text.h"
#include "runtime/data/csv.h"
#include "runtime/data/labels.h"
#include "runtime/data/npy.h"
#include "runtime/data/zip.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

struct Names {
    Split split;
    const char *images, *labels;
};

// Of a split's names the first that are there count.
constexpr std::array known_names = {
    Names{Split::train, "x_train", "y_train"},
    Names{Split::validation, "x_val", "y_val"},
    Names{Split::test, "x_test", "y_test"},
    Names{Split::train, "train_images", "train_labels"},
    Names{Split::validation, "val_images", "val_labels"},
    Names{Split::test, "test_images", "test_labels"},
    Names{Split::train, "images", "labels"},
    Names{Split::train, "train/images", "train/labels"},
    Names{Split::validation, "validation/images", "validation/labels"},
    Names{Split::validation, "val/images", "val/labels"},
    Names{Split::test, "test/images", "test/labels"},
};

/// An array that is about to be read.
struct Array {
    std::string name;  // for messages: "mnist.npz: x_train"
    NpyHeader header;
    std::unique_ptr<Stream> stream;  // at the first value
    std::shared_ptr<const MappedFile>
        file;  // that holds the values, `header.begin` bytes behind its beginning; null: they are in an archive

    [[noreturn]] void fail(const std::string &reason) const { fail_for(name, reason); }

    std::size_t bytes() const { return header.values() * header.value_bytes(); }

    void read(std::span<std::byte> bytes) const {
        named(name, [&] { stream->read(bytes); });
    }
    void finish() const {
        named(name, [&] { stream->finish(); });
    }

    /// Does `work` on a stream, whose messages have no name.
    template<typename Work>
    static void named(const std::string &name, Work &&work) {
        try {
            work();
        } catch (const std::runtime_error &error) {
            fail_for(name, error.what());
        }
    }
};

Array open_array(std::string name, std::unique_ptr<Stream> stream, std::shared_ptr<const MappedFile> file = nullptr) {
    Array array{std::move(name), {}, std::move(stream), std::move(file)};
    Array::named(array.name, [&] { array.header = read_npy_header(*array.stream); });
    const std::size_t most = array.stream->most();
    if (array.header.begin > most || array.bytes() > most - array.header.begin)
        array.fail(
            fmt::format("is cut off: an array of shape {} has {} bytes; get the file anew", array.header.shape_text(), array.bytes()));
    return array;
}

/// Arrays by their names.
class Arrays {
public:
    virtual ~Arrays() = default;
    virtual bool has(const std::string &name) const = 0;
    virtual Array open(const std::string &name) const = 0;

    /// The folder of a file of names that belongs to an array; nothing: there is none.
    virtual fs::path folder_of(const std::string &) const { return {}; }
};

class ArraysInFolder final : public Arrays {
public:
    explicit ArraysInFolder(fs::path folder) : folder_(std::move(folder)) {}

    bool has(const std::string &name) const override {
        std::error_code error;
        return fs::exists(path_of(name), error);
    }

    Array open(const std::string &name) const override {
        auto file = std::make_shared<const MappedFile>(path_of(name));
        auto stream = plain_stream(file->bytes());
        return open_array(path_of(name).string(), std::move(stream), std::move(file));
    }

    fs::path folder_of(const std::string &name) const override { return path_of(name).parent_path(); }

private:
    fs::path path_of(const std::string &name) const { return folder_ / (name + ".npy"); }

    fs::path folder_;
};

class ArraysInArchive final : public Arrays {
public:
    explicit ArraysInArchive(const fs::path &path) : path_(path), archive_(path) {
        for (const std::string &name : archive_.names())
            if (name.ends_with(".npy")) members_.push_back(name.substr(0, name.size() - 4));
    }

    bool has(const std::string &name) const override { return find(name) != members_.end(); }

    Array open(const std::string &name) const override {
        const std::string &member = *find(name);
        return open_array(fmt::format("{}: {}", path_.string(), printable(member)), archive_.open(member + ".npy"));
    }

    const std::vector<std::string> &names() const { return members_; }

private:
    std::vector<std::string>::const_iterator find(const std::string &name) const {
        return std::ranges::find_if(members_, [&](const std::string &member) { return folded(member) == name; });
    }

    fs::path path_;
    ZipFile archive_;
    std::vector<std::string> members_;
};

const Names *names_of(Split split, const Arrays &arrays) {
    const auto *const found =
        std::ranges::find_if(known_names, [&](const Names &names) { return names.split == split && arrays.has(names.images); });
    return found == known_names.end() ? nullptr : found;
}

/// The values of an array of T.
template<typename T, typename Value>
std::vector<Value> read_as(const Array &array) {
    std::vector<T> values(array.header.values());
    array.read(std::as_writable_bytes(std::span(values)));
    array.finish();
    return {values.begin(), values.end()};
}

template<typename Value>
struct ReadableType {
    std::string_view name;
    std::vector<Value> (*read)(const Array &);
};

template<typename Value>
constexpr std::array integer_types = {
    ReadableType<Value>{"|u1", read_as<std::uint8_t, Value>},  ReadableType<Value>{"|i1", read_as<std::int8_t, Value>},
    ReadableType<Value>{"<u2", read_as<std::uint16_t, Value>}, ReadableType<Value>{"<i2", read_as<std::int16_t, Value>},
    ReadableType<Value>{"<u4", read_as<std::uint32_t, Value>}, ReadableType<Value>{"<i4", read_as<std::int32_t, Value>},
    ReadableType<Value>{"<u8", read_as<std::uint64_t, Value>}, ReadableType<Value>{"<i8", read_as<std::int64_t, Value>},
};

constexpr std::array real_types = {
    ReadableType<float>{"|b1", read_as<std::uint8_t, float>},
    ReadableType<float>{"<f4", read_as<float, float>},
    ReadableType<float>{"<f8", read_as<double, float>},
};

void check_count(const Array &array, std::size_t images, const char *what) {
    if (const std::size_t rows = array.header.shape[0]; rows != images) array.fail(fmt::format("{} {} for {} images", rows, what, images));
}

template<typename Value>
const ReadableType<Value> *find_type(std::span<const ReadableType<Value>> types, const std::string &name) {
    const auto found = std::ranges::find(types, name, &ReadableType<Value>::name);
    return found == types.end() ? nullptr : &*found;
}

bool has_shape_of_labels(const NpyHeader &header) { return header.shape.size() == 1 || (header.shape.size() == 2 && header.shape[1] == 1); }

std::vector<std::int64_t> read_labels(const Array &array, std::size_t images) {
    const NpyHeader &header = array.header;
    if (!has_shape_of_labels(header))
        array.fail(fmt::format("labels are of shape (N) or (N, 1), not {}; one-hot labels become numbers by numpy.argmax(y, axis=1), or "
                               "give the model the loss categorical_crossentropy",
                               header.shape_text()));
    check_count(array, images, "labels");
    const auto *const type = find_type<std::int64_t>(integer_types<std::int64_t>, header.type);
    if (!type) array.fail(fmt::format("labels are integers, not \"{}\"; save y.astype(\"int64\")", printable(shortened(header.type, 40))));
    return type->read(array);
}

/// `units` numbers an image.
std::vector<float> read_targets(const Array &array, std::size_t images, int units) {
    const NpyHeader &header = array.header;
    const auto width = static_cast<std::size_t>(units);
    const bool fits = header.shape.size() == 2 ? header.shape[1] == width : header.shape.size() == 1 && width == 1;
    if (!fits) array.fail(fmt::format("the model takes targets of shape (N, {}), not {}", units, header.shape_text()));
    check_count(array, images, "rows of targets");
    const auto *type = find_type<float>(real_types, header.type);
    if (!type) type = find_type<float>(integer_types<float>, header.type);
    if (!type)
        array.fail(fmt::format("targets are numbers, not \"{}\"; save y.astype(\"float32\")", printable(shortened(header.type, 40))));
    return type->read(array);
}

/// Float64, which NumPy's divisions make, in pieces.
void read_doubles(const Array &array, std::span<float> values) {
    constexpr std::size_t at_once = 8192;
    std::vector<double> piece(std::min(at_once, values.size()));
    while (!values.empty()) {
        const std::span<double> part = std::span(piece).first(std::min(piece.size(), values.size()));
        array.read(std::as_writable_bytes(part));
        std::ranges::transform(part, values.begin(), [](double value) { return static_cast<float>(value); });
        values = values.subspan(part.size());
    }
}

Pixels read_pixels(const Array &array) {
    const NpyHeader &header = array.header;
    const std::size_t values = header.values();
    if (header.type == "|u1") {
        if (array.file) return Pixels::of_mapped_bytes(array.file, header.begin, values);
        Pixels pixels = Pixels::of_bytes(values);
        array.read(std::as_writable_bytes(pixels.bytes()));
        return pixels;
    }
    if (header.type == "<f4") {
        if (array.file && header.begin % sizeof(float) == 0) return Pixels::of_mapped_floats(array.file, header.begin, values);
        Pixels pixels = Pixels::of_floats(values);
        array.read(std::as_writable_bytes(pixels.floats()));
        return pixels;
    }
    if (header.type == "<f8") {
        Pixels pixels = Pixels::of_floats(values);
        read_doubles(array, pixels.floats());
        return pixels;
    }
    array.fail(fmt::format("images are bytes (uint8), float32 or float64, not \"{}\"; save x.astype(\"uint8\")",
                           printable(shortened(header.type, 40))));
}

void read_images(const Array &array, Dataset &data) {
    const std::vector<std::size_t> &shape = array.header.shape;
    if (shape.size() != 3 && shape.size() != 4)
        array.fail(fmt::format("images are of shape (N, H, W) or (N, H, W, C), not {}; save x.reshape(...)", array.header.shape_text()));
    // Where the file is mapped the values take no room.
    check_room(array.name, shape[0], array.file && array.header.type != "<f8" ? 0 : array.bytes());
    set_size(data, shape[1], shape[2], shape.size() == 4 ? shape[3] : 1, array.name);
    data.pixels = read_pixels(array);
    if (array.file && array.header.begin + array.bytes() < array.file->bytes().size())
        array.fail("holds more than its header says; get the file anew");
    if (!array.file) array.finish();
    check_finite(data, array.name);
}

std::vector<std::string> read_class_names(const fs::path &path) {
    const nlohmann::json names = parse_json(read_file(path), path.string());
    if (!names.is_array() || !std::ranges::all_of(names, [](const nlohmann::json &name) { return name.is_string(); }))
        fail_for(path, "is no list of names; write [\"first\", \"second\"]");
    return names.get<std::vector<std::string>>();
}

/// Gives the classes, or the units, their names. Without a model's number of classes there are as many as names, of which a split may lack
/// the last ones.
void set_class_names(Dataset &data, const fs::path &path, int classes) {
    data.class_names = read_class_names(path);
    const std::size_t names = data.class_names.size();
    if (data.has_targets() && std::cmp_not_equal(names, data.units))
        fail_for(path, fmt::format("{} names for {} targets", names, data.units));
    if (data.has_targets()) return;
    if (classes > 0 ? std::cmp_not_equal(names, classes) : std::cmp_less(names, data.classes))
        fail_for(path, fmt::format("{} names for {} classes", names, data.classes));
    data.classes = static_cast<int>(names);
}

class LabelledArrays final : public Source {
public:
    LabelledArrays(std::unique_ptr<Arrays> arrays, std::string description, DataRequest request,
                   std::optional<PictureOptions> pictures = {})
        : arrays_(std::move(arrays)), description_(std::move(description)), request_(std::move(request)), pictures_(pictures) {}

    std::string description() const override { return description_; }
    bool has(Split split) const override { return names_of(split, *arrays_) != nullptr; }
    std::optional<PictureOptions> pictures() const override { return pictures_; }

    Dataset load(Split split, const DecodingProgress &) override {
        const Names &names = *names_of(split, *arrays_);
        const Array images = arrays_->open(names.images);
        if (!arrays_->has(names.labels)) images.fail(fmt::format("there is no {} with its labels beside it", names.labels));
        const Array labels = arrays_->open(names.labels);
        Dataset data;
        read_images(images, data);
        const std::size_t count = images.header.shape[0];
        if (request_.targets == 0 || (request_.class_shares && has_shape_of_labels(labels.header)))
            set_labels(data, read_labels(labels, count), request_.classes, labels.name);
        else if (request_.class_shares)
            set_class_shares(data, read_targets(labels, count, request_.targets), request_.targets, labels.name);
        else
            set_targets(data, read_targets(labels, count, request_.targets), request_.targets, request_.unit_labels, labels.name);
        const fs::path folder = arrays_->folder_of(names.images);
        for (const fs::path &file : {folder / "classes.json", folder.parent_path() / "classes.json"}) {
            if (folder.empty() || !fs::exists(file)) continue;
            set_class_names(data, file, request_.classes);
            break;
        }
        return data;
    }

private:
    std::unique_ptr<Arrays> arrays_;
    std::string description_;
    DataRequest request_;
    std::optional<PictureOptions> pictures_;
};

constexpr std::string_view what_they_are_called =
    "x_train and y_train (x_test, y_test), train_images and train_labels, or images and labels";

}  // namespace

bool is_npz(const fs::path &path) {
    std::error_code error;
    return path.extension() == ".npz" && fs::is_regular_file(path, error);
}

std::unique_ptr<Source> open_npz(const DataRequest &request) {
    auto arrays = std::make_unique<ArraysInArchive>(request.path);
    if (!names_of(Split::train, *arrays)) {
        constexpr std::size_t enough = 200;
        throw std::runtime_error(fmt::format("{}: holds the arrays {}, but not {}", request.path.string(),
                                             printable(shortened(fmt::format("{}", fmt::join(arrays->names(), ", ")), enough)),
                                             what_they_are_called));
    }
    return std::make_unique<LabelledArrays>(std::move(arrays), "NumPy arrays", request);
}

bool is_npy_folder(const fs::path &path) { return !path.empty() && names_of(Split::train, ArraysInFolder(path)) != nullptr; }

std::unique_ptr<Source> open_npy_folder(const DataRequest &request) {
    auto arrays = std::make_unique<ArraysInFolder>(request.path);
    if (!names_of(Split::train, *arrays))
        throw std::runtime_error(
            fmt::format("{}: no .npy files are there that are called {}", request.path.string(), what_they_are_called));
    std::optional<PictureOptions> pictures;
    if (const fs::path file = request.path / "pictures.json"; fs::exists(file))
        pictures = parse_picture_options(read_file(file), file.string());
    return std::make_unique<LabelledArrays>(std::move(arrays), "NumPy arrays in files", request, pictures);
}

}  // namespace halcyon
