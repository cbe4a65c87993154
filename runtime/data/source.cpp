#include "runtime/data/source.h"

#include "runtime/data/cifar10.h"
#include "runtime/data/cifar100.h"
#include "runtime/data/class_folders.h"
#include "runtime/data/file_list.h"
#include "runtime/data/idx.h"
#include "runtime/data/npz.h"
#include "runtime/data/pixel_csv.h"
#include "runtime/data/synthetic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace halcyon {
namespace {

bool is_nothing(const std::filesystem::path &path) { return path.empty(); }

void check_options(const DataRequest &request, const SourceKind &kind) {
    if (request.labels != "fine" && request.labels != "coarse")
        throw std::runtime_error(fmt::format("--labels {}: labels are fine or coarse", request.labels));
    if (!request.images.empty() && kind.open != open_file_list)
        throw std::runtime_error(fmt::format("{}: --images is for lists of pictures, but this is {}", request.path.string(), kind.summary));
    if (request.labels == "coarse" && kind.open != open_cifar100)
        throw std::runtime_error(fmt::format("{}: --labels coarse is for CIFAR-100, but this is {}", request.path.string(), kind.summary));
    if (request.targets > 0 && !request.class_shares && !kind.gives_targets)
        throw std::runtime_error(
            fmt::format("{}: {} gives labels, but the model takes {} targets an image; give an .npz file whose y_train is "
                        "of shape (N, {}), or a list of pictures with a column for each",
                        request.path.empty() ? "no --data" : request.path.string(), kind.name, request.targets, request.targets));
}

constexpr std::array kinds = {
    SourceKind{"synthetic", "nothing named", is_nothing, open_synthetic},
    SourceKind{"cifar10", "a folder with CIFAR-10's binary files", is_cifar10, open_cifar10},
    SourceKind{"cifar100", "a folder with CIFAR-100's binary files", is_cifar100, open_cifar100},
    SourceKind{"idx", "a folder with MNIST's train-images-idx3-ubyte", is_idx, open_idx},
    SourceKind{"npz", "an .npz file with x_train and y_train", is_npz, open_npz, true},
    SourceKind{"npy", "a folder with images.npy and labels.npy", is_npy_folder, open_npy_folder, true},
    SourceKind{"folder", "a folder with a subfolder of pictures for each class", is_class_folders, open_class_folders},
    SourceKind{"list", "a .csv file with a column of pictures' files and one of their classes", is_file_list, open_file_list, true},
    SourceKind{"pixel-csv", "a .csv file with a label and an image's pixels in each row", is_pixel_csv, open_pixel_csv},
};

}  // namespace

std::span<const SourceKind> source_kinds() { return kinds; }

std::unique_ptr<Source> open_source(const DataRequest &request) {
    const std::string path = request.path.string();
    std::error_code error;
    if (!request.path.empty() && !std::filesystem::exists(request.path, error))
        throw std::runtime_error(fmt::format("{}: No such file or directory; give --data what holds your images", path));
    const auto found = std::ranges::find_if(kinds, [&](const SourceKind &kind) {
        return request.format.empty() ? kind.recognises(request.path) : kind.name == request.format;
    });
    if (found != kinds.end()) {
        check_options(request, *found);
        return found->open(request);
    }
    std::vector<std::string> there_are;
    for (const SourceKind &kind : kinds) there_are.push_back(fmt::format("{} ({})", kind.name, kind.summary));
    throw std::runtime_error(
        request.format.empty()
            ? fmt::format("{}: no images are recognised there; known are {}", path, fmt::join(there_are, ", "))
            : fmt::format("--format {}: there is no such format; known are {}", request.format, fmt::join(there_are, ", ")));
}

void check_fits(const Dataset &data, const DataRequest &request, const std::string &source) {
    const bool has_answers = data.units == request.targets || (request.class_shares && data.has_classes());
    const bool fits = has_answers && (request.classes == 0 || data.classes == request.classes);
    if (data.h == request.h && data.w == request.w && data.c == request.c && fits) return;
    const auto answers = [](int classes, int targets) {
        return classes == 0 && targets > 0 ? fmt::format("with {} targets", targets) : fmt::format("in {} classes", classes);
    };
    throw std::runtime_error(fmt::format("{}: images of {}x{}x{} {}, but the model takes {}x{}x{} {}; give other --data, or change the "
                                         "model's input and its last layer (only files of pictures are resized)",
                                         source, data.h, data.w, data.c, answers(data.classes, data.units), request.h, request.w, request.c,
                                         answers(request.classes, request.targets)));
}

}  // namespace halcyon
