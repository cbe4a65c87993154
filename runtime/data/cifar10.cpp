#include "runtime/data/cifar10.h"

#include "runtime/data/cifar.h"

namespace halcyon {
namespace {

namespace fs = std::filesystem;

constexpr CifarFormat cifar10 = {
    "CIFAR-10", "cifar-10-batches-bin",
    1,          0,
    10,         "get the \"CIFAR-10 binary version\" from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it there",
};

std::vector<std::string> files_of(Split split) {
    if (split == Split::test) return {"test_batch.bin"};
    return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
}

class Cifar10 final : public Source {
public:
    explicit Cifar10(fs::path folder) : folder_(std::move(folder)) {}

    std::string description() const override { return cifar10.name; }
    bool has(Split split) const override { return split != Split::validation; }
    Dataset load(Split split, const DecodingProgress &) override { return load_cifar10(folder_, split); }

private:
    fs::path folder_;
};

}  // namespace

Dataset load_cifar10(const fs::path &folder, Split split) {
    const fs::path inner = cifar_folder(cifar10, folder), names = inner / "batches.meta.txt";
    std::vector<std::string> class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    if (fs::exists(names)) class_names = read_cifar_names(cifar10, names);
    Dataset data = read_cifar(cifar10, inner, files_of(split));
    data.class_names = std::move(class_names);
    return data;
}

bool is_cifar10(const fs::path &folder) {
    std::error_code error;
    return fs::exists(folder / cifar10.folder, error) || fs::exists(folder / "data_batch_1.bin", error) ||
           fs::exists(folder / "test_batch.bin", error);
}

std::unique_ptr<Source> open_cifar10(const DataRequest &request) { return std::make_unique<Cifar10>(request.path); }

}  // namespace halcyon
