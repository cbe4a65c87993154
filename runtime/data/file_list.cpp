#include "runtime/data/file_list.h"

#include "plan/files.h"
#include "plan/text.h"
#include "runtime/data/csv.h"
#include "runtime/data/picture.h"
#include "runtime/data/picture_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using Fields = std::vector<std::string>;

// Names of columns in lower case; where several columns are called so, the first name here counts.
constexpr std::array<std::string_view, 16> file_names = {"file",  "filename",   "file_name",  "filepath",   "file_path", "path",
                                                         "image", "image_path", "image_name", "image_file", "image_id",  "imageid",
                                                         "img",   "img_path",   "picture",    "id"};
constexpr std::array<std::string_view, 13> label_names = {"label",  "labels", "class",    "class_id", "classid", "class_name", "category",
                                                          "target", "y",      "label_id", "breed",    "species", "diagnosis"};
constexpr std::array<std::string_view, 4> split_names = {"split", "set", "subset", "usage"};

// More columns are a table of pixels, whatever they are called.
constexpr std::size_t most_columns = 64;

/// Where a row has what.
struct Columns {
    bool named = false;  // by the first row
    std::size_t file = 0, label = 0;
    std::optional<std::size_t> split;
};

template<std::size_t n>
std::optional<std::size_t> column_called(const std::array<std::string_view, n> &names, const Fields &fields) {
    for (const std::string_view name : names) {
        const auto found = std::ranges::find(fields, name, [](const std::string &field) { return folded(field); });
        if (found != fields.end()) return found - fields.begin();
    }
    return std::nullopt;
}

/// Finds the files of a list.
class Finder {
public:
    explicit Finder(fs::path folder) : folder_(std::move(folder)) {}

    const fs::path &folder() const { return folder_; }

    /// The path from the folder on: the name itself, or with the ending that makes it a file that is there.
    std::string find(const std::string &name) {
        if (is_picture_name(name)) return name;
        if (is_there(name + ending_)) return name + ending_;
        for (const char *ending : {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".JPG", ".JPEG", ".PNG"}) {
            if (!is_there(name + ending)) continue;
            ending_ = ending;
            return name + ending;
        }
        return name;
    }

    bool finds(const std::string &name) { return is_there(find(name)); }

private:
    bool is_there(const std::string &name) const {
        std::error_code error;
        return fs::is_regular_file(folder_ / name, error);
    }

    fs::path folder_;
    std::string ending_ = ".jpg";  // the last one that was right: a list has few kinds
};

/// The columns of a list; nothing where no column has files.
std::optional<Columns> find_columns(const Fields &first, Finder &finder) {
    if (first.size() > most_columns) return std::nullopt;
    const auto picture = std::ranges::find_if(first, is_picture_name);
    std::optional<std::size_t> file = column_called(file_names, first);
    Columns columns;
    columns.named = picture == first.end() && (file || column_called(label_names, first));
    if (columns.named) {
        columns.split = column_called(split_names, first);
    } else {
        const auto found =
            picture != first.end() ? picture : std::ranges::find_if(first, [&](const std::string &field) { return finder.finds(field); });
        file = found == first.end() ? std::nullopt : std::optional<std::size_t>(found - first.begin());
    }
    if (!file) return std::nullopt;
    columns.file = *file;
    const auto label = columns.named ? column_called(label_names, first) : std::nullopt;
    const std::size_t others = first.size() - (columns.split ? 2 : 1);
    if (label && *label != columns.file) {
        columns.label = *label;
        return columns;
    }
    columns.label = first.size();  // none
    for (std::size_t i = 0; i < first.size() && others == 1; ++i)
        if (i != columns.file && i != columns.split) columns.label = i;
    return columns;
}

/// Not empty, and without spaces around it.
std::string field_of(const CsvReader &reader, const CsvRow &row, const Fields &fields, std::size_t column, const char *what) {
    if (column >= fields.size()) reader.fail(row, fmt::format("{} fields, so that the {} is missing", fields.size(), what));
    std::string field(trimmed(fields[column]));
    if (field.empty()) reader.fail(row, fmt::format("the {} is empty", what));
    return field;
}

Split split_called(const CsvReader &reader, const CsvRow &row, const std::string &name) {
    const std::string lower = folded(name);
    if (lower == "train" || lower == "training") return Split::train;
    if (lower == "val" || lower == "valid" || lower == "validation") return Split::validation;
    if (lower == "test" || lower == "testing") return Split::test;
    reader.fail(row, fmt::format("the split \"{}\" is none of train, val and test", printable(name)));
}

/// The number that a label is; nothing where it is none.
std::optional<std::uint64_t> whole_number(const std::string &text) {
    std::uint64_t number = 0;
    const char *end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

/// The labels of a list, each kept once, in the order of their first rows.
class Labels {
public:
    /// Its place in that order.
    std::size_t add(const std::string &name) { return places_.emplace(name, places_.size()).first->second; }

    /// The names of the classes, and for each place the class. A list whose labels are numbers may lack the highest of the model's.
    std::pair<std::vector<std::string>, std::vector<std::uint16_t>> classes(const fs::path &list, int of_model) const {
        const bool numbers = std::ranges::all_of(places_, [](const auto &place) { return whole_number(place.first).has_value(); });
        std::vector<std::string> names;
        std::vector<std::uint16_t> of_place(places_.size());
        for (const auto &[name, place] : places_) {  // sorted by bytes
            const std::uint64_t number = numbers ? *whole_number(name) : names.size();
            if (number > std::numeric_limits<std::uint16_t>::max())
                throw std::runtime_error(fmt::format("{}: the label {} is too large; labels go from 0 to {}", list.string(),
                                                     shortened(name, 100), std::numeric_limits<std::uint16_t>::max()));
            of_place[place] = static_cast<std::uint16_t>(number);
            if (!numbers) names.push_back(name);
            while (names.size() <= number) names.push_back(std::to_string(names.size()));
        }
        while (numbers && std::cmp_less(names.size(), of_model)) names.push_back(std::to_string(names.size()));
        return {names, of_place};
    }

private:
    std::map<std::string, std::size_t> places_;
};

/// What is listed of a picture.
struct Row {
    std::string file;
    std::size_t label = 0;            // its place in Labels
    std::vector<float> targets = {};  // instead
    Split split = Split::train;
};

/// Where the targets are that a model takes: in all columns but those of the file and the split. The first row has their names.
std::vector<std::size_t> target_columns(const CsvReader &reader, const CsvRow &row, const Columns &columns, std::size_t count,
                                        const DataRequest &request) {
    if (!columns.named) reader.fail(row, "a list with targets names its columns in the first row, \"file\" and those of the targets");
    std::vector<std::size_t> others;
    for (std::size_t i = 0; i < count; ++i)
        if (i != columns.file && i != columns.split) others.push_back(i);
    if (std::cmp_not_equal(others.size(), request.targets))
        reader.fail(row, fmt::format("{} columns beside the files, but the model takes {} targets{}", others.size(), request.targets,
                                     request.class_shares ? "; call the column of labels \"label\"" : ""));
    return others;
}

float target_in(const CsvReader &reader, const CsvRow &row, const std::string &field, bool is_label) {
    const std::optional<double> number = number_in(field);
    if (!number || (is_label && (*number < 0 || *number > 1)))
        reader.fail(row,
                    fmt::format("the target \"{}\" is no {}", printable(shortened(field, 100)), is_label ? "label from 0 to 1" : "number"));
    return static_cast<float>(*number);
}

std::vector<Row> read_rows(CsvReader &reader, const DataRequest &request, Finder &finder, Labels &labels,
                           std::vector<std::string> &target_names) {
    std::optional<CsvRow> row = reader.next();
    if (!row)
        throw std::runtime_error(
            fmt::format("{}: is empty; a list has a row a picture, with its file and its label", request.path.string()));
    const Fields first = reader.fields(*row);
    const std::optional<Columns> columns = find_columns(first, finder);
    if (!columns)
        reader.fail(*row,
                    fmt::format("no column of pictures' files in {}; call one \"file\" and the classes' \"label\" in the first row, or say "
                                "where the files are by --images",
                                printable(shortened(row->text, 100))));
    std::vector<std::size_t> targets;
    const bool has_label = columns->label < first.size();
    if (request.targets > 0 && !(request.class_shares && has_label))
        targets = target_columns(reader, *row, *columns, first.size(), request);
    for (const std::size_t column : targets) target_names.emplace_back(trimmed(first[column]));
    if (targets.empty() && !has_label)
        reader.fail(*row, fmt::format("which of {} columns has the labels? Call it \"label\" in the first row", first.size()));
    std::vector<Row> rows;
    for (row = columns->named ? reader.next() : row; row; row = reader.next()) {
        const Fields fields = reader.fields(*row);
        Row &read = rows.emplace_back();
        read.file = finder.find(field_of(reader, *row, fields, columns->file, "file"));
        if (columns->split) read.split = split_called(reader, *row, field_of(reader, *row, fields, *columns->split, "split"));
        for (const std::size_t column : targets)
            read.targets.push_back(
                target_in(reader, *row, field_of(reader, *row, fields, column, "target"), request.unit_labels || request.class_shares));
        if (!targets.empty()) continue;
        const std::string label = field_of(reader, *row, fields, columns->label, "label");
        if (printable(label) != label)  // weights files and JSON hold UTF-8
            reader.fail(*row,
                        fmt::format("the label \"{}\" holds control characters or is no UTF-8; save the list as UTF-8", printable(label)));
        read.label = labels.add(label);
    }
    return rows;
}

}  // namespace

bool is_file_list(const fs::path &path) {
    std::error_code error;
    if (folded(path.extension().string()) != ".csv" || !fs::is_regular_file(path, error)) return false;
    constexpr std::size_t telling = std::size_t{64} << 10;
    InputFile file(path);
    std::string begin(std::min(telling, file.size()), '\0');
    file.read(std::as_writable_bytes(std::span(begin)));
    if (begin.find('\n') == begin.npos && file.size() > begin.size()) return false;  // a row so long has pixels
    CsvReader reader(begin, path.string());
    const std::optional<CsvRow> row = reader.next();
    Finder finder(folder_of(path));
    return row && find_columns(reader.fields(*row), finder);
}

std::unique_ptr<Source> open_file_list(const DataRequest &request) {
    constexpr std::size_t largest = std::size_t{1} << 30;
    std::error_code error;
    if (!request.images.empty() && !fs::is_directory(request.images, error))
        throw std::runtime_error(fmt::format("{}: there is no such folder; --images is where the files of {} lie", request.images.string(),
                                             request.path.string()));
    Labels labels;
    std::vector<Row> rows;
    PictureSet set;
    {
        const std::string text = read_file(request.path, largest);
        CsvReader reader(text, request.path.string());
        Finder finder(request.images.empty() ? folder_of(request.path) : request.images);
        set.root = finder.folder();
        rows = read_rows(reader, request, finder, labels, set.class_names);
    }
    std::vector<std::uint16_t> class_of = {0};  // of a row with targets
    set.targets = static_cast<int>(rows.empty() ? 0 : rows.front().targets.size());
    if (set.targets == 0) std::tie(set.class_names, class_of) = labels.classes(request.path, request.classes);
    require_labels_for(set.class_names.size(), request.path);
    for (Row &row : rows) set.files[row.split].push_back({std::move(row.file), class_of[row.label], std::move(row.targets)});
    if (!set.files.contains(Split::train))
        throw std::runtime_error(fmt::format(
            "{}: no picture to train on is listed; a list has a row a picture, with its file and its label", request.path.string()));
    set.description =
        fmt::format("list of pictures, {} {}", set.class_names.size(), set.targets > 0 && !request.class_shares ? "targets" : "classes");
    if (set.files.contains(Split::validation)) set.description += ", with a validation split";
    if (set.files.contains(Split::test)) set.description += ", with a test split";
    return open_pictures(std::move(set), request);
}

}  // namespace halcyon
