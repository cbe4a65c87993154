#include "runtime/engine/session.h"

#include "tests/catch.h"

#include <HalideRuntime.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

using namespace halcyon;

TEST_CASE("a session keeps the first message until it is taken") {
    Session session(1);
    CHECK(session.take_error().empty());
    session.report("the cause\n");
    session.report("what follows");
    CHECK(session.take_error() == "the cause");
    CHECK(session.take_error().empty());
    session.report("the next");
    CHECK(session.take_error() == "the next");
}

TEST_CASE("Halide's runtime reports to the session, not to its own handler") {
    // Halide's own halide_error aborts the process; its out-of-memory check calls whichever is linked.
    Session one(1), other(1);
    CHECK(halide_error_out_of_memory(&one) != 0);
    CHECK(!one.take_error().empty());
    CHECK(other.take_error().empty());
    CHECK(halide_error_out_of_memory(nullptr) != 0);
}

TEST_CASE("kernels' memory is aligned and counted by session") {
    Session session(1);
    std::vector<void *> blocks;
    for (const std::size_t bytes : {1, 63, 64, 65, 100'000}) {
        blocks.push_back(halide_malloc(&session, bytes));
        REQUIRE(blocks.back());
        CHECK(reinterpret_cast<std::uintptr_t>(blocks.back()) % 64 == 0);
    }
    CHECK(session.allocations() == 5);
    for (void *block : blocks) halide_free(&session, block);
    CHECK(session.allocations() == 5);

    void *without_session = halide_malloc(nullptr, 10);
    REQUIRE(without_session);
    halide_free(nullptr, without_session);
}

namespace {

struct Visits {
    std::vector<int> order;  // only written by serial loops
    std::atomic<int> count = 0;
};

int visit(void *user_context, int index, std::uint8_t *closure) {
    auto &visits = *reinterpret_cast<Visits *>(closure);
    if (!user_context) visits.order.push_back(index);
    ++visits.count;
    return index == 5 ? 42 : 0;
}

}  // namespace

TEST_CASE("kernels' loops run on the session's threads") {
    Session session(3);
    Visits visits;
    CHECK(halide_do_par_for(&session, visit, 3, 100, reinterpret_cast<std::uint8_t *>(&visits)) == 42);
    CHECK(visits.count == 100);
}

TEST_CASE("a session records loops and their tasks while it is asked to") {
    for (const int threads : {1, 3}) {
        Session session(threads);
        Visits visits;
        std::vector<int> tasks;
        const auto loop = [&](int size) { halide_do_par_for(&session, visit, 0, size, reinterpret_cast<std::uint8_t *>(&visits)); };
        loop(2);
        session.record_loops(&tasks);
        loop(36);
        loop(4);
        session.record_loops(nullptr);
        loop(2);
        CHECK(tasks == std::vector<int>{36, 4});
    }
}

TEST_CASE("without a session loops are serial and stop at an error") {
    Visits visits;
    CHECK(halide_do_par_for(nullptr, visit, 3, 100, reinterpret_cast<std::uint8_t *>(&visits)) == 42);
    CHECK(visits.order == std::vector<int>{3, 4, 5});
}
