#include "runtime/data/npy.h"
#include "runtime/weights/safetensors.h"
#include "tests/training/workplace.h"

#include <cmath>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A PNG of one colour.
void write_flat(const fs::path &path, std::uint8_t red, unsigned h, unsigned w) {
    fs::create_directories(path.parent_path());
    std::vector<std::uint8_t> pixels;
    for (unsigned i = 0; i < h * w; ++i) pixels.insert(pixels.end(), {red, 51, 0});
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = w;
    image.height = h;
    image.format = PNG_FORMAT_RGB;
    REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr));
}

/// Class folders for the program cifar10: 30 pictures to train on, 10 to validate and 10 to test on, of several sizes.
struct Photos {
    TemporaryFolder folder;
    std::string data = folder / "photos", run = folder / "run", cache = folder / "cache";
    Arguments train = {"train", "--data", data, "--epochs", "2", "--batch", "16", "--threads", "2", "--out", run};

    Photos() {
        for (int label = 0; label < 10; ++label) {
            const std::string name = "class " + std::to_string(label);
            for (int i = 0; i < 3; ++i)
                write_flat(fs::path(data) / "train" / name / (std::to_string(i) + ".png"), std::uint8_t(20 * label + i),
                           20 + 10 * unsigned(i), 40);
            write_flat(fs::path(data) / "val" / name / "v.png", std::uint8_t(20 * label + 5), 32, 32);
            write_flat(fs::path(data) / "test" / name / "t.png", std::uint8_t(20 * label + 6), 32, 32);
        }
    }
};

/// Twenty images, two of each class, as NumPy's arrays of these values.
template<typename Value>
void write_arrays(const fs::path &folder, const std::string &type) {
    const std::vector<std::size_t> images = {20, 32, 32, 3}, labels = {20};
    std::vector<Value> values(20 * 32 * 32 * 3);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<Value>(i % 199 / (type == "|u1" ? 1.0 : 199.0));
    std::vector<std::uint8_t> classes;
    for (int i = 0; i < 20; ++i) classes.push_back(std::uint8_t(i % 10));
    fs::create_directories(folder);
    write_bytes(folder / "images.npy",
                npy_header(type, images) + std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(Value)));
    write_bytes(folder / "labels.npy", npy_header("|u1", labels) + std::string(classes.begin(), classes.end()));
}

std::vector<std::string> lines_in(const std::string &text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

json metrics_of(const std::string &run) {
    std::vector<json> lines = lines_of(read_bytes(fs::path(run) / "metrics.jsonl"));
    for (json &line : lines) {
        line.erase("seconds");
        line.erase("images_per_second");
    }
    return lines;
}

}  // namespace

TEST_CASE("Class folders train, from memory and from a cache to the same bits") {
    const Photos photos;
    const Result result = cifar10(photos.train);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    CHECK(lines_in(result.out)[0] ==
          "data      " + photos.data + ": class folders, 10 classes, with val/ and test/ (--data), 30 training images, 10 test images");
    CHECK(!fs::exists(fs::path(photos.run) / "skipped.txt"));

    Arguments cached = photos.train + Arguments{"--cache", photos.cache};
    cached.at(cached.size() - 3) = photos.folder / "cached";
    for (int i = 0; i < 2; ++i) {  // made, and found
        fs::remove_all(photos.folder / "cached");
        CHECK(cifar10(cached).exit_code == 0);
        CHECK(metrics_of(photos.folder / "cached") == metrics_of(photos.run));
    }
    const Result evaluated = cifar10({"evaluate", "--weights", photos.run + "/best.safetensors", "--data", photos.data, "--json"});
    CHECK(json::parse(evaluated.out).at("images") == 10);
    CHECK(
        cifar10({"predict", "--weights", photos.run + "/best.safetensors", "--data", photos.data, "--records", "0:3"}).out.find("class ") !=
        std::string::npos);
}

TEST_CASE("How pictures are treated is remembered by the run and by its weights") {
    const Photos photos;
    REQUIRE(cifar10(photos.train + Arguments{"--resize", "nearest", "--fit", "pad"}).exit_code == 0);
    const json settings = json::parse(read_bytes(fs::path(photos.run) / "config.json")).at("data_settings");
    CHECK(settings.at("resize") == "nearest");
    CHECK(settings.at("fit") == "pad");
    CHECK(settings.at("alpha") == "drop");
    for (const char *file : {"best.safetensors", "last.safetensors"})
        CHECK(read_safetensors(fs::path(photos.run) / file).metadata.at("pictures") ==
              R"({"resize":"nearest","fit":"pad","alpha":"drop","apply_exif":false})");

    const Arguments resume = {"train", "--resume", photos.run, "--epochs", "3"};
    CHECK(not_refused(cifar10(resume + Arguments{"--resize", "tf"}), 1, {"--resize", "the run has \"nearest\"", "goes on as it began"}) ==
          "");
    CHECK(not_refused(cifar10(resume + Arguments{"--skip-bad-files"}), 1, {"--skip-bad-files", "the run has false"}) == "");
    CHECK(cifar10(resume + Arguments{"--fit", "pad"}).exit_code == 0);
}

TEST_CASE("Bad files are all listed, and skipped where that is wanted") {
    const Photos photos;
    const std::string a = photos.data + "/train/class 3/bad.png", b = photos.data + "/test/class 4/bad.jpg";
    write_bytes(a, "no picture");
    write_bytes(b, "");
    const Result refused = cifar10(photos.train);
    CHECK(refused.exit_code == 1);
    CHECK(refused.out.empty());
    const std::vector<std::string> lines = lines_in(refused.err);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].starts_with("cifar10: " + a + ": "));
    CHECK(lines[1].starts_with("cifar10: " + b + ": "));
    CHECK(one_line_with(lines[2], {"cifar10: " + photos.data, "2 of 52 pictures cannot be read", "--skip-bad-files"}));
    CHECK(!fs::exists(photos.run));

    const Result skipped = cifar10(photos.train + Arguments{"--skip-bad-files"});
    CHECK(skipped.exit_code == 0);
    CHECK(lines_in(skipped.err).size() == 4);  // a line a file, and a count for each split
    const std::vector<std::string> listed = lines_in(read_bytes(fs::path(photos.run) / "skipped.txt"));
    REQUIRE(listed.size() == 2);
    CHECK(listed[0].starts_with(a + "\t"));
    CHECK(listed[1].starts_with(b + "\t"));
}

TEST_CASE("data says what there is, and writes it down") {
    Photos photos;
    fs::copy_file(photos.data + "/train/class 0/0.png", photos.data + "/train/class 1/copy.png");
    fs::copy_file(photos.data + "/train/class 2/0.png", photos.data + "/test/class 2/copy.png");
    const std::string decoded = photos.folder / "decoded";
    const Result result = cifar10({"data", photos.data, "--json", "--out", decoded});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    const json out = json::parse(result.out), &train = out.at("splits").at("train"), &test = out.at("splits").at("test");
    CHECK(out.at("shape") == json({32, 32, 3}));
    CHECK(out.at("classes").size() == 10);
    CHECK(train.at("images") == 31);
    CHECK(train.at("of_class") == json({3, 4, 3, 3, 3, 3, 3, 3, 3, 3}));
    CHECK(train.at("sizes").at("height") == json({{"min", 20}, {"median", 30}, {"max", 40}}));
    CHECK(train.at("sizes").at("width") == json({{"min", 40}, {"median", 40}, {"max", 40}}));
    CHECK(train.at("mean")[1].get<double>() == Approx(0.2));
    CHECK(train.at("std")[1].get<double>() == Approx(0).margin(1e-7));
    double sum = 0, squares = 0;
    for (int label = 0; label < 10; ++label)
        for (int i = 0; i < 3; ++i) sum += 20 * label + i, squares += std::pow(20 * label + i, 2);
    CHECK(train.at("mean")[0].get<double>() == Approx(sum / 31 / 255));
    CHECK(train.at("std")[0].get<double>() == Approx(std::sqrt(squares / 31 - std::pow(sum / 31, 2)) / 255));
    CHECK(train.at("duplicates").at("within") == json::array({{"train/class 1/copy.png", "train/class 0/0.png"}}));
    CHECK(train.at("duplicates").at("across").empty());
    CHECK(test.at("duplicates").at("across") == json::array({{"test/class 2/copy.png", "train/class 2/0.png"}}));

    const Result text = cifar10({"data", photos.data});
    CHECK(text.out.find("class 1") != std::string::npos);
    CHECK(text.out.find("20x40 to 40x40") != std::string::npos);
    CHECK(not_refused(cifar10({"data", photos.data, "--out", decoded}), 1, {decoded, "something already"}) == "");

    // The folder trains to the bits of the pictures.
    REQUIRE(cifar10(photos.train).exit_code == 0);
    Arguments again = photos.train;
    again[2] = decoded;
    again.back() = photos.folder / "again";
    REQUIRE(cifar10(again).exit_code == 0);
    CHECK(metrics_of(again.back()) == metrics_of(photos.run));
}

TEST_CASE("data looks at what does not fit the model") {
    const TemporaryFolder folder;
    for (const char *name : {"a/1.png", "b/1.png"}) write_flat(folder / name, 7, 3, 3);
    CHECK(json::parse(cifar10({"data", folder.path(), "--json"}).out).at("classes") == json({"a", "b"}));
    CHECK(not_refused(cifar10({"train", "--data", folder.path()}), 1, {folder.path(), "2 classes (a, b)", "the model has 10"}) == "");
    CHECK(not_refused(cifar10({"data", folder.path(), "--resize", "bicubic"}), 2, {"--resize", "bicubic"}) == "");
    CHECK(not_refused(cifar10({"data", folder.path(), "--format", "zip"}), 2, {"--format", "zip"}) == "");
}

TEST_CASE("Images of floats train, are evaluated and predicted, but not together with bytes") {
    const TemporaryFolder folder;
    const std::string data = folder / "arrays", run = folder / "run", weights = run + "/best.safetensors";
    write_arrays<float>(fs::path(data) / "train", "<f4");
    write_arrays<float>(fs::path(data) / "test", "<f4");
    const Arguments train = {"train", "--data", data, "--epochs", "1", "--batch", "8", "--threads", "2", "--out", run};
    const Result trained = cifar10(train);
    INFO(trained.err);
    REQUIRE(trained.exit_code == 0);
    const json metrics = metrics_of(run);
    const Result evaluated = cifar10({"evaluate", "--weights", weights, "--data", data, "--json"});
    REQUIRE(evaluated.exit_code == 0);
    CHECK(json::parse(evaluated.out)["loss"].get<double>() == Approx(metrics[0]["val_loss"].get<double>()).epsilon(1e-6));
    const Result predicted = cifar10({"predict", "--weights", weights, "--data", data, "--records", "18:20", "--json"});
    REQUIRE(predicted.exit_code == 0);
    CHECK(lines_of(predicted.out).size() == 2);

    write_arrays<std::uint8_t>(fs::path(data) / "test", "|u1");
    fs::remove_all(run);
    CHECK(not_refused(cifar10(train), 1, {"some images are bytes and some are floats"}) == "");
}

TEST_CASE("Weights see images of the type that they were trained on") {
    const TemporaryFolder folder;
    const std::string floats = folder / "floats", bytes = folder / "bytes", picture = folder / "1.png";
    for (const char *split : {"train", "test"}) {
        write_arrays<float>(fs::path(floats) / split, "<f4");
        write_arrays<std::uint8_t>(fs::path(bytes) / split, "|u1");
    }
    write_flat(picture, 7, 32, 32);
    for (const bool on_floats : {true, false}) {
        CAPTURE(on_floats);
        const std::string &same = on_floats ? floats : bytes, &other = on_floats ? bytes : floats;
        const std::string run = folder / ("run on " + same.substr(same.rfind('/') + 1)), weights = run + "/best.safetensors";
        REQUIRE(cifar10({"train", "--data", same, "--epochs", "1", "--batch", "8", "--threads", "2", "--out", run}).exit_code == 0);
        CHECK(read_safetensors(weights).metadata.at("records") == (on_floats ? "float32" : "uint8"));

        const std::vector<std::string> texts = {other, on_floats ? "images of bytes" : "images of floats", run,
                                                on_floats ? "trained on floats" : "trained on bytes"};
        CHECK(not_refused(cifar10({"evaluate", "--weights", weights, "--data", other}), 1, texts) == "");
        CHECK(not_refused(cifar10({"predict", "--weights", weights, "--data", other, "--records", "0:2"}), 1, texts) == "");
        CHECK(not_refused(cifar10({"train", "--resume", run, "--epochs", "2", "--data", other}), 1, texts) == "");
        CHECK(cifar10({"evaluate", "--weights", weights, "--data", same}).exit_code == 0);
        CHECK(cifar10({"train", "--resume", run, "--epochs", "2", "--data", same}).exit_code == 0);
        const Result predicted = cifar10({"predict", "--weights", weights, picture});
        if (on_floats)
            CHECK(not_refused(predicted, 1, {picture, "images of bytes", weights, "trained on floats"}) == "");
        else
            CHECK(predicted.exit_code == 0);
    }
}

TEST_CASE("Without test images those to validate on are evaluated, and it is said") {
    const Photos photos;
    REQUIRE(cifar10(photos.train).exit_code == 0);
    const std::string weights = photos.run + "/last.safetensors";
    const Arguments evaluate = {"evaluate", "--weights", weights, "--data", photos.data};
    const Arguments predict = {"predict", "--weights", weights, "--data", photos.data, "--records", "0:2"};
    CHECK(json::parse(cifar10(evaluate + Arguments{"--json"}).out).at("split") == "test");
    CHECK(cifar10(predict).out.starts_with("record 0: "));

    fs::remove_all(photos.data + "/test");
    const json result = json::parse(cifar10(evaluate + Arguments{"--json"}).out);
    CHECK(result.at("split") == "validation");
    CHECK(result.at("loss").get<double>() == Approx(metrics_of(photos.run)[1].at("val_loss").get<double>()).epsilon(1e-6));
    CHECK(cifar10(evaluate).out.find("10 validation images, for there are no test images\n") != std::string::npos);
    CHECK(cifar10(predict).out.starts_with("validation record 0: "));
    CHECK(not_refused(cifar10({"predict", "--weights", weights, "--data", photos.data, "--records", "0:11"}), 1,
                      {"0:11", "10 validation images"}) == "");

    fs::remove_all(photos.data + "/val");
    CHECK(not_refused(cifar10(evaluate), 1, {photos.data, "no images to test or to validate on"}) == "");
}

TEST_CASE("Pictures are evaluated as they were trained on, unless options say otherwise") {
    const Photos photos;
    for (int label = 0; label < 10; ++label)
        write_flat(photos.data + "/test/class " + std::to_string(label) + "/t.png", std::uint8_t(20 * label), 16, 48);
    REQUIRE(cifar10(photos.train + Arguments{"--resize", "nearest", "--fit", "pad"}).exit_code == 0);
    const auto output_of = [&](const Arguments &command, const Arguments &pictures) {
        return cifar10(command + Arguments{"--weights", photos.run + "/best.safetensors", "--data", photos.data, "--json"} + pictures).out;
    };
    for (const Arguments &command : {Arguments{"evaluate"}, Arguments{"predict", "--records", "0:3"}}) {
        const std::string as_trained = output_of(command, {"--resize", "nearest", "--fit", "pad"});
        CHECK(!as_trained.empty());
        CHECK(output_of(command, {}) == as_trained);
        CHECK(output_of(command, {"--fit", "stretch"}) != as_trained);
    }
}

TEST_CASE("Arrays remember how the pictures were treated that they were made of") {
    const Photos photos;
    const std::string decoded = photos.folder / "decoded", other = photos.folder / "other", run = photos.run;
    const std::string nearest = R"({"resize":"nearest","fit":"pad","alpha":"drop","apply_exif":false})";
    REQUIRE(cifar10({"data", photos.data, "--resize", "nearest", "--fit", "pad", "--out", decoded}).exit_code == 0);
    REQUIRE(cifar10({"data", photos.data, "--out", other}).exit_code == 0);
    CHECK(read_bytes(decoded + "/pictures.json") == nearest + "\n");
    const Arguments train = {"train", "--data", decoded, "--epochs", "1", "--batch", "16", "--threads", "2", "--out", run};
    CHECK(not_refused(cifar10(train + Arguments{"--resize", "tf"}), 1, {decoded, "\"nearest\"", "\"tf\"", "leave these options out"}) ==
          "");
    REQUIRE(cifar10(train + Arguments{"--resize", "nearest", "--fit", "pad"}).exit_code == 0);
    fs::remove_all(run);
    REQUIRE(cifar10(train).exit_code == 0);
    CHECK(read_safetensors(run + "/best.safetensors").metadata.at("pictures") == nearest);
    CHECK(json::parse(read_bytes(run + "/config.json")).at("data_settings").at("resize") == "nearest");
    CHECK(not_refused(cifar10({"train", "--resume", run, "--epochs", "2", "--data", other}), 1, {other, "\"pillow\"", "\"nearest\""}) ==
          "");
    CHECK(cifar10({"train", "--resume", run, "--epochs", "2"}).exit_code == 0);

    // Arrays that were made of these remember it too, and a picture is predicted as a record of it.
    const std::string again = photos.folder / "again";
    REQUIRE(cifar10({"data", decoded, "--out", again}).exit_code == 0);
    CHECK(read_bytes(again + "/pictures.json") == nearest + "\n");
    const std::string weights = run + "/best.safetensors", picture = photos.data + "/test/class 0/t.png";
    const auto probabilities = [&](const Arguments &images) {
        return lines_of(cifar10(Arguments{"predict", "--weights", weights, "--json"} + images).out).at(0).at("probabilities");
    };
    CHECK(probabilities({picture}) == probabilities({"--data", again, "--records", "0:1"}));
}

TEST_CASE("data looks at splits that lack classes") {
    const TemporaryFolder folder;
    const std::string data = folder / "arrays", decoded = folder / "decoded";
    for (const char *split : {"train", "test"}) write_arrays<std::uint8_t>(fs::path(data) / split, "|u1");
    const std::vector<std::size_t> labels = {20};
    const std::string lacking = npy_header("|u1", labels) + std::string(20, '\3');
    const std::string split = GENERATE("train", "test");
    write_bytes(fs::path(data) / split / "labels.npy", lacking);
    json names;
    for (char name = 'a'; name <= 'j'; ++name) names.push_back(std::string(1, name));
    SECTION("with names") { write_bytes(fs::path(data) / "classes.json", names.dump()); }
    SECTION("without") {
        for (std::size_t label = 0; label < 10; ++label) names[label] = std::to_string(label);
    }
    const Result result = cifar10({"data", data, "--json", "--out", decoded});
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(json::parse(result.out).at("classes") == names);
    CHECK(json::parse(result.out).at("splits").at(split).at("of_class") == json({0, 0, 0, 20, 0, 0, 0, 0, 0, 0}));
    CHECK(json::parse(cifar10({"data", decoded, "--json"}).out).at("classes") == names);
    CHECK(cifar10({"train", "--data", decoded, "--epochs", "1", "--batch", "8", "--out", folder / "run"}).exit_code == 0);
}
