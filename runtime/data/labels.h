// What sources whose labels are numbers share.
#pragma once

#include "runtime/data/dataset.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// "0", "1", …: the names of classes that have none.
std::vector<std::string> numbered_classes(int classes);

/// Gives `data` its labels, `classes` classes (the model's), and their numbers for names. Where `classes` is 0 there are as many as the
/// labels need. Throws std::runtime_error, one line that begins with `source`, for a label that is no class.
void set_labels(Dataset &data, std::span<const std::int64_t> labels, int classes, const std::string &source);

/// Gives `data` its targets, `units` an image, and the units their numbers for names. Throws std::runtime_error, one line that begins with
/// `source` and names the image, for a target that is not finite, or not from 0 to 1 where `are_labels`.
void set_targets(Dataset &data, std::vector<float> targets, int units, bool are_labels, const std::string &source);

/// The same of shares of the classes. An image's label is the class of its first largest share.
void set_class_shares(Dataset &data, std::vector<float> shares, int classes, const std::string &source);

/// Throws std::runtime_error, one line that begins with `source`, where there are no images, where they are more than can be numbered, or
/// where this machine has no room for their bytes.
void check_room(const std::string &source, std::size_t images, std::size_t bytes);

/// Gives `data` its images' size. Throws std::runtime_error, one line that begins with `source`, for an image without pixels and for one
/// that is too large.
void set_size(Dataset &data, std::size_t h, std::size_t w, std::size_t c, const std::string &source);

/// Throws std::runtime_error, one line that begins with `source` and names the image, where one has a value that is NaN or infinite.
void check_finite(const Dataset &data, const std::string &source);

}  // namespace halcyon
