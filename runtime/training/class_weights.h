// What a recipe's class_weights come to on the images that are trained on.
#pragma once

#include "runtime/training/recipe.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// The weight of each class, of which there are images_by_class[c] to train on, and which are called `names` (none where they are not
/// known). Without weights in the recipe: none. "balanced": n / (classes * images of the class), n the sum of images, as scikit-learn's
/// compute_class_weight. A list has one a class; an object has those of the classes that it names, and 1 for the others. Throws
/// std::runtime_error where the recipe lists another number of weights, names a class that is none, or balances a class without images.
std::vector<double> class_weights(const Recipe &recipe, std::span<const std::int64_t> images_by_class,
                                  const std::vector<std::string> &names);

/// Of data whose images have targets and no class: none. Throws std::runtime_error where the recipe has some.
std::vector<double> no_class_weights(const Recipe &recipe);

}  // namespace halcyon
