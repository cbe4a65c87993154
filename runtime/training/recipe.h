// How a network is trained, apart from what it is: models/recipes/*.json, read at run time. models/recipes/recipe.schema.json describes
// every key.
#pragma once

#include "plan/optimizers.h"
#include "plan/plan.h"
#include "runtime/engine/update_options.h"
#include "runtime/training/augment.h"
#include "runtime/training/learning_rate.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace halcyon {

/// An optimizer by its name, its settings in the order of its row (plan/optimizers.h), and what any can have. Keras's Adam with Keras's
/// numbers.
struct OptimizerSettings {
    std::string name = "adam";
    std::vector<double> settings = standard_settings(find_optimizer("adam"));
    UpdateOptions options = {};
};

/// One rate for every dropout layer, or one a layer in the model's order.
using Dropout = std::variant<double, std::vector<double>>;

/// What an epoch is judged by: the "loss" or "accuracy" of its training, or the "val_loss" or "val_accuracy" of its validation. Lower
/// losses and higher accuracies are better. An epoch is better than another where it is so by more than min_delta.
struct Monitor {
    std::string name = "val_loss";
    double min_delta = 0;
};

/// Training ends after an epoch that is the last of `patience` that were not better than the best before them, as by Keras's EarlyStopping
/// (with restore_best_weights: the best epoch's are kept). A patience of 0 is one of 1.
struct EarlyStopping {
    Monitor monitor;
    int patience = 0;
};

/// The learning rate is multiplied by `factor`, down to `min`, after `patience` epochs that were not better than the best before them; the
/// `cooldown` epochs that follow do not count. Keras's ReduceLROnPlateau and its defaults.
struct ReduceOnPlateau {
    Monitor monitor = {.min_delta = 1e-4};
    double factor = 0.1;
    int patience = 10;
    int cooldown = 0;
    double min = 0;
};

/// What the loss of an image is multiplied by in training, by its class; see runtime/training/class_weights.h.
struct BalancedClasses {};
using ClassWeights = std::variant<std::monostate, BalancedClasses, std::vector<double>, std::map<std::string, double>>;

/// The most epochs of a run and images of a batch.
constexpr int largest_count = 1'000'000;

struct Recipe {
    std::string name;
    OptimizerSettings optimizer;
    LearningRate learning_rate;
    int epochs = 10;
    int batch = 64;
    std::optional<Dropout> dropout;  // none: each layer's own rate
    double flip = 0;                 // the probability with which an image is mirrored left to right, in [0, 1]
    Augmentation augment;
    ClassWeights class_weights;
    std::optional<EarlyStopping> early_stopping;
    std::optional<ReduceOnPlateau> reduce_on_plateau;  // with the schedule "constant" alone
};

/// A built-in recipe by its name, or one from a file. Throws std::runtime_error, one line that names the recipe or the file, and the key.
Recipe load_recipe(const std::string &name_or_path);

/// Reads a recipe from JSON text; `where` stands for it in messages. Keys that are absent keep the defaults above.
Recipe parse_recipe(std::string_view text, const std::string &where);

/// The JSON that parse_recipe() reads back as an equal recipe.
std::string to_json(const Recipe &recipe);

/// The names of the built-in recipes, in alphabetical order.
std::vector<std::string> recipe_names();

/// The rate of each of the plan's dropout layers: the recipe's, or its own where that gives none. Throws std::runtime_error where the
/// recipe lists another number of rates.
std::vector<double> dropout_rates(const Recipe &recipe, const Plan &plan);

}  // namespace halcyon
