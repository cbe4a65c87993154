#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/data/digest.h"
#include "runtime/data/moments.h"
#include "runtime/data/picture_cache.h"
#include "runtime/engine/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

constexpr std::array all_splits = {Split::train, Split::validation, Split::test};

// Listed for a person; JSON has all.
constexpr std::size_t listed = 10;

/// Of the values of a channel: bytes are counted as their 255th parts.
struct Moments {
    double mean = 0, deviation = 0;
};

std::vector<Moments> moments_of(const Dataset &data) {
    const ChannelMoments channels = channel_moments(data, all_records(data));
    const double scale = data.pixels.are_floats() ? 1 : 1.0 / 255;
    std::vector<Moments> moments;
    for (std::size_t c = 0; c < channels.mean.size(); ++c)
        moments.push_back({channels.mean[c] * scale, std::sqrt(channels.variance[c]) * scale});
    return moments;
}

/// An image whose record is that of an earlier one.
struct Duplicate {
    std::string image, original;
};

/// What there is to say of a split.
struct Summary {
    std::string split;
    std::size_t images = 0;
    std::vector<std::size_t> of_class;
    std::vector<double> target_means;  // of each unit, where these are no classes
    std::vector<Moments> channels;
    std::optional<PictureSizes> sizes;
    std::vector<Duplicate> within, across;  // among the split's own images, and with those of the splits before
};

std::string image_name(const Dataset &data, std::size_t image) {
    return data.names.empty() ? fmt::format("record {}", image) : printable(data.names[image]);
}

/// Finds images that came before.
class SeenRecords {
public:
    void add(const Dataset &data, Summary &summary) {
        const std::span<const std::byte> bytes =
            data.pixels.are_floats() ? std::as_bytes(data.pixels.floats()) : std::as_bytes(data.pixels.bytes());
        const std::size_t record = bytes.size() / summary.images;
        for (std::size_t i = 0; i < summary.images; ++i) {
            Digest digest;
            digest.add(bytes.subspan(i * record, record));
            const auto [first, is_new] = first_.try_emplace(digest, Place{&data, summary.split, i});
            if (is_new) continue;
            const Place &place = first->second;
            std::vector<Duplicate> &duplicates = place.data == &data ? summary.within : summary.across;
            const std::string prefix = data.names.empty() ? place.split + " " : "";
            duplicates.push_back({image_name(data, i), prefix + image_name(*place.data, place.image)});
        }
    }

private:
    struct Place {
        const Dataset *data;
        std::string split;
        std::size_t image;
    };
    std::map<Digest, Place> first_;
};

std::vector<double> target_means(const Dataset &data) {
    if (data.has_classes()) return {};
    std::vector<double> means(static_cast<std::size_t>(data.units));
    for (std::size_t i = 0; i < data.targets.size(); ++i) means[i % means.size()] += double(data.targets[i]) / data.size();
    return means;
}

/// `classes`: of all splits.
Summary summarise(const std::string &split, const Dataset &data, std::size_t classes, const std::optional<PictureSizes> &sizes,
                  SeenRecords &records) {
    Summary summary = {split, std::size_t(data.size()), std::vector<std::size_t>(classes), target_means(data), moments_of(data), sizes, {},
                       {}};
    for (const std::uint16_t label : data.labels) ++summary.of_class[label];
    records.add(data, summary);
    return summary;
}

ordered_json to_json(const PictureSizes::Range &range) {
    return {{"min", range.smallest}, {"median", range.median}, {"max", range.largest}};
}

ordered_json to_json(const std::vector<Duplicate> &duplicates) {
    ordered_json out = ordered_json::array();
    for (const Duplicate &duplicate : duplicates) out.push_back({duplicate.image, duplicate.original});
    return out;
}

ordered_json to_json(const Summary &summary) {
    ordered_json out = {{"images", summary.images}};
    if (summary.target_means.empty())
        out["of_class"] = summary.of_class;
    else
        out["target_mean"] = summary.target_means;
    if (summary.sizes) out["sizes"] = {{"height", to_json(summary.sizes->h)}, {"width", to_json(summary.sizes->w)}};
    out["mean"] = out["std"] = ordered_json::array();
    for (const Moments &channel : summary.channels) out["mean"].push_back(channel.mean), out["std"].push_back(channel.deviation);
    out["duplicates"] = {{"within", to_json(summary.within)}, {"across", to_json(summary.across)}};
    return out;
}

void print_duplicates(const std::string &where, const std::vector<Duplicate> &duplicates) {
    if (duplicates.empty()) return;
    fmt::print("  duplicates  {} {}\n", duplicates.size(), where);
    for (const Duplicate &duplicate : std::span(duplicates).first(std::min(listed, duplicates.size())))
        fmt::print("    {} is {}\n", duplicate.image, duplicate.original);
    if (duplicates.size() > listed) fmt::print("    and {} more, which --json lists\n", duplicates.size() - listed);
}

void print_numbers(const char *title, const std::vector<Moments> &channels, double Moments::*number, bool floats) {
    std::string fractions, bytes;
    for (const Moments &channel : channels) {
        fractions += fmt::format(" {:.4f}", channel.*number);
        bytes += fmt::format(" {:.2f}", 255 * (channel.*number));
    }
    fmt::print("  {:<10} {}{}\n", title, fractions, floats ? "" : fmt::format(" of 1,{} of 255", bytes));
}

void print(const Summary &summary, const Dataset &data) {
    fmt::print("{}: {} images\n", summary.split, summary.images);
    if (const auto &sizes = summary.sizes)
        fmt::print("  sizes       {}x{} to {}x{} as files have them (h x w, each by itself), median {}x{}\n", sizes->h.smallest,
                   sizes->w.smallest, sizes->h.largest, sizes->w.largest, sizes->h.median, sizes->w.median);
    print_numbers("mean", summary.channels, &Moments::mean, data.pixels.are_floats());
    print_numbers("deviation", summary.channels, &Moments::deviation, data.pixels.are_floats());
    print_duplicates("within it", summary.within);
    print_duplicates("of images before it", summary.across);
}

/// The names of the classes of all splits, of which one may lack the last ones.
const std::vector<std::string> &class_names_of(const std::map<Split, Dataset> &splits) {
    return std::ranges::max_element(splits, {}, [](const auto &split) { return split.second.classes; })->second.class_names;
}

/// A row a class or a target, a column a split: how many images the one has, or the mean of the other.
void print_answers(const std::vector<std::string> &names, const std::vector<Summary> &summaries) {
    const bool targets = !summaries.front().target_means.empty();
    const char *const what = targets ? "target" : "class";
    const std::size_t rows = targets ? summaries.front().target_means.size() : summaries.front().of_class.size();
    std::size_t width = std::string_view(what).size();
    for (std::size_t row = 0; row < rows; ++row) width = std::max(width, printable(class_name(names, row, what)).size());
    fmt::print("{:<{}}", what, width);
    for (const Summary &summary : summaries) fmt::print("  {:>10}", summary.split);
    for (std::size_t row = 0; row < rows; ++row) {
        fmt::print("\n{:<{}}", printable(class_name(names, row, what)), width);
        for (const Summary &summary : summaries)
            fmt::print("  {:>10}", targets ? fmt::format("{:.4f}", summary.target_means[row]) : fmt::to_string(summary.of_class[row]));
    }
    fmt::print("\n");
}

}  // namespace

int run_data(const halcyon_model &model, const DataCommandOptions &options) {
    DataOptions data_options = options.data;
    data_options.any_classes = !options.data.path.empty();  // what does not fit the model can be looked at all the more
    const ChosenData source = choose_data(data_options, plan_of(model), hardware_threads());
    std::map<Split, Dataset> splits;
    for (const Split split : all_splits)
        if (source.has(split)) splits.emplace(split, source.load(split));
    if (!options.out.empty()) write_array_folder(options.out, splits, source.pictures());

    int classes = 0;
    for (const auto &[split, data] : splits) classes = std::max(classes, data.classes);
    SeenRecords records;
    std::vector<Summary> summaries;
    for (const Split split : all_splits)
        if (splits.contains(split))
            summaries.push_back(
                summarise(name_of(split), splits.at(split), static_cast<std::size_t>(classes), source.sizes(split), records));
    const Dataset &first = splits.begin()->second;
    if (options.json) {
        ordered_json out = {{"data", source.path()},
                            {"description", source.description()},
                            {"shape", {first.h, first.w, first.c}},
                            {first.has_classes() ? "classes" : "targets", class_names_of(splits)}};
        for (const Summary &summary : summaries) out["splits"][summary.split] = to_json(summary);
        out["skipped"] = source.bad_files().size();
        print_json(out);
        return exit_done;
    }
    fmt::print("data      {}\nimages    {}x{}x{} {} as the model takes them\n\n", printable(source.description()), first.h, first.w,
               first.c, first.pixels.are_floats() ? "floats" : "bytes");
    print_answers(class_names_of(splits), summaries);
    for (const Summary &summary : summaries) {
        fmt::print("\n");
        print(summary, first);
    }
    if (!options.out.empty()) fmt::print("\nwritten to {}, which --data takes\n", printable(options.out));
    return exit_done;
}

}  // namespace halcyon
