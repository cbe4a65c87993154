#include "runtime/data/labels.h"

#include "plan/errors.h"
#include "plan/metric.h"
#include "runtime/engine/machine.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace halcyon {
namespace {

constexpr std::int64_t most_classes = 65536;  // labels have 16 bits

}  // namespace

std::vector<std::string> numbered_classes(int classes) {
    std::vector<std::string> names;
    for (int i = 0; i < classes; ++i) names.push_back(std::to_string(i));
    return names;
}

void set_labels(Dataset &data, std::span<const std::int64_t> labels, int classes, const std::string &source) {
    const std::int64_t most = classes > 0 ? classes : most_classes;
    const auto wrong = std::ranges::find_if(labels, [&](std::int64_t label) { return label < 0 || label >= most; });
    if (wrong != labels.end()) {
        const std::ptrdiff_t image = wrong - labels.begin();
        if (*wrong < 0 || *wrong >= most_classes)
            fail_for(source, fmt::format("image {} has the label {}; labels are numbers from 0 to {}", image, *wrong, most_classes - 1));
        fail_for(source,
                 fmt::format("image {} has the label {}, but the model's {} classes are 0 to {}; number the labels from 0, or give the "
                             "model as many classes as there are",
                             image, *wrong, classes, classes - 1));
    }
    data.labels.assign(labels.begin(), labels.end());
    data.classes = classes > 0 ? classes : labels.empty() ? 0 : static_cast<int>(std::ranges::max(labels)) + 1;
    data.class_names = numbered_classes(data.classes);
}

void set_targets(Dataset &data, std::vector<float> targets, int units, bool are_labels, const std::string &source) {
    const auto wrong = std::ranges::find_if(targets, [&](float target) { return !is_target(target, are_labels); });
    if (wrong != targets.end())
        fail_for(source, fmt::format("image {} has the target {}; targets are {}", (wrong - targets.begin()) / units, *wrong,
                                     are_labels ? "labels from 0 to 1" : "finite numbers"));
    data.targets = std::move(targets);
    data.units = units;
    data.class_names = numbered_classes(units);
}

void set_class_shares(Dataset &data, std::vector<float> shares, int classes, const std::string &source) {
    set_targets(data, std::move(shares), classes, true, source);
    data.classes = classes;
    for (int i = 0; i < data.size(); ++i) {
        const std::span<const float> of_image = data.targets_of(i);
        data.labels.push_back(static_cast<std::uint16_t>(std::ranges::max_element(of_image) - of_image.begin()));
    }
}

void check_room(const std::string &source, std::size_t images, std::size_t bytes) {
    if (images == 0) fail_for(source, "holds no images");
    if (images > static_cast<std::size_t>(std::numeric_limits<int>::max()) || std::cmp_greater(bytes, available_memory()))
        fail_for(source, fmt::format("{} images are too many for this machine's memory", images));
}

void set_size(Dataset &data, std::size_t h, std::size_t w, std::size_t c, const std::string &source) {
    constexpr std::size_t most_values = std::numeric_limits<int>::max();
    if (h == 0 || w == 0 || c == 0) fail_for(source, fmt::format("its images are {}x{}x{}: they have no pixels", h, w, c));
    if (h > most_values || w > most_values / h || c > most_values / h / w)
        fail_for(source, fmt::format("its images are {}x{}x{}: no network takes so large ones", h, w, c));
    data.h = static_cast<int>(h);
    data.w = static_cast<int>(w);
    data.c = static_cast<int>(c);
}

void check_finite(const Dataset &data, const std::string &source) {
    const std::span<const float> values = data.pixels.floats();
    const auto wrong = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
    if (wrong == values.end()) return;
    fail_for(source,
             fmt::format("image {} holds a value that is {}; leave it out, or mend it with numpy.nan_to_num",
                         static_cast<std::size_t>(wrong - values.begin()) / data.record_values(), std::isnan(*wrong) ? "NaN" : "infinite"));
}

}  // namespace halcyon
