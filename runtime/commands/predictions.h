// What `predict` prints of each image: a line of text, of JSON, or of CSV.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace halcyon {

enum class PredictionFormat { text, json, csv };

/// How predictions are printed. All lines end with a line break.
///
/// text: "cat.jpg: cat 98.1 %, dog 1.2 %"
///
/// json: one object, {"image", "label", "class", "probabilities", "top"}: of the likeliest class its number, from 0, and its name; the
/// probabilities of all classes in their order; and "top", the `top` likeliest ones, each {"label", "class", "probability"}. It is UTF-8:
/// other bytes of a name become U+FFFD. An image that has failed is {"image", "error"}.
///
/// csv: a row image,label,class,probability, and for each further one of the `top` classes label2,class2,probability2 and so on; the first
/// line has these names. Fields with commas, quotes or line breaks are quoted (RFC 4180); lines end with "\n", and names keep their bytes.
/// Of an image that has failed all fields but the first are empty.
///
/// Where the units of the model have targets, an image has no class. text: the labels whose probability is above 1/2, the likeliest first,
/// "cat.jpg: indoors 98.1 %, table 71.2 %"; or the numbers, "cat.jpg: 0.25, -3". json: {"image", "labels", "probabilities"}, or {"image",
/// "predictions"}. csv: a row of the image and the numbers of all units, whose names the first line has.
///
/// Equally likely classes stand in their order. Where a probability is not finite there is no class: null, or empty fields.
struct PredictionLines {
    PredictionFormat format = PredictionFormat::text;
    int top = 1;                           // 1 .. the classes
    std::vector<std::string> class_names;  // of some of the classes; others are called "class 3", and units "unit 3"
    int units = 0;                         // that have targets; 0: there are classes
    bool unit_labels = false;              // whether those are labels

    /// What the numbers of an image are.
    const char *made() const { return units > 0 && !unit_labels ? "predictions" : "probabilities"; }

    /// The first line; "" where there is none.
    std::string header() const;

    std::string prediction(const std::string &image, std::span<const float> predictions) const;

    /// Of an image that has failed; "" in text, which the error's line is enough for.
    std::string failure(const std::string &image, const std::string &error) const;
};

}  // namespace halcyon
