// A model made by hand: kernels in plain C++ and a plan for them, so that executor and network are tested without the compiler. An image is
// two pixels x[0], x[1]; score[k] = sum over c of x[c] * kernel[c][k] + bias[k]; the loss is the score of the label; an image is correct
// when its label's score is the larger. gamma is there to be initialised. The moving mean becomes the batch's mean of x.
#pragma once

#include "plan/plan.h"
#include "runtime/model.h"

#include <string>
#include <vector>

namespace halcyon::tests {

/// The plan, for one set named "reference".
Plan tiny_plan();

/// A pixel at which tiny_input fails with the message "a pixel of 255".
constexpr int poisoned_pixel = 255;

/// A model's library: owns the text of its plan and the table of its kernels.
struct TinyModel {
    explicit TinyModel(const Plan &plan = tiny_plan());

    std::string text;
    std::vector<halcyon_kernel> kernels;

    halcyon_model library() const;
};

}  // namespace halcyon::tests
