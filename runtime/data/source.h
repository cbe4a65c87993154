// Where labelled images come from: one file for each kind of source, and one row in the list (source.cpp).
#pragma once

#include "runtime/data/data_settings.h"
#include "runtime/data/dataset.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// What the command line says of the data, and the images that the model takes.
struct DataRequest : DataSettings {
    std::filesystem::path path;   // --data; empty: the synthetic set
    std::filesystem::path cache;  // --cache: the folder of the decoded pictures; empty: the default one, and only where they do not fit
                                  // into memory
    int threads = 1;
    int h = 0, w = 0, c = 0;    // the model's
    int classes = 0;            // the model's; 0: however many there are
    int targets = 0;            // the model's: numbers an image; 0: it takes labels alone
    bool unit_labels = false;   // whether these are labels of units, from 0 to 1
    bool class_shares = false;  // whether these are shares of its classes, from 0 to 1, for which a label does as well
};

/// A file that is left out, and why.
struct BadFile {
    std::string path, reason;
};

/// The heights and widths of pictures as their files have them.
struct PictureSizes {
    struct Range {
        int smallest = 0, median = 0, largest = 0;
    };
    Range h, w;
};

/// Told how many of a split's pictures are decoded, at most every 100 ms or so, by one thread at a time.
using DecodingProgress = std::function<void(std::size_t done, std::size_t all)>;

/// Labelled images that were found. What is wrong with them throws std::runtime_error: one line that names the file and says what to do.
class Source {
public:
    virtual ~Source() = default;

    /// What the data was taken for: "class folders, 5 classes, with val/".
    virtual std::string description() const = 0;

    /// Whether it comes with images of this split. Every source has those to train on.
    virtual bool has(Split split) const = 0;

    /// The images of a split that it has: of the size, the channels and the number of classes that were asked for.
    virtual Dataset load(Split split, const DecodingProgress &progress) = 0;

    /// The files that load() could not read so far: left out where skip_bad_files allows it; else load() throws.
    virtual std::vector<BadFile> bad_files() const { return {}; }

    /// What a person should know of what the last load() gave: lines without their ends.
    virtual std::vector<std::string> notes() const { return {}; }

    /// How pictures became these images, where they did and that is known.
    virtual std::optional<PictureOptions> pictures() const { return std::nullopt; }

    /// The sizes of a split's pictures, where it comes from files of them and is loaded.
    virtual std::optional<PictureSizes> sizes(Split) const { return std::nullopt; }
};

struct SourceKind {
    std::string_view name;     // what --format calls it: "folder"
    std::string_view summary;  // what it looks like, for messages: "a folder with a subfolder of pictures for each class"
    bool (*recognises)(const std::filesystem::path &path);
    std::unique_ptr<Source> (*open)(const DataRequest &request);
    bool gives_targets = false;  // where the model takes such; else images have labels alone
};

/// Every kind, in the order in which they are asked whether they recognise a path.
std::span<const SourceKind> source_kinds();

/// The source that `request` names. Throws std::runtime_error where the path is not there, or no kind recognises it.
std::unique_ptr<Source> open_source(const DataRequest &request);

/// Throws std::runtime_error where the model takes other images than these, or another number of classes or targets than there are.
/// `source` stands for them in the message.
void check_fits(const Dataset &data, const DataRequest &request, const std::string &source);

}  // namespace halcyon
