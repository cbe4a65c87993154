// Images as rows of a CSV file: sign-language MNIST, digit-recognizer, Fashion-MNIST's CSV, FER2013.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

// A row is a label and an image's h * w * c values, (h, w, c) with the channel innermost; how they are arranged the model says. The label
// stands in the column that is called label, labels, class, target, y or emotion, else in the first. Values that are all whole numbers from
// 0 to 255 become bytes, others float32.
//
// In FER2013's form the values stand in one column, "pixels", with spaces between them, and a column "Usage" may say what is trained on:
// Training, PublicTest (validation) or PrivateTest (test).
//
// A folder has X_train.csv (or train.csv) and X_test.csv; a test file without labels is passed over.

bool is_pixel_csv(const std::filesystem::path &path);
std::unique_ptr<Source> open_pixel_csv(const DataRequest &request);

}  // namespace halcyon
