#include "runtime/data/cifar100.h"

#include "runtime/data/cifar.h"
#include "runtime/data/labels.h"

#include <fmt/format.h>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

constexpr const char *name = "CIFAR-100", *folder_name = "cifar-100-binary";
constexpr const char *where_to_get_it =
    "get the \"CIFAR-100 binary version\" from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it there";

constexpr CifarFormat coarse = {name, folder_name, 2, 0, 20, where_to_get_it};
constexpr CifarFormat fine = {name, folder_name, 2, 1, 100, where_to_get_it};

class Cifar100 final : public Source {
public:
    Cifar100(fs::path folder, std::string labels) : folder_(std::move(folder)), labels_(std::move(labels)) {}

    std::string description() const override { return fmt::format("{}, the {} {} labels", name, format().classes, labels_); }
    bool has(Split split) const override { return split != Split::validation; }

    Dataset load(Split split, const DecodingProgress &) override {
        const fs::path inner = cifar_folder(format(), folder_), names = inner / (labels_ + "_label_names.txt");
        std::vector<std::string> class_names = fs::exists(names) ? read_cifar_names(format(), names) : numbered_classes(format().classes);
        Dataset data = read_cifar(format(), inner, {split == Split::test ? "test.bin" : "train.bin"});
        data.class_names = std::move(class_names);
        return data;
    }

private:
    const CifarFormat &format() const { return labels_ == "coarse" ? coarse : fine; }

    fs::path folder_;
    std::string labels_;
};

}  // namespace

bool is_cifar100(const fs::path &folder) {
    std::error_code error;
    return fs::exists(folder / folder_name, error) || (fs::exists(folder / "train.bin", error) && fs::exists(folder / "test.bin", error));
}

std::unique_ptr<Source> open_cifar100(const DataRequest &request) { return std::make_unique<Cifar100>(request.path, request.labels); }

}  // namespace halcyon
