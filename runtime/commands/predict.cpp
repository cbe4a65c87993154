#include "runtime/commands/commands.h"

#include "plan/errors.h"
#include "plan/text.h"
#include "runtime/data/picture.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/weights/checkpoint.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace halcyon {
namespace {

/// Images to predict: what to call each, and how to get it, which throws std::runtime_error where it cannot be had.
struct Images {
    std::vector<std::string> names;
    std::function<std::vector<std::uint8_t>(std::size_t image)> read;
    std::vector<std::string> class_names;  // empty where they are not known
};

Images name_images(const std::vector<std::string> &paths, const Plan &plan) {
    return {paths,
            [&paths, h = plan.in_h, w = plan.in_w, c = plan.in_c](std::size_t image) {
                return read_picture(paths[image], h, w, c, PictureOptions{}).pixels;
            },
            {}};
}

Images take_records(const ChosenData &source, const RecordRange &records) {
    auto test = std::make_shared<const Dataset>(source.load(Split::test));
    if (records.last > test->size())
        throw std::runtime_error(
            fmt::format("--records {}:{}: there are {} test images, 0:{}", records.first, records.last, test->size(), test->size()));
    Images images;
    images.class_names = test->class_names;
    for (int i = records.first; i < records.last; ++i) images.names.push_back(fmt::format("record {}", i));
    images.read = [test, first = std::size_t(records.first)](std::size_t image) {
        const std::size_t bytes = std::size_t(test->h) * test->w * test->c;
        const std::span<const std::uint8_t> record = test->pixels.bytes().subspan((first + image) * bytes, bytes);
        return std::vector<std::uint8_t>(record.begin(), record.end());
    };
    return images;
}

bool is_finite(std::span<const float> values) {
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

void print_prediction(const std::string &image, std::span<const float> probabilities, const std::vector<std::string> &class_names,
                      bool json) {
    const auto label = static_cast<std::size_t>(std::ranges::max_element(probabilities) - probabilities.begin());
    const std::string name = label < class_names.size() ? class_names[label] : fmt::format("class {}", label);
    const bool finite = is_finite(probabilities);
    if (json) {
        nlohmann::ordered_json line = {{"image", image},
                                       {"label", label},
                                       {"class", name},
                                       {"probabilities", std::vector<float>(probabilities.begin(), probabilities.end())}};
        if (!finite) line["label"] = line["class"] = nullptr;
        print_json(line);
    } else if (finite) {
        fmt::print("{}: {} {:.1f} %\n", printable(image), printable(name), 100 * probabilities[label]);
    } else {
        fmt::print("{}: no class, its probabilities are not finite\n", printable(image));
    }
}

/// Some of the images: the records of those that could be read side by side, and what is wrong with the others.
struct Batch {
    std::vector<std::uint8_t> records;
    std::vector<std::uint16_t> labels;  // unknown; predictions do not depend on them
    std::vector<std::string> failures;  // one an image; "" where it could be read

    Batch(const Images &images, std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) {
            failures.emplace_back();
            try {
                const std::vector<std::uint8_t> record = images.read(i);
                records.insert(records.end(), record.begin(), record.end());
                labels.push_back(0);
            } catch (const std::runtime_error &error) {
                failures.back() = error.what();
            }
        }
    }
};

/// The classes' probabilities of each image that could be read, one after the other.
std::span<const float> infer(Network &network, const Batch &batch) {
    if (batch.labels.empty()) return {};
    network.bind_data(batch.records, batch.labels);
    std::vector<std::int32_t> records(batch.labels.size());
    std::iota(records.begin(), records.end(), 0);
    network.infer(records);
    return network.probabilities();
}

}  // namespace

int run_predict(const halcyon_model &model, const PredictOptions &options) {
    Plan plan = plan_of(model);
    const Images images = options.records ? take_records(choose_data(options.data, plan, hardware_threads()), *options.records)
                                          : name_images(options.images, plan);
    const std::size_t count = images.names.size(), most = std::min<std::size_t>(64, count);
    const Set &set = choose_set("auto", compiled_sets(plan));
    Network network(model, std::move(plan), set.name, hardware_threads(), static_cast<int>(most));
    const auto classes = static_cast<std::size_t>(network.plan().classes);
    const std::vector<std::string> trained_names =
        load_named_weights(options.weights, network, options.allow_nonfinite ? NonfiniteWeights::allowed : NonfiniteWeights::refused);
    const std::vector<std::string> &class_names = trained_names.empty() ? images.class_names : trained_names;

    // An image that cannot be predicted does not keep the others from it.
    int code = exit_done;
    const auto give_up = [&](const std::string &image, const std::string &failure) {
        const std::runtime_error error(failure);
        report(model.name, error);
        if (options.json) print_json({{"image", image}, {"error", message_of(error)}});
        code = exit_failed;
    };
    for (std::size_t first = 0; first < count; first += most) {
        const Batch batch(images, first, std::min(first + most, count));
        std::span<const float> rest = infer(network, batch);
        for (std::size_t i = 0; i < batch.failures.size(); ++i) {
            const std::string &image = images.names[first + i];
            if (!batch.failures[i].empty()) {
                give_up(image, batch.failures[i]);
                continue;
            }
            const std::span<const float> probabilities = rest.first(classes);
            rest = rest.subspan(classes);
            if (is_finite(probabilities) || options.allow_nonfinite)
                print_prediction(image, probabilities, class_names, options.json);
            else
                give_up(image, fmt::format("{}: its probabilities are not finite; train the weights in {} anew, with a lower learning rate",
                                           image, options.weights));
        }
    }
    return code;
}

}  // namespace halcyon
