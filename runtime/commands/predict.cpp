#include "runtime/commands/commands.h"

#include "runtime/checkpoint.h"
#include "runtime/machine.h"
#include "runtime/network.h"
#include "runtime/png.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string>

namespace halcyon {
namespace {

/// Images to predict, with what to call each.
struct Images {
    Dataset data;
    std::vector<std::string> names;
};

Images read_images(const std::vector<std::string> &paths, const Plan &plan) {
    Images images;
    for (const std::string &path : paths) {
        const std::vector<std::uint8_t> record = read_png(path, plan.in_h, plan.in_w, plan.in_c);
        images.data.images.insert(images.data.images.end(), record.begin(), record.end());
    }
    images.data.labels.resize(paths.size());  // unknown; predictions do not depend on them
    images.names = paths;
    return images;
}

Images take_records(const DataSource &source, const RecordRange &records, const Plan &plan) {
    Images images;
    Dataset test = source.load(Split::test, plan);
    if (records.last > test.size())
        throw std::runtime_error(
            fmt::format("--records {}:{}: there are {} test images, 0:{}", records.first, records.last, test.size(), test.size()));
    const std::ptrdiff_t record = std::ptrdiff_t(test.h) * test.w * test.c;
    images.data.images.assign(test.images.begin() + records.first * record, test.images.begin() + records.last * record);
    images.data.labels.assign(test.labels.begin() + records.first, test.labels.begin() + records.last);
    images.data.class_names = test.class_names;
    for (int i = records.first; i < records.last; ++i) images.names.push_back(fmt::format("record {}", i));
    return images;
}

void print_prediction(const std::string &image, std::span<const float> probabilities, const std::vector<std::string> &class_names,
                      bool json) {
    const std::size_t label = static_cast<std::size_t>(std::ranges::max_element(probabilities) - probabilities.begin());
    const std::string name = label < class_names.size() ? class_names[label] : fmt::format("class {}", label);
    if (json)
        fmt::print("{}\n", nlohmann::ordered_json({{"image", image},
                                                   {"label", label},
                                                   {"class", name},
                                                   {"probabilities", std::vector<float>(probabilities.begin(), probabilities.end())}})
                               .dump());
    else
        fmt::print("{}: {} {:.1f} %\n", image, name, 100 * probabilities[label]);
}

}  // namespace

int run_predict(const halcyon_model &model, const PredictOptions &options) {
    Plan plan = plan_of(model);
    const Images images =
        options.records ? take_records(choose_data(options.data), *options.records, plan) : read_images(options.images, plan);
    const int batch = std::min(64, images.data.size());
    const Set &set = choose_set("auto", compiled_sets(plan));
    Network network(model, std::move(plan), set.name, hardware_threads(), batch);
    const int classes = network.plan().classes;
    const std::vector<std::string> trained_names = load_weights(options.weights, network);
    const std::vector<std::string> &class_names = trained_names.empty() ? images.data.class_names : trained_names;

    network.bind_data(images.data.images.data(), images.data.labels.data(), images.data.size());
    std::vector<std::int32_t> records;
    for (int first = 0; first < images.data.size(); first += batch) {
        records.clear();
        for (int i = first; i < std::min(first + batch, images.data.size()); ++i) records.push_back(i);
        network.infer(records);
        for (const std::int32_t i : records)
            print_prediction(images.names[std::size_t(i)], network.probabilities().subspan(std::size_t(i - first) * classes, classes),
                             class_names, options.json);
    }
    return exit_done;
}

}  // namespace halcyon
