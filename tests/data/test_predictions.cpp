#include "runtime/commands/predictions.h"

#include "tests/catch.h"

#include <limits>

using namespace halcyon;

namespace {

const std::vector<float> probabilities = {0.125F, 0.5F, 0.25F, 0.125F};
const std::vector<std::string> names = {"cat", "dog, small", "\"fox\""};  // the fourth class has none
const std::vector<float> not_finite = {0.5F, std::numeric_limits<float>::quiet_NaN(), 0, 0};

}  // namespace

TEST_CASE("A prediction as text has the likeliest classes on one line") {
    PredictionLines lines{PredictionFormat::text, 1, names};
    CHECK(lines.header().empty());
    CHECK(lines.prediction("a\n.png", probabilities) == "a\\n.png: dog, small 50.0 %\n");
    lines.top = 4;
    CHECK(lines.prediction("a.png", probabilities) == "a.png: dog, small 50.0 %, \"fox\" 25.0 %, cat 12.5 %, class 3 12.5 %\n");
    CHECK(lines.prediction("a.png", not_finite) == "a.png: no class, its probabilities are not finite\n");
    CHECK(lines.failure("a.png", "is no picture").empty());
}

TEST_CASE("A prediction as JSON is one object a line") {
    const PredictionLines lines{PredictionFormat::json, 2, names};
    CHECK(lines.header().empty());
    CHECK(lines.prediction("a\xff.png", probabilities) ==
          "{\"image\":\"a\xef\xbf\xbd.png\",\"label\":1,\"class\":\"dog, small\",\"probabilities\":[0.125,0.5,0.25,0.125],\"top\":["
          "{\"label\":1,\"class\":\"dog, small\",\"probability\":0.5},{\"label\":2,\"class\":\"\\\"fox\\\"\",\"probability\":0.25}]}\n");
    CHECK(lines.prediction("a.png", not_finite) ==
          "{\"image\":\"a.png\",\"label\":null,\"class\":null,\"probabilities\":[0.5,null,0.0,0.0],\"top\":[]}\n");
    CHECK(lines.failure("a.png", "is no picture") == "{\"image\":\"a.png\",\"error\":\"is no picture\"}\n");
}

TEST_CASE("A prediction as CSV is a row below a header, quoted where it must be") {
    PredictionLines lines{PredictionFormat::csv, 1, names};
    CHECK(lines.header() == "image,label,class,probability\n");
    CHECK(lines.prediction("a.png", probabilities) == "a.png,1,\"dog, small\",0.5\n");
    CHECK(lines.failure("a,b.png", "is no picture") == "\"a,b.png\",,,\n");
    lines.top = 3;
    CHECK(lines.header() == "image,label,class,probability,label2,class2,probability2,label3,class3,probability3\n");
    CHECK(lines.prediction("a\n\xff.png", probabilities) == "\"a\n\xff.png\",1,\"dog, small\",0.5,2,\"\"\"fox\"\"\",0.25,0,cat,0.125\n");
    CHECK(lines.prediction("a\r.png", not_finite) == "\"a\r.png\",,,,,,,,,\n");
    CHECK(lines.prediction("a.png", std::vector<float>{0.1F, 0.3F, 0.6F})
              .ends_with(",2,\"\"\"fox\"\"\",0.6,1,\"dog, small\",0.3,0,cat,0.1\n"));
}

TEST_CASE("units with labels, and with numbers, have lines of their own") {
    const std::vector<float> predictions = {0.75F, 0.25F, 0.875F};
    PredictionLines lines{PredictionFormat::text, 1, {"indoors", "people"}, 3, true};
    CHECK(lines.prediction("a.png", predictions) == "a.png: unit 2 87.5 %, indoors 75.0 %\n");
    CHECK(lines.prediction("a.png", std::vector<float>(3, 0.5F)) == "a.png: no label\n");
    const std::vector<float> poisoned = {0.75F, std::numeric_limits<float>::quiet_NaN(), 0};
    CHECK(lines.prediction("a.png", poisoned) == "a.png: no label, its probabilities are not finite\n");
    lines.format = PredictionFormat::json;
    CHECK(lines.prediction("a.png", predictions) ==
          "{\"image\":\"a.png\",\"labels\":[\"indoors\",\"unit 2\"],\"probabilities\":[0.75,0.25,0.875]}\n");
    CHECK(lines.prediction("a.png", poisoned) == "{\"image\":\"a.png\",\"labels\":null,\"probabilities\":[0.75,null,0.0]}\n");
    lines.unit_labels = false;
    CHECK(lines.prediction("a.png", predictions) == "{\"image\":\"a.png\",\"predictions\":[0.75,0.25,0.875]}\n");
    lines.format = PredictionFormat::csv;
    CHECK(lines.header() == "image,indoors,people,unit 2\n");
    CHECK(lines.prediction("a.png", predictions) == "a.png,0.75,0.25,0.875\n");
    CHECK(lines.failure("a.png", "") == "a.png,,,\n");
    lines.format = PredictionFormat::text;
    CHECK(lines.prediction("a.png", std::vector<float>{-3, 0.25F, 1e6F}) == "a.png: -3, 0.25, 1e+06\n");
}
