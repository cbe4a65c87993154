// How good predictions are, class by class: what scikit-learn's classification_report, confusion_matrix, top_k_accuracy_score and
// roc_auc_score make of the labels and the probabilities.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace halcyon {

/// Whether none is NaN or infinite. Of predictions that are not, nothing can be said.
bool all_finite(std::span<const float> values);

/// In 0..1, of a class or means over classes.
struct Scores {
    double precision = 0, recall = 0, f1 = 0;
};

/// What divides by zero counts as 0, as with scikit-learn's zero_division=0: the precision of a class that no image was taken for, the
/// recall of one without images, and the F1 of one with neither.
struct ClassScores : Scores {
    std::int64_t images = 0, predicted = 0;  // whose class it is, and which were taken for it
};

/// How likely an image is said to have a label, and whether it does.
struct ProbabilityOf {
    float probability = 0;
    bool has = false;
};

/// The predictions of images whose classes are known. An image is taken for its likeliest class; of equally likely ones the first stands
/// before the others.
class Predictions {
public:
    explicit Predictions(int classes) : classes_(static_cast<std::size_t>(classes)) {}

    /// An image of the class `label`, below the number of the classes.
    void add(std::uint16_t label, std::span<const float> probabilities);

    /// Whether all probabilities are finite: else the rest says nothing.
    bool are_finite() const { return finite_; }

    /// The share of images whose class is among their `k` likeliest ones; 0 images have none.
    double top_accuracy(int k) const;

    std::vector<ClassScores> by_class() const;

    /// The images of each class (a row) that were taken for each class (a column), row-major.
    std::vector<std::int64_t> confusion() const;

    /// Of two classes, the area under the ROC curve: how often an image of class 1 has a larger probability of it than one of class 0,
    /// where equal ones count half. Nothing where a class has no images.
    std::optional<double> auc() const;

private:
    struct Prediction {
        std::uint16_t label, predicted;
        std::uint16_t before;  // classes that stand before the label's
        float last;            // the probability of the last class
    };

    std::size_t classes_;
    std::vector<Prediction> predictions_;
    bool finite_ = true;
};

/// The predictions of images whose units have a label each, scikit-learn's of a matrix of them. Both a label, which may be a share, and a
/// probability say yes where they are above 1/2. To be taken for several labels is to count in several rows.
class UnitPredictions {
public:
    explicit UnitPredictions(int units) : units_(static_cast<std::size_t>(units)) {}

    /// An image with the labels and the probabilities of its units.
    void add(std::span<const float> labels, std::span<const float> probabilities);

    /// Whether all probabilities are finite: else the rest says nothing.
    bool are_finite() const { return finite_; }

    std::vector<ClassScores> by_unit() const;

    /// Of each unit, the area under the ROC curve; nothing where all images have the label, or none.
    std::vector<std::optional<double>> aucs() const;

private:
    std::size_t units_;
    std::vector<ProbabilityOf> of_units_;  // those of an image side by side
    bool finite_ = true;
};

/// How far off what units make is from the targets.
class UnitErrors {
public:
    explicit UnitErrors(int units) : sums_(static_cast<std::size_t>(units)) {}

    void add(std::span<const float> targets, std::span<const float> predicted);

    struct Errors {
        double mean_absolute = 0, root_mean_squared = 0;
    };
    std::vector<Errors> by_unit() const;

private:
    struct Sums {
        double absolute = 0, squared = 0;
    };
    std::vector<Sums> sums_;
    std::size_t images_ = 0;
};

/// The mean over classes, each as much as any other, or by its images.
Scores macro_mean(std::span<const ClassScores> classes);
Scores weighted_mean(std::span<const ClassScores> classes);

}  // namespace halcyon
