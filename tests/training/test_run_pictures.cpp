#include "runtime/data/cifar10.h"
#include "runtime/data/png_writer.h"
#include "runtime/engine/random.h"
#include "runtime/training/picture_report.h"
#include "tests/training/workplace.h"

#include <csignal>
#include <numeric>

using namespace halcyon;
using namespace halcyon::tests;
namespace fs = std::filesystem;

namespace {

std::string png_of(const Picture &picture) {
    const std::vector<std::byte> file = encode_png(picture);
    return {reinterpret_cast<const char *>(file.data()), file.size()};
}

/// The picture of the first images that a run with seed 1 on these has.
std::string first_images(const std::string &data) {
    const Dataset train = load_cifar10(data, Split::train);
    const Shuffle shuffle(1, 0, tiny_images);
    std::vector<std::int32_t> records;
    for (std::uint32_t i = 0; i < tiny_images; ++i) records.push_back(std::int32_t(shuffle(i)));
    StepValues step;
    step.seed = 1;
    step.flip_probability = float(load_recipe("onecycle").flip);
    CHECK(step.flip_probability > 0);
    return png_of(draw_batch(train, records, step));
}

/// The picture of the mistakes that these weights make on the test images; "" where they make none.
std::string mistakes_of(const std::string &weights, const std::string &data) {
    const Dataset test = load_cifar10(data, Split::test);
    const auto network = make_network();
    load_weights(weights, *network);
    Mistakes mistakes(test);
    evaluate(*network, place(*network, test), never(),
             [&mistakes](auto records, auto predictions) { mistakes.add_batch(records, predictions); });
    return mistakes.surest().empty() ? "" : png_of(draw_mistakes(test, mistakes.surest()));
}

}  // namespace

TEST_CASE("a run leaves pictures of its first images and of its mistakes") {
    const Workplace work;
    const Result trained = cifar10(work.train + Arguments{"--out", work.run});
    REQUIRE(trained.exit_code == 0);
    CHECK(trained.out.find("batch.png shows the first 40 images as the network gets them\n") != std::string::npos);
    CHECK(trained.out.find("mistakes.png shows the ") != std::string::npos);
    CHECK((read_bytes(work.run + "/batch.png") == first_images(work.data)));
    CHECK((read_bytes(work.run + "/mistakes.png") == mistakes_of(work.run + "/best.safetensors", work.data)));

    // One whose end was disturbed draws them when it is resumed: the report comes last.
    fs::remove(work.run + "/report.html");
    fs::remove(work.run + "/mistakes.png");
    REQUIRE(cifar10({"train", "--resume", work.run}).exit_code == 0);
    CHECK((read_bytes(work.run + "/mistakes.png") == mistakes_of(work.run + "/best.safetensors", work.data)));
    CHECK(cifar10({"train", "--resume", work.run}).out.find("finished") != std::string::npos);
}

TEST_CASE("a run that is stopped has no picture of mistakes, and one that goes on elsewhere takes its first images along") {
    const Workplace work;
    const std::string other = work.folder / "other";
    Cifar10 process({"train", "--data", work.data, "--epochs", "1000", "--batch", "16", "--threads", "1", "--out", work.run});
    process.wait_for("epoch 2/1000");
    process.signal(SIGINT);
    REQUIRE(process.result().exit_code == 130);
    CHECK(fs::exists(work.run + "/batch.png"));
    CHECK(!fs::exists(work.run + "/mistakes.png"));

    write_bytes(work.run + "/mistakes.png", "of an end before");
    Cifar10 resumed({"train", "--resume", work.run, "--out", other});
    resumed.wait_for("/1000  loss");
    resumed.signal(SIGINT);
    REQUIRE(resumed.result().exit_code == 130);
    CHECK((read_bytes(other + "/batch.png") == first_images(work.data)));
    CHECK(!fs::exists(other + "/mistakes.png"));
}

TEST_CASE("a run without evaluation has no picture of mistakes") {
    const Workplace work;
    REQUIRE(cifar10(work.train + Arguments{"--out", work.run, "--no-evaluate"}).exit_code == 0);
    CHECK(fs::exists(work.run + "/batch.png"));
    CHECK(!fs::exists(work.run + "/mistakes.png"));
}

TEST_CASE("a run without mistakes has no picture of them, and one of an end before is removed") {
    const Workplace work;
    for (const fs::directory_entry &file : fs::directory_iterator(work.data)) {
        std::string records = read_bytes(file.path());
        for (std::size_t label = 0; label < records.size(); label += 3073) records[label] = 3;
        write_bytes(file.path(), records);
    }
    const Result trained = cifar10({"train", "--data", work.data, "--epochs", "8", "--batch", "8", "--out", work.run});
    REQUIRE(trained.exit_code == 0);
    CHECK(trained.out.find("no mistakes among the images that were validated on") != std::string::npos);
    CHECK(!fs::exists(work.run + "/mistakes.png"));
    write_bytes(work.run + "/mistakes.png", "of an end before");
    REQUIRE(cifar10({"train", "--resume", work.run, "--epochs", "9"}).exit_code == 0);
    CHECK(!fs::exists(work.run + "/mistakes.png"));
}
