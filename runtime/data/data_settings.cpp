#include "runtime/data/data_settings.h"

#include "plan/json.h"
#include "runtime/training/section.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

template<typename Names, typename Value>
std::string name_of(const Names &names, Value value) {
    return std::string(std::ranges::find(names, value, [](const auto &named) { return named.second; })->first);
}

template<typename Names, typename Value>
void read_name(Section &section, const char *key, const Names &names, Value &value) {
    if (!section.find(key)) return;
    std::vector<std::string> choices;
    for (const auto &named : names) choices.emplace_back(named.first);
    std::string name;
    section.choice(key, name, choices);
    value = std::ranges::find(names, name, [](const auto &named) { return named.first; })->second;
}

ordered_json pictures_to_json(const PictureOptions &options) {
    return {{"resize", name_of(resize_names, options.resize)},
            {"fit", name_of(fit_names, options.fit)},
            {"alpha", name_of(alpha_names, options.alpha)},
            {"apply_exif", options.apply_exif}};
}

void read_pictures(Section &section, PictureOptions &options) {
    read_name(section, "resize", resize_names, options.resize);
    read_name(section, "fit", fit_names, options.fit);
    read_name(section, "alpha", alpha_names, options.alpha);
    section.flag("apply_exif", options.apply_exif);
}

ordered_json text_or_null(const std::string &text) { return text.empty() ? ordered_json(nullptr) : ordered_json(text); }

void read_text_or_null(Section &section, const char *key, std::string &text) {
    if (const nlohmann::json *value = section.find(key); value && !value->is_null()) section.text(key, text);
}

}  // namespace

std::string to_json(const PictureOptions &options) { return pictures_to_json(options).dump(); }

std::string to_json(const DataSettings &settings) {
    ordered_json out = {{"format", text_or_null(settings.format)},
                        {"images", text_or_null(settings.images.string())},
                        {"labels", settings.labels},
                        {"skip_bad_files", settings.skip_bad_files}};
    out.update(pictures_to_json(settings.pictures));
    return out.dump();
}

std::string changed_setting(const std::string &option, const DataSettings &given, const DataSettings &run) {
    std::string key = option.substr(option.find_first_not_of('-'));
    std::ranges::replace(key, '-', '_');
    const auto a = nlohmann::json::parse(to_json(given)), b = nlohmann::json::parse(to_json(run));
    return !a.contains(key) || a.at(key) == b.at(key) ? "" : fmt::format("the run has {}", short_json(b.at(key)));
}

PictureOptions parse_picture_options(std::string_view text, const std::string &where) {
    const nlohmann::json values = parse_json(text, where);
    Section section(values, "", where);
    PictureOptions options;
    read_pictures(section, options);
    section.refuse_unknown();
    return options;
}

DataSettings parse_data_settings(std::string_view text, const std::string &where) {
    const nlohmann::json values = parse_json(text, where);
    Section section(values, "", where);
    DataSettings settings;
    read_text_or_null(section, "format", settings.format);
    std::string images;
    read_text_or_null(section, "images", images);
    settings.images = images;
    if (section.find("labels")) section.choice("labels", settings.labels, {"fine", "coarse"});
    section.flag("skip_bad_files", settings.skip_bad_files);
    read_pictures(section, settings.pictures);
    section.refuse_unknown();
    return settings;
}

}  // namespace halcyon
