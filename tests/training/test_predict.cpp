#include "runtime/data/picture.h"
#include "runtime/engine/random.h"
#include "runtime/training/picture_report.h"
#include "runtime/weights/safetensors.h"
#include "tests/training/workplace.h"

#include <cmath>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;
using namespace std::string_literals;

namespace {

/// Weights for someone to spoil.
struct Weights {
    std::map<std::string, std::vector<float>> values;
    std::map<std::string, std::vector<std::int64_t>> shapes;

    Weights() {
        const auto network = make_network();
        network->initialize(1);
        for (const Parameter &parameter : network->plan().parameters) {
            const std::span<const float> weight = network->weight(parameter);
            values[parameter.name].assign(weight.begin(), weight.end());
            shapes[parameter.name] = {parameter.shape.begin(), parameter.shape.end()};
        }
    }

    TensorViews views() const {
        TensorViews tensors;
        for (const auto &[name, floats] : values) tensors[name] = view_floats(floats, shapes.at(name));
        return tensors;
    }

    void write(const fs::path &path, const Metadata &metadata = {}) const { write_safetensors(path, views(), metadata); }
};

/// Runs a line of the shell in which $cifar10 is the program; returns its exit code and what it left in `err`.
int shell(const fs::path &err, const std::string &command) {
    const std::string program = "cifar10='" CIFAR10_PROGRAM "'; ";
    return WEXITSTATUS(std::system((program + "{ " + command + "; } 2> '" + err.string() + "'").c_str()));
}

std::size_t count_lines(const std::string &text) { return std::size_t(std::ranges::count(text, '\n')); }

}  // namespace

TEST_CASE("weights that are not finite are named wherever weights are read") {
    const Workplace work;
    write_png(work.folder / "a.png", 32);
    Weights weights;
    weights.values["conv2d_1/bias"][3] = std::nanf("");
    weights.values["conv2d_1/bias"][4] = -INFINITY;
    weights.write(work.weights);
    const std::vector<std::string> line = {work.weights, "\"conv2d_1/bias\"", "1 NaN, 1 infinite"};
    CHECK(not_refused(cifar10({"evaluate", "--weights", work.weights, "--data", work.data}), 1, line) == "");
    CHECK(not_refused(cifar10({"evaluate", "--weights", work.weights, "--data", work.data, "--json"}), 1, line) == "");
    CHECK(not_refused(cifar10({"predict", "--weights", work.weights, work.folder / "a.png"}), 1, line) == "");
    CHECK(not_refused(cifar10({"predict", "--weights", work.weights, work.folder / "a.png", "--json"}), 1, line) == "");
    CHECK(not_refused(cifar10(work.train + Arguments{"--out", work.run, "--init", work.weights}), 1, line) == "");
    CHECK(!fs::exists(work.run));
    CHECK(cifar10({"evaluate", "--weights", work.weights, "--data", work.data, "--allow-nonfinite"}).exit_code == 0);

    Weights negative;
    negative.values["batch_normalization_2/moving_variance"][0] = -1e-3F;
    negative.write(work.weights);
    CHECK(not_refused(cifar10({"evaluate", "--weights", work.weights, "--data", work.data}), 1,
                      {work.weights, "\"batch_normalization_2/moving_variance\"", "1 negative"}) == "");
}

TEST_CASE("results that are not finite are no results") {
    const Workplace work;
    write_png(work.folder / "a.png", 32);
    Weights weights;  // finite, but their sums are not
    std::ranges::fill(weights.values["dense_1/kernel"], 3e38F);
    std::ranges::fill(weights.values["dense/bias"], 3e38F);
    weights.write(work.weights);
    const Arguments evaluate = {"evaluate", "--weights", work.weights, "--data", work.data};
    const Arguments predict = {"predict", "--weights", work.weights, work.folder / "a.png"};
    const Arguments as_json = {"--json"}, allowed = {"--allow-nonfinite"};
    CHECK(not_refused(cifar10(evaluate), 1, {work.weights, "not finite"}) == "");
    CHECK(not_refused(cifar10(evaluate + as_json), 1, {work.weights, "not finite"}) == "");
    CHECK(not_refused(cifar10(predict), 1, {work.weights, "a.png", "not finite"}) == "");

    const Result failed = cifar10(predict + as_json);
    CHECK(failed.exit_code == 1);
    CHECK(json::parse(failed.out).contains("error"));
    CHECK(!json::parse(failed.out).contains("probabilities"));

    const json evaluation = json::parse(cifar10(evaluate + as_json + allowed).out);
    CHECK(evaluation.at("loss").is_null());
    CHECK(!evaluation.contains("classes"));
    CHECK(cifar10(evaluate + allowed).out.find("no scores by class") != std::string::npos);
    const json prediction = json::parse(cifar10(predict + as_json + allowed).out);
    CHECK(prediction.at("label").is_null());
    CHECK(prediction.at("class").is_null());
    CHECK(cifar10(predict + allowed).out.find("no class") != std::string::npos);
}

TEST_CASE("weights of other widths are converted, and it is said") {
    const Workplace work;
    const Weights weights;
    weights.write(work.weights);
    const Arguments evaluate = {"evaluate", "--json", "--data", work.data, "--weights"};
    const Result single = cifar10(evaluate + Arguments{work.weights});
    CHECK(single.err.empty());

    std::map<std::string, std::vector<double>> doubles;
    TensorViews views = weights.views();
    for (auto &[name, view] : views) {
        doubles[name].assign(weights.values.at(name).begin(), weights.values.at(name).end());
        view.type = DType::f64;
        view.bytes = std::as_bytes(std::span(doubles[name]));
    }
    write_safetensors(work.weights, views, {});
    const Result converted = cifar10(evaluate + Arguments{work.weights});
    CHECK(converted.exit_code == 0);
    CHECK(converted.out == single.out);
    CHECK(converted.err == "cifar10: " + work.weights + ": weights of type F64 are converted to float32\n");

    doubles["dense/bias"][0] = 1e300;
    write_safetensors(work.weights, views, {});
    CHECK(not_refused(cifar10(evaluate + Arguments{work.weights}), 1, {work.weights, "\"dense/bias\"", "1 too large for float32"}) == "");
}

TEST_CASE("the names of classes in a file of weights are as many as the model's") {
    const Workplace work;
    const auto [classes, reason] = GENERATE(table<std::string, std::string>({
        {R"(["cat","dog"])", "2 names, but the model cifar10 has 10"},
        {R"(["","b","c","d","e","f","g","h","i","j"])", "an empty name"},
        {R"([1,2,3,4,5,6,7,8,9,10])", "no list of names"},
        {R"({"a":"b"})", "no list of names"},
        {"[", "no list of names"},
    }));
    Weights().write(work.weights, {{"classes", classes}});
    CHECK(not_refused(cifar10({"evaluate", "--weights", work.weights, "--data", work.data}), 1, {work.weights, "\"classes\"", reason}) ==
          "");
}

TEST_CASE("an empty name is no name") {
    const auto arguments =
        GENERATE(as<Arguments>(), Arguments{"train", "--data", ""}, Arguments{"train", "--out", ""}, Arguments{"train", "--init", ""},
                 Arguments{"train", "--resume", ""}, Arguments{"evaluate", "--weights", ""},
                 Arguments{"evaluate", "--weights", "w", "--data", ""}, Arguments{"predict", "--weights", "w", ""});
    CHECK(not_refused(cifar10(arguments), 2, {"must not be empty"}) == "");
}

TEST_CASE("an image that cannot be predicted does not keep the others from it") {
    const Workplace work;
    write_weights(work.weights);
    write_png(work.folder / "a.png", 32);
    write_bytes(work.folder / "bad.png", read_bytes(work.folder / "a.png").substr(0, 60));
    mkfifo((work.folder / "pipe").c_str(), 0600);
    const std::string good = work.folder / "a.png", bad = work.folder / "bad.png";
    const Arguments predict = {"predict", "--weights", work.weights, good, bad, work.folder / "none.png", work.folder / "pipe", good};
    const Result text = cifar10(predict), objects = cifar10(predict + Arguments{"--json"});
    CHECK(text.exit_code == 1);
    CHECK(count_lines(text.out) == 2);
    for (const char *line : {"bad.png: is a truncated PNG", "none.png: cannot be read: No such file", "pipe: is no regular file"})
        CHECK(text.err.find(line) != std::string::npos);
    CHECK(count_lines(text.err) == 3);

    CHECK(objects.exit_code == 1);
    CHECK(objects.err == text.err);
    const std::vector<json> lines = lines_of(objects.out);
    REQUIRE(lines.size() == 5);
    for (const std::size_t i : {0U, 4U}) {
        CHECK(lines[i].at("image") == good);
        CHECK(lines[i].at("probabilities") == lines[0].at("probabilities"));
    }
    CHECK(lines[1].at("image") == bad);
    for (const std::size_t i : {1U, 2U, 3U}) {
        CHECK(lines[i].at("error").is_string());
        CHECK(!lines[i].contains("label"));
    }
}

TEST_CASE("more images than a batch are predicted in their order") {
    const Workplace work;
    write_weights(work.weights);
    write_png(work.folder / "a.png", 32);
    Arguments predict = {"predict", "--weights", work.weights, "--json"};
    for (int i = 0; i < 150; ++i) predict.push_back(i % 70 == 3 ? work.folder / ("none" + std::to_string(i)) : work.folder / "a.png");
    const Result result = cifar10(predict);
    CHECK(result.exit_code == 1);
    const std::vector<json> lines = lines_of(result.out);
    REQUIRE(lines.size() == 150);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        CHECK(lines[i].at("image") == predict[i + 4]);
        CHECK(lines[i].contains("error") == (i % 70 == 3));
    }
}

TEST_CASE("pictures of other sizes are predicted, in folders and by patterns too") {
    const Workplace work;
    write_weights(work.weights);
    fs::create_directories(work.folder / "photos/deep");
    write_png(work.folder / "photos/b.png", 32);
    write_png(work.folder / "photos/a.png", 300);
    write_png(work.folder / "photos/deep/c.png", 1);
    write_bytes(work.folder / "photos/notes.txt", "no picture");
    fs::create_directories(work.folder / "empty");
    const std::string photos = work.folder / "photos", a = photos + "/a.png", b = photos + "/b.png", c = photos + "/deep/c.png";

    const Arguments predict = {"predict", "--weights", work.weights, "--json"};
    const Result result = cifar10(predict + Arguments{photos, photos + "/*.png", work.folder / "empty"});
    CHECK(result.exit_code == 1);
    CHECK(one_line_with(result.err.substr(0, result.err.size() - 1), {"empty: there are no pictures in this folder"}));
    const std::vector<json> lines = lines_of(result.out);
    REQUIRE(lines.size() == 6);
    const std::vector<std::string> paths = {a, b, c, a, b, work.folder / "empty"};
    for (std::size_t i = 0; i < lines.size(); ++i) CHECK(lines[i].at("image") == paths[i]);
    // Each is of one colour, whatever its size, and the network sees the same; a single image has kernels of its own.
    for (std::size_t i = 1; i < 5; ++i) CHECK(lines[i].at("probabilities") == lines[0].at("probabilities"));
    CHECK(lines_of(cifar10(predict + Arguments{a}).out)[0].at("label") == lines[0].at("label"));
}

TEST_CASE("pictures are treated as the weights say that training did") {
    const Workplace work;
    const auto network = make_network();
    network->initialize(1);
    Picture noise{64, 48, 3, std::vector<std::uint8_t>(std::size_t(64 * 48 * 3))};
    for (std::size_t i = 0; i < noise.pixels.size(); ++i) noise.pixels[i] = std::uint8_t(philox2x32({std::uint32_t(i), 0}, 1)[0]);
    write_picture(work.folder / "noise.png", noise);
    const auto probabilities = [&](const std::string &image) {
        return lines_of(cifar10({"predict", "--weights", work.weights, "--json", work.folder / image}).out)[0].at("probabilities");
    };
    json of_default;
    for (const PictureOptions &options : {PictureOptions{}, PictureOptions{Resize::nearest, Fit::pad, Alpha::drop, false}}) {
        save_weights(work.weights, *network, {.pictures = options});
        write_picture(work.folder / "small.png", fit_picture(noise, 32, 32, options));
        CHECK(probabilities("noise.png") == probabilities("small.png"));
        CHECK(probabilities("noise.png") != of_default);
        of_default = probabilities("noise.png");
    }
    save_weights(work.weights, *network, {});
    CHECK(probabilities("noise.png") != of_default);
}

TEST_CASE("the likeliest classes are printed as text, JSON and CSV") {
    const Workplace work;
    Weights weights;
    std::ranges::fill(weights.values["dense_1/kernel"], 0.0F);
    std::ranges::fill(weights.values["dense_1/bias"], 0.0F);
    weights.values["dense_1/bias"][3] = 2;
    weights.values["dense_1/bias"][5] = 1;
    weights.write(work.weights, {{"classes", R"(["a","b","c","cat, big","e","dog","g","h","i","j"])"}});
    const std::string image = work.folder / "x.png", none = work.folder / "none.png";
    write_png(image, 32);
    const Arguments predict = {"predict", "--weights", work.weights, image, none, "--top", "3"};
    const Result text = cifar10(predict), objects = cifar10(predict + Arguments{"--json"}), table = cifar10(predict + Arguments{"--csv"});
    // e^2 / (e^2 + e + 8) and e / that; of the others the first.
    CHECK(text.out == image + ": cat, big 40.8 %, dog 15.0 %, a 5.5 %\n");

    const json top = lines_of(objects.out).at(0).at("top");
    REQUIRE(top.size() == 3);
    CHECK(top[0].at("label") == 3);
    CHECK(top[1].at("class") == "dog");
    CHECK(top[2].at("probability").get<double>() == Approx(0.0552).epsilon(0.01));

    const std::size_t first = table.out.find('\n') + 1;
    CHECK(table.out.substr(0, first) == "image,label,class,probability,label2,class2,probability2,label3,class3,probability3\n");
    CHECK(table.out.substr(first).starts_with(image + ",3,\"cat, big\",0.40"));
    CHECK(table.out.ends_with("\n" + none + ",,,,,,,,,\n"));
    CHECK(table.exit_code == 1);
}

TEST_CASE("names of any bytes are printed on one line, and as JSON") {
    const Workplace work;
    const std::string names = R"(["a\u001b[31m","b\nb","c","d","e","f","g","h","i","j"])";
    Weights weights;
    std::ranges::fill(weights.values["dense_1/bias"], 0.0F);
    weights.values["dense_1/bias"][1] = 50;
    weights.write(work.weights, {{"classes", names}});
    const std::string image = work.folder / "a\n\xff.png", bad = work.folder / "no\xfe\n.png";
    write_png(image, 32);
    const Arguments predict = {"predict", "--weights", work.weights, image, bad};
    const Result text = cifar10(predict), objects = cifar10(predict + Arguments{"--json"});
    CHECK(text.exit_code == 1);
    CHECK(count_lines(text.out) == 1);
    CHECK(text.out.find("a\\n\\xff.png: b\\nb ") != std::string::npos);
    CHECK(text.err.find("no\\xfe\\n.png: cannot be read") != std::string::npos);
    const std::vector<json> lines = lines_of(objects.out);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].at("class") == "b\nb");
    CHECK(lines[0].at("image").get<std::string>().ends_with("/a\n\xef\xbf\xbd.png"));  // U+FFFD
    CHECK(lines[1].at("error").get<std::string>().find("no\\xfe\\n.png") != std::string::npos);
}

TEST_CASE("output that cannot be written is a failure") {
    const Workplace work;
    write_weights(work.weights);
    write_png(work.folder / "a.png", 32);
    const std::string predict = "predict --weights '" + work.weights + "' '" + (work.folder / "a.png").string() + "'";
    const std::string evaluate = "evaluate --weights '" + work.weights + "' --data '" + work.data + "'";
    const std::string err = work.folder / "err", fifo = work.folder / "fifo";
    mkfifo(fifo.c_str(), 0600);
    for (const std::string &command : {predict, predict + " --json", evaluate, evaluate + " --json", "summary"s, "summary --json"s,
                                       "schedules"s, "schedules --json"s, "--help"s, "train --help"s}) {
        CAPTURE(command);
        CHECK(shell(err, "\"$cifar10\" " + command + " > /dev/full") == 1);
        CHECK(read_bytes(err) == "cifar10: standard output cannot be written: No space left on device\n");
        CHECK(shell(err, "\"$cifar10\" " + command + " >&-") == 1);
        CHECK(read_bytes(err) == "cifar10: standard output cannot be written: Bad file descriptor\n");
        // The reader of the pipe is gone before the program begins to write.
        CHECK(shell(err, "(cat > /dev/null; \"$cifar10\" " + command + "; echo $? > '" + err + ".code') < '" + fifo + "' | echo > '" +
                             fifo + "'") == 0);
        CHECK(read_bytes(err) == "cifar10: standard output cannot be written: Broken pipe\n");
        CHECK(read_bytes(err + ".code") == "1\n");
    }
}
