#include "runtime/engine/memory.h"

#include "plan/optimizers.h"
#include "tests/catch.h"
#include "tests/runtime/tiny_model.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

using namespace halcyon;

namespace {

Buffer buffer(Home home, std::int64_t offset, std::int64_t bytes) {
    return Buffer{.name = "b", .type = "float32", .extents = {1}, .home = home, .offset = offset, .bytes = bytes};
}

/// The tiny plan's slabs, and two programs that need the arena differently.
struct SmallMemory {
    Plan plan = with_arena(tests::tiny_plan());
    Session session{1};
    Memory memory;

    static Plan with_arena(Plan plan) {
        plan.sets[0].programs[0].arena_bytes_per_image = 192;
        plan.sets[0].programs[0].arena_bytes_fixed = 64;
        plan.sets[0].programs[3].arena_bytes_per_image = 64;
        plan.sets[0].programs[3].arena_bytes_fixed = 128;
        return plan;
    }

    SmallMemory() : memory(plan, plan.sets[0], 5, session) {}
};

}  // namespace

TEST_CASE("a buffer that grows with the batch lies at its offset times the largest batch") {
    SmallMemory f;
    const std::byte *first = f.memory.place(buffer(Home::arena_batch, 0, 64)).host;
    CHECK(f.memory.place(buffer(Home::arena_batch, 128, 64)).host == first + 5 * 128);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::arena_batch, 128, 65)), std::runtime_error);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::arena_batch, -64, 4)), std::runtime_error);
}

TEST_CASE("a batch is refused that cannot be addressed or has no room, and the message says how many fit") {
    SmallMemory f;
    const auto refusal = [&](int max_batch, std::int64_t available) -> std::string {
        try {
            check_batch(f.plan, f.plan.sets[0], max_batch, available);
        } catch (const std::invalid_argument &error) {
            return error.what();
        }
        return "";
    };
    constexpr std::int64_t all = std::numeric_limits<std::int64_t>::max();
    // The largest buffer of a batch is what is said of each image's augmentation: 60 bytes.
    constexpr int addressable = std::numeric_limits<int>::max() / 60;
    CHECK(refusal(addressable, all) == "");
    CHECK(refusal(addressable + 1, all) == "a batch of 35791395 images is more than the kernels can address: 35791394 images fit");

    const std::int64_t fixed = 128 + (2 + most_optimizer_slots()) * f.plan.parameter_bytes + f.plan.moving_bytes,
                       image = 192 + 8;  // the arena, and what is read
    CHECK(refusal(5, fixed + 5 * image) == "");
    CHECK(refusal(6, fixed + 6 * image - 1) == "a batch of 6 images needs 0.0 MiB of memory, and 0.0 MiB are available: 5 images fit");
    CHECK(refusal(1 << 20, fixed + 5 * image) ==
          "a batch of 1048576 images needs 200.0 MiB of memory, and 0.0 MiB are available: 5 images fit");
    CHECK(refusal(1, 0).ends_with(": 0 images fit"));
    f.plan.sets[0].programs[0].arena_bytes_per_image = all / 2;  // beyond what 64 bits hold of two images
    CHECK(refusal(3, all).ends_with(": 1 images fit"));
    for (const int none : {0, -1}) CHECK(refusal(none, all).ends_with("it must be at least 1"));
    CHECK_THROWS_AS(Memory(f.plan, f.plan.sets[0], 3, f.session), std::invalid_argument);
}

TEST_CASE("other buffers lie at their offset, in the arena of the most demanding program") {
    SmallMemory f;
    const std::byte *first = f.memory.place(buffer(Home::arena_fixed, 0, 64)).host;
    CHECK(f.memory.place(buffer(Home::arena_fixed, 64, 64)).host == first + 64);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::arena_fixed, 64, 65)), std::runtime_error);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::parameters, f.plan.parameter_bytes, 1)), std::runtime_error);
}

TEST_CASE("slabs are aligned and zero; the optimizer has as many like the parameters' as one needs") {
    SmallMemory f;
    for (const Home home : {Home::parameters, Home::gradients, Home::moving, Home::optimizer}) {
        CHECK(reinterpret_cast<std::uintptr_t>(f.memory.slab(home).data()) % 64 == 0);
        CHECK(std::ranges::all_of(f.memory.slab(home), [](float value) { return value == 0; }));
    }
    CHECK(f.memory.slab(Home::parameters).size() * 4 == std::size_t(f.plan.parameter_bytes));
    CHECK(f.memory.slab(Home::optimizer).size() == std::size_t(most_optimizer_slots()) * f.memory.slab(Home::parameters).size());
}

TEST_CASE("external buffers are bound by name, the last binding counts") {
    SmallMemory f;
    const Buffer external = buffer(Home::external, 0, 0);
    CHECK_THROWS_AS(f.memory.place(external), std::runtime_error);
    float one = 0, other = 0;
    f.memory.bind("b", place_of(&one));
    CHECK(f.memory.place(external).host == reinterpret_cast<std::byte *>(&one));
    f.memory.bind("b", place_of(&other));
    CHECK(f.memory.place(external).host == reinterpret_cast<std::byte *>(&other));
}
