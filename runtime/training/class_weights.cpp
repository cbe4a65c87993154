#include "runtime/training/class_weights.h"

#include "plan/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>
#include <stdexcept>

namespace halcyon {
namespace {

std::vector<double> balanced(const Recipe &recipe, std::span<const std::int64_t> images_by_class, const std::vector<std::string> &names) {
    const auto images = std::accumulate(images_by_class.begin(), images_by_class.end(), std::int64_t{0});
    std::vector<double> weights;
    for (std::size_t c = 0; c < images_by_class.size(); ++c) {
        if (images_by_class[c] == 0)
            throw std::runtime_error(fmt::format(
                "recipe {}: class_weights balances the classes, but class {} ({}) has none of the {} images that are trained on",
                printable(recipe.name), c, c < names.size() ? printable(names[c]) : "without a name", images));
        weights.push_back(double(images) / (double(images_by_class.size()) * double(images_by_class[c])));
    }
    return weights;
}

std::vector<double> by_name(const Recipe &recipe, const std::map<std::string, double> &given, std::size_t classes,
                            const std::vector<std::string> &names) {
    std::vector<double> weights(classes, 1.0);
    for (const auto &[name, weight] : given) {
        const auto found = std::ranges::find(names, name);
        if (found == names.end())
            throw std::runtime_error(fmt::format("recipe {}: class_weights names {}, which is none of the data's classes ({})",
                                                 printable(recipe.name), printable(name),
                                                 printable(fmt::format("{}", fmt::join(names, ", ")))));
        weights[std::size_t(found - names.begin())] = weight;
    }
    return weights;
}

}  // namespace

std::vector<double> class_weights(const Recipe &recipe, std::span<const std::int64_t> images_by_class,
                                  const std::vector<std::string> &names) {
    const std::size_t classes = images_by_class.size();
    if (std::holds_alternative<std::monostate>(recipe.class_weights)) return {};
    if (std::holds_alternative<BalancedClasses>(recipe.class_weights)) return balanced(recipe, images_by_class, names);
    if (const auto *given = std::get_if<std::map<std::string, double>>(&recipe.class_weights))
        return by_name(recipe, *given, classes, names);
    const auto &weights = std::get<std::vector<double>>(recipe.class_weights);
    if (weights.size() != classes)
        throw std::runtime_error(fmt::format("recipe {}: {} class weights, but the model has {} classes; list one a class",
                                             printable(recipe.name), weights.size(), classes));
    return weights;
}

std::vector<double> no_class_weights(const Recipe &recipe) {
    if (!std::holds_alternative<std::monostate>(recipe.class_weights))
        throw std::runtime_error(
            fmt::format("recipe {}: class_weights weigh classes, but the model's images have targets and no class; leave "
                        "them out",
                        printable(recipe.name)));
    return {};
}

}  // namespace halcyon
