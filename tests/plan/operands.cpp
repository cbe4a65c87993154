// The operands of a call.
#include "compiler/graph.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

using namespace halcyon;

TEST_CASE("operands are found by name") {
    Operands operands = {{"input", 7}, {"weights", 3}};
    CHECK(operands["input"] == 7);
    CHECK(operands["weights"] == 3);
    CHECK(operands.contains("weights"));
    CHECK_FALSE(operands.contains("bias"));
    CHECK(operands.holds(7));
    CHECK_FALSE(operands.holds(4));

    operands.insert("bias", 4);
    operands.replace("weights", 9);
    CHECK(operands == Operands{{"bias", 4}, {"weights", 9}, {"input", 7}});
    CHECK_FALSE(operands == Operands{{"bias", 4}, {"weights", 7}, {"input", 9}});
    CHECK_FALSE(operands == Operands{{"weights", 9}, {"input", 7}});
}

TEST_CASE("an operand that is not there, or there already, is named") {
    Operands operands = {{"input", 7}, {"weights", 3}};
    CHECK_THROWS_AS(operands["bias"], std::logic_error);
    CHECK(failure_of([&] { operands["bias"]; }) == "there is no operand \"bias\"; there are input, weights");
    CHECK(failure_of([&] { operands.replace("bias", 1); }) == "there is no operand \"bias\"; there are input, weights");
    CHECK(failure_of([&] { operands.insert("input", 8); }) == "the operand \"input\" cannot be the values 7 and 8");
    CHECK(failure_of([] { Operands{{"a", 1}, {"a", 2}}; }) == "the operand \"a\" cannot be the values 1 and 2");
    operands.insert("input", 7);
    CHECK(operands == Operands{{"input", 7}, {"weights", 3}});
}

TEST_CASE("a call reads what its core and its links read") {
    const Operation call{"conv2d_fwd",
                         "c",
                         {},
                         {{"input", 0}, {"weights", 1}, {"bias", 2}},
                         {{"output", 5}},
                         {{"output", {{"add", {{"addend", 3}}}, {"mask", {{"of", 4}}}}}, {"input", {{"add", {{"addend", 0}}}}}}};
    std::vector<int> values = call.values_read();
    std::ranges::sort(values);
    CHECK(values == std::vector<int>{0, 0, 1, 2, 3, 4});
    for (const int value : values) CHECK(call.reads(value));
    CHECK_FALSE(call.reads(5));
    CHECK(call.chain("output").size() == 2);
    CHECK(call.chain("bias").empty());
}
