// Decoded pictures on the disk: plain .npy files that numpy opens and that are mapped, so that a set may be larger than the memory.
//
//     <folder>/classes.json               the names of the classes, a list
//     <folder>/pictures.json              how pictures became records
//     <folder>/train/images.npy           bytes (n, h, w, c)
//     <folder>/train/labels.npy           16 bits (n)
//     <folder>/train/manifest.json        how many pictures there are, their sizes before, and which were skipped
//
// and validation/ and test/ likewise.
#pragma once

#include "runtime/data/picture_decoding.h"
#include "runtime/data/pixels.h"

#include <filesystem>
#include <string>

namespace halcyon {

/// The name of a set's folder in a cache: it depends on the path, the size and the time of each file, on its label, on the records' shape,
/// on the options, and on what decodes pictures and lays them out.
std::string cache_key(const PictureSet &set, const DataRequest &request);

/// A split's pictures.
struct DecodedPictures {
    Pixels pixels;
    DecodingReport report;
    std::string note;  // "" or what a person should know
};

class PictureCache {
public:
    /// `folder` is the set's own; it need not be there.
    PictureCache(std::filesystem::path folder, std::vector<std::string> class_names);

    const std::filesystem::path &folder() const { return folder_; }

    /// The pictures of a split, from here where they are, else decoded and left here for the next time. What is damaged here is made anew.
    /// Pictures that are skipped are left out where `skip_bad_files` allows it, else nothing is left and the pixels are none. Several
    /// processes may do the same at once. Throws std::runtime_error, one line that names the folder, where that cannot be written: nothing
    /// is left of it then.
    DecodedPictures load(Split split, const DecodingJob &job, bool skip_bad_files, const DecodingProgress &progress) const;

private:
    std::filesystem::path folder_;
    std::vector<std::string> class_names_;
};

/// Writes images that are decoded already into a new folder of this form, which appears at once: `splits` and their images; the names of
/// the classes where they are more than numbers, and `pictures` where they were pictures. Throws std::runtime_error, one line that names
/// the folder, where there is one that holds anything already, or it cannot be written.
void write_array_folder(const std::filesystem::path &folder, const std::map<Split, Dataset> &splits,
                        const std::optional<PictureOptions> &pictures);

}  // namespace halcyon
