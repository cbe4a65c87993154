#include "runtime/data/pixel_csv.h"

#include "plan/files.h"
#include "plan/text.h"
#include "runtime/data/csv.h"
#include "runtime/data/labels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using Fields = std::vector<std::string>;

constexpr std::array label_names = {"label", "labels", "class", "target", "y", "emotion"};
constexpr std::size_t no_column = std::string::npos;

/// What the columns of a file are.
struct Columns {
    bool header = false;
    std::size_t count = 0, label = 0;
    std::size_t pixels = no_column, usage = no_column;  // FER2013's
    bool named_label = false;

    bool in_one() const { return pixels != no_column; }
};

std::size_t column_called(const Fields &header, std::string_view name) {
    const auto found = std::ranges::find_if(header, [&](const std::string &field) { return folded(field) == name; });
    return found == header.end() ? no_column : static_cast<std::size_t>(found - header.begin());
}

Columns columns_of(const Fields &first) {
    Columns columns;
    columns.count = first.size();
    columns.header = !std::ranges::all_of(first, [](const std::string &field) { return number_in(field).has_value(); });
    if (!columns.header) return columns;
    for (const char *name : label_names) {
        if (const std::size_t column = column_called(first, name); column != no_column && !columns.named_label) {
            columns.label = column;
            columns.named_label = true;
        }
    }
    columns.pixels = column_called(first, "pixels");
    columns.usage = columns.in_one() ? column_called(first, "usage") : no_column;
    return columns;
}

/// What the first rows show; nothing where they are no images.
std::optional<Columns> recognise(const fs::path &path) {
    constexpr std::size_t fewest = 9;  // a label, and more values than a list of files has columns
    try {
        const MappedFile file(path);
        CsvReader reader(file.text(), path.string());
        std::optional<CsvRow> row = reader.next();
        if (!row) return std::nullopt;
        const Columns columns = columns_of(reader.fields(*row));
        if (columns.in_one()) return columns;
        if (columns.header) row = reader.next();
        if (!row || columns.count < fewest) return std::nullopt;
        const Fields values = reader.fields(*row);
        return std::ranges::all_of(values, [](const std::string &field) { return number_in(field).has_value(); }) ? std::optional(columns)
                                                                                                                  : std::nullopt;
    } catch (const std::runtime_error &) {
        return std::nullopt;
    }
}

/// The files of a folder or the one that is named. Empty: there is none.
struct Files {
    fs::path train, test;
};

/// A test file has the columns that the training file has; digit-recognizer's lacks the labels.
bool has_labels(const fs::path &test, const Columns &train) {
    const std::optional<Columns> columns = recognise(test);
    return columns && columns->count == train.count && columns->named_label == train.named_label;
}

Files find_files(const fs::path &path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) return path.extension() == ".csv" && recognise(path) ? Files{path, {}} : Files{};
    std::vector<fs::path> candidates;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
        if (const std::string name = entry->path().filename().string(); name == "train.csv" || name.ends_with("_train.csv"))
            candidates.push_back(entry->path());
    std::ranges::sort(candidates);
    for (const fs::path &train : candidates) {
        const std::optional<Columns> columns = recognise(train);
        if (!columns) continue;
        constexpr std::string_view train_end = "train.csv";
        std::string test = train.string();
        test.replace(test.size() - train_end.size(), train_end.size(), "test.csv");
        if (!fs::exists(test, error) || !has_labels(test, *columns)) test.clear();
        return {train, test};
    }
    return {};
}

std::optional<Split> split_of(std::string_view usage) {
    const std::string name = folded(usage);
    if (name == "training") return Split::train;
    if (name == "publictest") return Split::validation;
    if (name == "privatetest") return Split::test;
    return std::nullopt;
}

/// Numbers from 0 to 255 with one separator between them, nothing else; what most rows are. False at anything else.
bool read_plain_bytes(std::string_view text, char separator, std::span<std::uint8_t> values) {
    const char *at = text.data(), *const end = at + text.size();
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0 && (at == end || *at++ != separator)) return false;
        unsigned value = 0;
        const char *const first = at;
        for (; at != end && *at >= '0' && *at <= '9' && at - first < 3; ++at) value = 10 * value + static_cast<unsigned>(*at - '0');
        if (at == first || value > 255) return false;
        values[i] = static_cast<std::uint8_t>(value);
    }
    return at == end;
}

/// Texts separated by spaces.
Fields words_of(std::string_view text) {
    Fields words;
    for (std::size_t begin = 0; (begin = text.find_first_not_of(" \t\r\n", begin)) != text.npos;) {
        const std::size_t end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
        words.emplace_back(text.substr(begin, end - begin));
        begin = end;
    }
    return words;
}

/// A file's rows, of which each belongs to a split.
class Table {
public:
    /// The rows are all `split`'s where no column says otherwise.
    Table(const fs::path &path, Split split, const DataRequest &request)
        : file_(path), path_(path.string()), h_(request.h), w_(request.w), c_(request.c), classes_(request.classes),
          record_(static_cast<std::size_t>(h_) * static_cast<std::size_t>(w_) * static_cast<std::size_t>(c_)),
          reader_(file_.text(), path_) {
        std::optional<CsvRow> row = reader_.next();
        if (!row) throw std::runtime_error(fmt::format("{}: holds no images", path_));
        columns_ = columns_of(reader_.fields(*row));
        if (!columns_.in_one() && columns_.count != record_ + 1)
            throw std::runtime_error(fmt::format("{}: rows of a label and {} values, but the model takes {}; change the model's input",
                                                 path_, columns_.count - 1, wanted()));
        if (columns_.header) row = reader_.next();
        for (; row; row = reader_.next()) rows(columns_.usage == no_column ? split : usage_of(*row)).push_back(*row);
    }

    bool has(Split split) const { return !rows_[static_cast<std::size_t>(split)].empty(); }
    bool says_usage() const { return columns_.usage != no_column; }

    Dataset load(Split split) {
        const std::vector<CsvRow> &rows = this->rows(split);
        check_room(path_, rows.size(), rows.size() * record_);
        Dataset data;
        set_size(data, static_cast<std::size_t>(h_), static_cast<std::size_t>(w_), static_cast<std::size_t>(c_), path_);
        std::vector<std::int64_t> labels(rows.size());
        if (!read_as_bytes(rows, data, labels)) read_as_floats(rows, data, labels);
        set_labels(data, labels, classes_, path_);
        if (columns_.in_one() && data.classes == 7)  // FER2013's
            data.class_names = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
        return data;
    }

private:
    std::string wanted() const { return fmt::format("{}x{}x{} = {}", h_, w_, c_, record_); }
    std::vector<CsvRow> &rows(Split split) { return rows_[static_cast<std::size_t>(split)]; }

    Split usage_of(const CsvRow &row) const {
        const std::string usage = fields_of(row)[columns_.usage];
        if (const std::optional<Split> split = split_of(usage)) return *split;
        reader_.fail(row, fmt::format("the usage \"{}\" is none of Training, PublicTest and PrivateTest", short_field(usage)));
    }

    static std::string short_field(std::string_view field) {
        constexpr std::size_t enough = 40;
        return printable(shortened(field, enough));
    }

    Fields fields_of(const CsvRow &row) const {
        Fields fields = reader_.fields(row);
        if (fields.size() == columns_.count) return fields;
        reader_.fail(row, fmt::format("{} fields, but the first row has {}", fields.size(), columns_.count));
    }

    std::int64_t label_in(const CsvRow &row, std::string_view field) const {
        constexpr double most = 65535;
        const std::optional<double> label = number_in(field);
        if (!label || *label < 0 || *label > most || *label != std::floor(*label))
            reader_.fail(row, fmt::format("the label \"{}\" is no whole number from 0 to {}", short_field(field), most));
        return static_cast<std::int64_t>(*label);
    }

    /// A row's values as texts, and its label.
    std::pair<Fields, std::int64_t> values_of(const CsvRow &row) const {
        Fields fields = fields_of(row);
        const std::int64_t label = label_in(row, fields[columns_.label]);
        if (columns_.in_one())
            fields = words_of(fields[columns_.pixels]);
        else
            fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(columns_.label));
        if (fields.size() != record_) reader_.fail(row, fmt::format("{} values, but the model takes {}", fields.size(), wanted()));
        return {std::move(fields), label};
    }

    double value_in(const CsvRow &row, const Fields &fields, std::size_t i) const {
        if (const std::optional<double> value = number_in(fields[i])) return *value;
        reader_.fail(row, fmt::format("value {} is \"{}\", no finite number", i, short_field(fields[i])));
    }

    /// The way of most rows, some ten times as fast: the label first or last, digits and separators alone. False at anything else.
    bool read_plain_row(const CsvRow &row, std::span<std::uint8_t> values, std::int64_t &label) const {
        if (columns_.in_one()) {
            const Fields fields = fields_of(row);
            label = label_in(row, fields[columns_.label]);
            return read_plain_bytes(fields[columns_.pixels], ' ', values);
        }
        const bool first = columns_.label == 0;
        if (!first && columns_.label + 1 != columns_.count) return false;
        const std::size_t between = first ? row.text.find(reader_.separator()) : row.text.rfind(reader_.separator());
        if (between == row.text.npos) return false;
        const std::string_view before = row.text.substr(0, between), behind = row.text.substr(between + 1);
        if (!read_plain_bytes(first ? behind : before, reader_.separator(), values)) return false;
        label = label_in(row, first ? before : behind);
        return true;
    }

    /// False where a value is another number than a whole one from 0 to 255.
    bool read_as_bytes(const std::vector<CsvRow> &rows, Dataset &data, std::vector<std::int64_t> &labels) const {
        data.pixels = Pixels::of_bytes(rows.size() * record_);
        for (std::size_t image = 0; image < rows.size(); ++image) {
            const std::span<std::uint8_t> values = data.pixels.bytes().subspan(image * record_, record_);
            if (read_plain_row(rows[image], values, labels[image])) continue;
            const auto [fields, label] = values_of(rows[image]);
            labels[image] = label;
            for (std::size_t i = 0; i < values.size(); ++i)
                if (!read_plain_bytes(trimmed(fields[i]), ' ', values.subspan(i, 1))) return false;
        }
        return true;
    }

    void read_as_floats(const std::vector<CsvRow> &rows, Dataset &data, std::vector<std::int64_t> &labels) const {
        check_room(path_, rows.size(), rows.size() * record_ * sizeof(float));
        data.pixels = Pixels::of_floats(rows.size() * record_);
        for (std::size_t image = 0; image < rows.size(); ++image) {
            const auto [fields, label] = values_of(rows[image]);
            labels[image] = label;
            for (std::size_t i = 0; i < record_; ++i)
                data.pixels.floats()[image * record_ + i] = static_cast<float>(value_in(rows[image], fields, i));
        }
        check_finite(data, path_);
    }

    MappedFile file_;
    std::string path_;
    int h_, w_, c_, classes_;
    std::size_t record_;  // values of an image
    CsvReader reader_;
    Columns columns_;
    std::array<std::vector<CsvRow>, 3> rows_;  // by Split
};

class PixelCsv final : public Source {
public:
    PixelCsv(const Files &files, const DataRequest &request) : train_(files.train, Split::train, request) {
        if (!train_.has(Split::train)) throw std::runtime_error(fmt::format("{}: holds no images to train on", files.train.string()));
        if (!files.test.empty()) test_.emplace(files.test, Split::test, request);
    }

    std::string description() const override {
        return train_.says_usage() ? "pixels in a CSV file, in FER2013's form" : "pixels in a CSV file";
    }

    bool has(Split split) const override { return train_.has(split) || (test_ && test_->has(split)); }

    Dataset load(Split split, const DecodingProgress &) override { return train_.has(split) ? train_.load(split) : test_->load(split); }

private:
    Table train_;
    std::optional<Table> test_;
};

}  // namespace

bool is_pixel_csv(const fs::path &path) { return !find_files(path).train.empty(); }

std::unique_ptr<Source> open_pixel_csv(const DataRequest &request) {
    Files files = find_files(request.path);
    std::error_code error;
    if (files.train.empty() && !fs::is_directory(request.path, error)) files.train = request.path;  // --format says so
    if (files.train.empty())
        throw std::runtime_error(
            fmt::format("{}: there is no train.csv or X_train.csv with a label and pixels in each row", request.path.string()));
    return std::make_unique<PixelCsv>(files, request);
}

}  // namespace halcyon
