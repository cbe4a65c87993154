// What of the command line changes the images of a run. The run remembers it, and its weights remember how pictures are treated.
#pragma once

#include "runtime/data/picture_options.h"

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace halcyon {

struct DataSettings {
    std::string format;            // --format: a kind's name; empty: the first kind that recognises the path
    std::filesystem::path images;  // --images: the folder that the files of a list are relative to; empty: the list's own
    std::string labels = "fine";   // --labels: CIFAR-100's "fine" ones or its "coarse" ones
    PictureOptions pictures;
    bool skip_bad_files = false;  // --skip-bad-files

    bool operator==(const DataSettings &) const = default;
};

/// What the command line and JSON call the ways to treat a picture.
inline constexpr std::array resize_names = {std::pair{std::string_view("pillow"), Resize::pillow},
                                            std::pair{std::string_view("tf"), Resize::tf},
                                            std::pair{std::string_view("nearest"), Resize::nearest}};
inline constexpr std::array fit_names = {std::pair{std::string_view("stretch"), Fit::stretch},
                                         std::pair{std::string_view("crop"), Fit::crop}, std::pair{std::string_view("pad"), Fit::pad}};
inline constexpr std::array alpha_names = {std::pair{std::string_view("drop"), Alpha::drop},
                                           std::pair{std::string_view("white"), Alpha::white}};

/// {"resize": "pillow", "fit": "stretch", "alpha": "drop", "apply_exif": false}
std::string to_json(const PictureOptions &options);

/// The same keys behind "format", "images", "labels" and "skip_bad_files": each is the option's name without its dashes. What is not given
/// is null.
std::string to_json(const DataSettings &settings);

/// Read what to_json() wrote; `where` stands for it in messages. Throw std::runtime_error, one line that names the key, where one is
/// unknown, of another type or has another value. Keys that are absent have the default.
PictureOptions parse_picture_options(std::string_view text, const std::string &where);
DataSettings parse_data_settings(std::string_view text, const std::string &where);

/// Where an option of the command line ("--resize") sets another value than a run has: "the run has tf"; "" for other options, and where
/// it does not.
std::string changed_setting(const std::string &option, const DataSettings &given, const DataSettings &run);

}  // namespace halcyon
