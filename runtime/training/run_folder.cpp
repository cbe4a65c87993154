#include "runtime/training/run_folder.h"

#include "plan/errors.h"
#include "plan/json.h"
#include "plan/text.h"
#include "runtime/training/event_files.h"
#include "runtime/weights/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <limits>
#include <span>
#include <sstream>
#include <stdexcept>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

[[noreturn]] void cannot_create(const fs::path &path, const std::string &reason) {
    fail_for(path, fmt::format("cannot make this folder: {}; give another --out", reason));
}

void make_folder(const fs::path &path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) cannot_create(path, error.message());
}

/// `path`, where it is a run's folder.
const fs::path &run_at(const fs::path &path) {
    if (!fs::exists(path / "last.safetensors"))
        fail_for(path,
                 "there is no run here (no last.safetensors); --resume takes the folder of a run that has begun, and --out begins one");
    return path;
}

/// " (123)", its number, or "" where the system does not tell which process holds a lock on this file. /proc/locks has lines such as
/// "1: FLOCK  ADVISORY  WRITE 123 fe:01:4711 0 EOF" with the file's number behind the device's, and 0 for a process of another container.
std::string holder_of(ino_t file) {
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        std::istringstream words(line);
        std::string number, kind, advisory, access, process, place;
        words >> number >> kind >> advisory >> access >> process >> place;
        if (kind == "FLOCK" && process != "0" && place.ends_with(fmt::format(":{}", file))) return fmt::format(" ({})", process);
    }
    return "";
}

FileBytes bytes_of(const fs::path &path) { return read_bytes(path, std::numeric_limits<std::size_t>::max()); }

bool are_equal(const fs::path &a, const fs::path &b) {
    if (!fs::is_regular_file(a) || !fs::is_regular_file(b)) return false;
    const FileBytes bytes_a = bytes_of(a), bytes_b = bytes_of(b);
    return std::ranges::equal(std::span(bytes_a.data.get(), bytes_a.size), std::span(bytes_b.data.get(), bytes_b.size));
}

template<typename T>
ordered_json value_or_null(const std::optional<T> &value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
}

/// config.json must say what the run's checkpoint says.
void require_same(const fs::path &file, const std::string &config) {
    const auto refuse = [](const std::string &reason) {
        throw std::runtime_error(fmt::format("{}; remove this file to go on as the run began, or begin another run", reason));
    };
    std::string changed;
    try {
        changed = difference(read_file(file), file.string(), config);
    } catch (const std::runtime_error &error) {
        refuse(error.what());
    }
    if (!changed.empty()) refuse(fmt::format("{}: {} as in the run", file.string(), changed));
}

/// The epoch of a line of metrics.jsonl; 0 where it is none.
std::uint64_t epoch_of(const std::string &line) {
    try {
        const json epoch = parse_json(line, "").at("epoch");
        return epoch.is_number_unsigned() ? epoch.get<std::uint64_t>() : 0;
    } catch (const std::exception &) {
        return 0;
    }
}

// How the test's line begins.
const std::string test_begin = "{\"test_loss\":";

/// Whether `text` is a line, or the beginning of one, that begins so.
bool begins_line(std::string_view text, const std::string &begin) { return text.starts_with(begin) || begin.starts_with(text); }

/// The keys of a line of metrics, by commas.
std::string table_head(const ordered_json &line) {
    std::vector<std::string> keys;
    for (const auto &[key, value] : line.items()) keys.push_back(key);
    return fmt::format("{}\n", fmt::join(keys, ","));
}

/// Its values; of null nothing.
std::string table_row(const ordered_json &line) {
    std::vector<std::string> texts;
    for (const ordered_json &value : line) texts.push_back(value.is_null() ? "" : value.dump());
    return fmt::format("{}\n", fmt::join(texts, ","));
}

/// metrics.csv of these epochs.
std::string table_of(const std::vector<ordered_json> &lines) {
    std::string table;
    for (const ordered_json &line : lines) table += (table.empty() ? table_head(line) : "") + table_row(line);
    return table;
}

std::vector<ordered_json> parse_lines(const std::string &text) {
    std::vector<ordered_json> lines;
    std::istringstream texts(text);
    for (std::string line; std::getline(texts, line);) lines.push_back(ordered_json::parse(line));
    return lines;
}

ordered_json line_of(const EpochMetrics &metrics) {
    ordered_json line;
    line["epoch"] = metrics.epoch;
    line["loss"] = metrics.loss;
    line[name_of(metrics.reported)] = metrics.metric;
    line["val_loss"] = value_or_null(metrics.val_loss);
    line["val_" + name_of(metrics.reported)] = value_or_null(metrics.val_metric);
    line["learning_rate"] = metrics.learning_rate;
    line["seconds"] = metrics.seconds;
    line["images_per_second"] = metrics.images_per_second;
    return line;
}

std::string read_metrics(const fs::path &file) { return read_file(file, std::numeric_limits<std::size_t>::max()); }

}  // namespace

std::string to_json(const EpochMetrics &metrics) { return line_of(metrics).dump(); }

std::string to_json(const TestMetrics &metrics) {
    ordered_json out;
    out["test_loss"] = metrics.loss;
    out["test_" + name_of(metrics.reported)] = metrics.metric;
    return out.dump();
}

RunFolder::RunFolder(fs::path path, int lock) : path_(std::move(path)), folder_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (folder_.number() < 0) fail_for(path_, fmt::format("cannot be opened as a folder: {}", std::strerror(errno)));
    struct stat status {};
    if (::flock(folder_.number(), lock | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) fail_for(path_, fmt::format("cannot be locked: {}", std::strerror(errno)));
        fail_for(path_, fmt::format("another process{} uses this folder; wait for its end, or give another --out",
                                    ::fstat(folder_.number(), &status) == 0 ? holder_of(status.st_ino) : ""));
    }
    require_there();
    if (lock == LOCK_EX)
        for (const fs::path &file : {config_file(), metrics_file(), table_file(), last(), best(), model_file(), evaluation_file(),
                                     report_file(), skipped(), batch_picture(), mistakes_picture()})
            remove_temporaries(file);
}

RunFolder RunFolder::create(const fs::path &path, const RunFolder *from) {
    make_folder(path);
    RunFolder folder(path, LOCK_EX);
    if (fs::exists(folder.last()))
        fail_for(path,
                 fmt::format("there is a run in this folder already; give another --out, or go on with it by --resume {}", path.string()));
    for (const fs::directory_entry &entry : fs::directory_iterator(path)) {
        const fs::path name = entry.path().filename();
        if (name == "skipped.txt" || name == "model.json" || name == "tensorboard") continue;  // made before the first checkpoint
        if (!from || !are_equal(entry, from->path() / name))
            fail_for(path, fmt::format("there is something in this folder already ({}); give another --out", name.string()));
    }
    return folder;
}

RunFolder RunFolder::create_numbered(const fs::path &root) {
    make_folder(root);
    for (int number = 1;; ++number) {
        const fs::path path = root / std::to_string(number);
        std::error_code error;
        if (fs::create_directory(path, error)) return create(path);
        if (error && !fs::exists(path)) cannot_create(path, error.message());
    }
}

RunFolder RunFolder::open(const fs::path &path) { return {run_at(path), LOCK_EX}; }

RunFolder RunFolder::open_to_read(const fs::path &path) { return {run_at(path), LOCK_SH}; }

RunConfig RunFolder::read_config() const {
    const std::string config = halcyon::read_config(last());
    if (fs::exists(config_file())) require_same(config_file(), config);
    return parse_run_config(config, last().string() + ": config");
}

void RunFolder::remove_config() const { fs::remove(config_file()); }

void RunFolder::write_config(const RunConfig &config) const { replace_file(config_file(), to_json(config)); }

void RunFolder::append(const EpochMetrics &metrics) const {
    const ordered_json line = line_of(metrics);
    append_file(metrics_file(), line.dump() + "\n");
    append_file(table_file(), (fs::exists(table_file()) ? "" : table_head(line)) + table_row(line));
    if (fs::exists(events_folder())) append_events(events_folder(), {&line, 1});
}

void RunFolder::keep_events() const { make_folder(events_folder()); }

void RunFolder::write_evaluation(const ordered_json &evaluation) const {
    replace_file(evaluation_file(), evaluation.dump(4, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

void RunFolder::write_model(std::string_view text) const { replace_file(model_file(), text); }

void RunFolder::write_skipped(const std::vector<BadFile> &files) const {
    std::string text;
    for (const BadFile &file : files) text += fmt::format("{}\t{}\n", printable(file.path), printable(file.reason));
    if (files.empty())
        fs::remove(skipped());
    else
        replace_file(skipped(), text);
}

void RunFolder::append(const TestMetrics &metrics) const { append_file(metrics_file(), to_json(metrics) + "\n"); }

bool RunFolder::has_test() const {
    if (!fs::exists(metrics_file())) return false;
    const std::string text = read_metrics(metrics_file());
    const std::size_t last = text.rfind(test_begin);
    return last != std::string::npos && (last == 0 || text[last - 1] == '\n') && text.find('\n', last) == text.size() - 1;
}

void RunFolder::keep_metrics(std::uint32_t epochs) const {
    if (!fs::exists(metrics_file())) {
        fs::remove(table_file());
        remove_events(events_folder());
        return;
    }
    const auto broken = [this](const std::string &reason) {
        fail_for(metrics_file(), reason + "; mend the file, or move it away to go on without its lines");
    };
    const std::string text = read_metrics(metrics_file());
    std::size_t begin = 0, kept = 0;
    std::uint64_t before = 0, last_kept = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
        const std::string line = text.substr(begin, end - begin);
        if (line.starts_with(test_begin) && end + 1 == text.size()) continue;
        const std::uint64_t epoch = epoch_of(line);
        if (epoch <= before) broken(fmt::format("behind epoch {} comes a line that is none of a later epoch", before));
        before = epoch;
        if (epoch <= epochs) kept = end + 1, last_kept = epoch;
    }
    if (last_kept < epochs) broken(fmt::format("the line of epoch {} is missing", epochs));
    // A process that was killed leaves a part of the next epoch's line, or of the test's.
    const std::string_view rest = std::string_view(text).substr(begin);
    if (!begins_line(rest, fmt::format("{{\"epoch\":{},", before + 1)) && !begins_line(rest, test_begin))
        broken("its end is no line of an epoch");
    if (kept < text.size()) replace_file(metrics_file(), text.substr(0, kept));
    const std::vector<ordered_json> lines = parse_lines(text.substr(0, kept));
    lines.empty() ? void(fs::remove(table_file())) : replace_file(table_file(), table_of(lines));
    remove_events(events_folder());
    if (fs::exists(events_folder())) append_events(events_folder(), lines);
}

void RunFolder::copy_from(const RunFolder &other) const {
    for (const auto &[from, to] : {std::pair(other.metrics_file(), metrics_file()), std::pair(other.best(), best()),
                                   std::pair(other.batch_picture(), batch_picture())}) {
        if (!fs::exists(from)) continue;
        const FileBytes bytes = bytes_of(from);
        const std::array parts = {std::span<const std::byte>(bytes.data.get(), bytes.size)};
        replace_file(to, parts);
    }
    if (fs::exists(other.events_folder())) keep_events();
}

void RunFolder::require_there() const {
    struct stat locked {
    }, found{};
    const bool there = ::fstat(folder_.number(), &locked) == 0 && ::stat(path_.c_str(), &found) == 0 && locked.st_dev == found.st_dev &&
                       locked.st_ino == found.st_ino;
    if (!there)
        fail_for(path_,
                 "the run's folder was moved or removed meanwhile, and what was trained since its last checkpoint is lost; where it was "
                 "moved, go on with --resume and its new place");
}

}  // namespace halcyon
