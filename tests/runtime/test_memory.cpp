#include "runtime/memory.h"

#include "tests/catch.h"
#include "tests/runtime/tiny_model.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

using namespace halcyon;

namespace {

Buffer buffer(Home home, std::int64_t offset, std::int64_t bytes) {
    return Buffer{.name = "b", .type = "float32", .extents = {1}, .home = home, .offset = offset, .bytes = bytes};
}

/// The tiny plan's slabs, and two programs that need the arena differently.
struct Fixture {
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

    Fixture() : memory(plan, plan.sets[0], 5, session) {}
};

}  // namespace

TEST_CASE("a buffer that grows with the batch lies at its offset times the largest batch") {
    Fixture f;
    const std::byte *first = f.memory.place(buffer(Home::arena_batch, 0, 64)).host;
    CHECK(f.memory.place(buffer(Home::arena_batch, 128, 64)).host == first + 5 * 128);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::arena_batch, 128, 65)), std::runtime_error);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::arena_batch, -64, 4)), std::runtime_error);
}

TEST_CASE("other buffers lie at their offset, in the arena of the most demanding program") {
    Fixture f;
    const std::byte *first = f.memory.place(buffer(Home::arena_fixed, 0, 64)).host;
    CHECK(f.memory.place(buffer(Home::arena_fixed, 64, 64)).host == first + 64);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::arena_fixed, 64, 65)), std::runtime_error);
    CHECK_THROWS_AS(f.memory.place(buffer(Home::parameters, f.plan.parameter_bytes, 1)), std::runtime_error);
}

TEST_CASE("slabs are aligned and zero; the optimizer has two like the parameters'") {
    Fixture f;
    for (const Home home : {Home::parameters, Home::gradients, Home::moving, Home::optimizer}) {
        CHECK(reinterpret_cast<std::uintptr_t>(f.memory.slab(home).data()) % 64 == 0);
        CHECK(std::ranges::all_of(f.memory.slab(home), [](float value) { return value == 0; }));
    }
    CHECK(f.memory.slab(Home::parameters).size() * 4 == std::size_t(f.plan.parameter_bytes));
    CHECK(f.memory.slab(Home::optimizer).size() == 2 * f.memory.slab(Home::parameters).size());
}

TEST_CASE("external buffers are bound by name, the last binding counts") {
    Fixture f;
    const Buffer external = buffer(Home::external, 0, 0);
    CHECK_THROWS_AS(f.memory.place(external), std::runtime_error);
    float one = 0, other = 0;
    f.memory.bind("b", place_of(&one));
    CHECK(f.memory.place(external).host == reinterpret_cast<std::byte *>(&one));
    f.memory.bind("b", place_of(&other));
    CHECK(f.memory.place(external).host == reinterpret_cast<std::byte *>(&other));
}
