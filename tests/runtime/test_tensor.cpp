#include "runtime/engine/tensor.h"

#include "tests/catch.h"

#include <stdexcept>
#include <vector>

using namespace halcyon;

namespace {

std::vector<int> strides_of(Tensor &tensor) {
    std::vector<int> strides;
    for (int d = 0; d < tensor.get()->dimensions; ++d) strides.push_back(tensor.get()->dim[d].stride);
    return strides;
}

std::vector<int> extents_of(Tensor &tensor) {
    std::vector<int> extents;
    for (int d = 0; d < tensor.get()->dimensions; ++d) extents.push_back(tensor.get()->dim[d].extent);
    return extents;
}

Buffer buffer(std::string type, std::vector<int> extents) {
    return Buffer{.name = "b", .type = std::move(type), .extents = std::move(extents)};
}

}  // namespace

TEST_CASE("activations have the strides of the set's storage order") {
    const Buffer activations = buffer("float32", {5, 3, 2, batch_extent});  // (c, x, y, n)
    float memory = 0;
    const int batch = GENERATE(1, 7);
    Tensor hwnc(activations, StorageOrder::hwnc, place_of(&memory), batch);
    Tensor nhwc(activations, StorageOrder::nhwc, place_of(&memory), batch);
    CHECK(extents_of(hwnc) == std::vector<int>{5, 3, 2, batch});
    CHECK(extents_of(nhwc) == std::vector<int>{5, 3, 2, batch});
    CHECK(strides_of(hwnc) == std::vector<int>{1, batch * 5, 3 * batch * 5, 5});
    CHECK(strides_of(nhwc) == std::vector<int>{1, 5, 3 * 5, 2 * 3 * 5});
    CHECK(hwnc.get()->host == reinterpret_cast<std::uint8_t *>(&memory));
    CHECK(hwnc.get()->type == halide_type_of<float>());
}

TEST_CASE("all other buffers are dense as listed") {
    const StorageOrder order = GENERATE(StorageOrder::hwnc, StorageOrder::nhwc);
    std::uint8_t memory = 0;
    Tensor weights(buffer("float32", {5, 3, 2, 4}), order, place_of(&memory), 7);
    CHECK(strides_of(weights) == std::vector<int>{1, 5, 15, 30});
    Tensor images(buffer("uint8", {4, 3, 2, records_extent}), order, place_of(&memory), 7, 100);
    CHECK(strides_of(images) == std::vector<int>{1, 4, 12, 24});
    CHECK(extents_of(images) == std::vector<int>{4, 3, 2, 100});
    Tensor probabilities(buffer("float32", {10, batch_extent}), order, place_of(&memory), 7);
    CHECK(strides_of(probabilities) == std::vector<int>{1, 10});
}

TEST_CASE("buffers have Halide's types") {
    CHECK(halide_type("float32") == halide_type_of<float>());
    CHECK(halide_type("int32") == halide_type_of<std::int32_t>());
    CHECK(halide_type("uint32") == halide_type_of<std::uint32_t>());
    CHECK(halide_type("uint8") == halide_type_of<std::uint8_t>());
    CHECK_THROWS_AS(halide_type("float64"), std::invalid_argument);
}

TEST_CASE("sizes are counted in 64 bits, and what Halide cannot address is refused") {
    const Buffer large = buffer("float32", {1 << 10, 1 << 10, 1 << 10, batch_extent});
    CHECK(elements_of(large, 64) == std::int64_t{1} << 36);
    CHECK(bytes_of(large, 64) == std::int64_t{1} << 38);
    CHECK_THROWS_AS(Tensor(large, StorageOrder::hwnc, Address{}, 64), std::invalid_argument);
    CHECK_THROWS_AS(Tensor(buffer("uint8", {1 << 10, 1 << 10, 1 << 11}), StorageOrder::hwnc, Address{}, 1), std::invalid_argument);
    // Of a data set's images the kernels of the host can.
    const Buffer records = buffer("uint8", {1 << 10, 1 << 10, 1 << 8, records_extent});
    Tensor images(records, StorageOrder::hwnc, Address{}, 1, 100);
    CHECK(strides_of(images) == std::vector<int>{1, 1 << 10, 1 << 20, 1 << 28});
    CHECK_THROWS_AS(Tensor(buffer("uint8", {1, 1, 1, 1, 1, 1}), StorageOrder::hwnc, Address{}, 1), std::invalid_argument);
}
