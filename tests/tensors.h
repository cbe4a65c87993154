// The values of tensors in files that stand beside tests.
#pragma once

#include "runtime/weights/safetensors.h"

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// Those of one tensor, which holds Values. Throws std::out_of_range where the file has none of that name.
template<typename Value>
std::vector<Value> tensor_values(const TensorFile &file, const std::string &name) {
    const std::span<const std::byte> bytes = file.tensors.at(name).bytes;
    std::vector<Value> values(bytes.size() / sizeof(Value));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

}  // namespace halcyon
