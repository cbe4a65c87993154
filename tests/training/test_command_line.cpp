#include "runtime/weights/safetensors.h"
#include "tests/training/workplace.h"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <sys/resource.h>
#include <thread>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// Runs a command of the shell, in which "$0" is the program, and returns its exit code.
int shell(const std::string &command) { return WEXITSTATUS(std::system(("sh -c '" + command + "' " CIFAR10_PROGRAM).c_str())); }

/// The metrics of a run without the times, which no two runs share.
std::vector<json> repeatable(std::vector<json> metrics) {
    for (json &line : metrics) {
        line.erase("seconds");
        line.erase("images_per_second");
    }
    return metrics;
}

}  // namespace

TEST_CASE("an unknown or malformed option exits 2") {
    const auto arguments = GENERATE(
        as<Arguments>(), Arguments{}, Arguments{"fit"}, Arguments{"train", "--bogus"}, Arguments{"train", "extra"},
        Arguments{"train", "--epochs", "0"}, Arguments{"train", "--epochs", "ten"}, Arguments{"train", "--epochs"},
        Arguments{"train", "--batch", "-1"}, Arguments{"train", "--limit", "0"}, Arguments{"train", "--threads", "0"},
        Arguments{"train", "--validation-split", "0"}, Arguments{"train", "--validation-split", "1"},
        Arguments{"train", "--validation-split", "nan"}, Arguments{"train", "--validation-split", "x"},
        Arguments{"train", "--validation-split", "0.2", "--no-evaluate"}, Arguments{"train", "--seed", "-1"},
        Arguments{"train", "--seed", "4294967296"}, Arguments{"evaluate"}, Arguments{"evaluate", "--weights", "w", "--top", "0"},
        Arguments{"predict", "--weights", "w"}, Arguments{"predict", "--weights", "w", "--records", "3"},
        Arguments{"predict", "--weights", "w", "--records", "3:2"}, Arguments{"predict", "--weights", "w", "--data", "d", "a.png"},
        Arguments{"predict", "--weights", "w", "--records", "0:1", "a.png"}, Arguments{"predict", "--weights", "w", "a.png", "--top", "0"},
        Arguments{"predict", "--weights", "w", "a.png", "--json", "--csv"}, Arguments{"summary", "--jsno"});
    CHECK(not_refused(cifar10(arguments), 2) == "");
}

TEST_CASE("a small stack is no error") {
    Workplace work;
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_STACK, &before) == 0);
    for (const rlim_t kib : {128, 512}) {
        const std::string run = work.folder / std::to_string(kib);
        rlimit limit = before;
        limit.rlim_cur = kib << 10;
        REQUIRE(setrlimit(RLIMIT_STACK, &limit) == 0);
        const Result result = cifar10(work.train + Arguments{"--out", run});
        REQUIRE(setrlimit(RLIMIT_STACK, &before) == 0);
        CAPTURE(kib, result.err);
        CHECK(result.exit_code == 0);
    }
}

TEST_CASE("a batch larger than the kernels can address is refused in one line") {
    Workplace work;
    fs::resize_file(fs::path(work.data) / "data_batch_1.bin", 100'000 * std::uintmax_t{3073});  // black airplanes
    const Arguments train = {"train", "--data", work.data, "--batch", "1000000", "--out", work.run};
    CHECK(not_refused(cifar10(train), 1, {"a batch of 100032 images", "images fit"}) == "");
    CHECK(!fs::exists(work.run));
}

TEST_CASE("help is no error") {
    const Result all = cifar10({"--help"}), train = cifar10({"train", "--help"});
    CHECK(all.exit_code == 0);
    for (const char *text : {"train", "evaluate", "predict", "summary", "schedules", "130"}) CHECK(all.out.find(text) != std::string::npos);
    CHECK(train.exit_code == 0);
    for (const char *option : {"--data", "--epochs", "--batch", "--seed", "--schedule", "--threads", "--out", "--resume", "--recipe",
                               "--init", "--limit", "--validation-split", "--no-shuffle", "--no-dropout", "--no-evaluate"})
        CHECK(train.out.find(option) != std::string::npos);
}

TEST_CASE("bad data is named, and nothing is written") {
    Workplace work;
    const Arguments train = work.train + Arguments{"--out", work.run};
    const std::string batch = fs::path(work.data) / "data_batch_3.bin", test = fs::path(work.data) / "test_batch.bin";
    SECTION("no folder") {
        fs::remove_all(work.data);
        CHECK(not_refused(cifar10(train), 1, {work.data}) == "");
    }
    SECTION("a file is missing") {
        fs::remove(test);
        CHECK(not_refused(cifar10(train), 1, {test}) == "");
    }
    SECTION("a file is truncated") {
        fs::resize_file(batch, fs::file_size(batch) - 1);
        CHECK(not_refused(cifar10(train), 1, {batch, "truncated"}) == "");
    }
    SECTION("a label is over 9") {
        std::string bytes = read_bytes(batch);
        bytes[3073] = 10;
        write_bytes(batch, bytes);
        CHECK(not_refused(cifar10(train), 1, {batch, "label 10", "record 1"}) == "");
    }
    CHECK(!fs::exists(work.run));
}

TEST_CASE("names that do not exist exit 1") {
    const Workplace work;
    const Arguments train = work.train + Arguments{"--out", work.run};
    CHECK(not_refused(cifar10(train + Arguments{"--schedule", "x86_avx1024"}), 1, {"x86_avx1024"}) == "");
    CHECK(not_refused(cifar10(train + Arguments{"--recipe", "cordon_bleu"}), 1, {"cordon_bleu", "keras", "onecycle"}) == "");
    CHECK(not_refused(cifar10(train + Arguments{"--init", work.weights}), 1, {work.weights}) == "");
    CHECK(not_refused(cifar10({"evaluate", "--weights", work.weights, "--data", work.data}), 1, {work.weights}) == "");
    CHECK(not_refused(cifar10({"train", "--resume", work.run}), 1, {work.run, "--resume"}) == "");
    CHECK(!fs::exists(work.run));
}

TEST_CASE("a schedule that this CPU cannot run is refused") {
    const Workplace work;
    const json schedules = json::parse(cifar10({"schedules", "--json"}).out);
    for (const json &set : schedules.at("sets")) {
        if (set.at("runs")) continue;
        CHECK(not_refused(cifar10(work.train + Arguments{"--schedule", set.at("name")}), 1, {set.at("name"), set.at("reason")}) == "");
    }
}

TEST_CASE("a recipe that does not fit is named") {
    const Workplace work;
    const std::string recipe = work.folder / "recipe.json";
    write_bytes(recipe, R"({"name": "mine", "dropout": [0.1, 0.2]})");
    CHECK(not_refused(cifar10(work.train + Arguments{"--recipe", recipe}), 1, {"mine", "2 dropout rates"}) == "");
    write_bytes(recipe, R"({"name": "mine", "momentun": 0.9})");
    CHECK(not_refused(cifar10(work.train + Arguments{"--recipe", recipe}), 1, {recipe, "momentun"}) == "");
}

TEST_CASE("an output folder that cannot be written is found before training") {
    const Workplace work;
    CHECK(not_refused(cifar10(work.train + Arguments{"--out", "/dev/null/run"}), 1, {"/dev/null/run", "--out"}) == "");
    write_weights(work.weights);
    const std::string before = read_bytes(work.weights);
    CHECK(not_refused(cifar10(work.train + Arguments{"--out", work.weights}), 1, {work.weights}) == "");
    CHECK(not_refused(cifar10(work.train + Arguments{"--out", work.folder.path()}), 1, {work.folder.path(), "--out"}) == "");
    CHECK((read_bytes(work.weights) == before));
}

namespace {

/// The 24 test images are of the classes that the synthetic set begins with.
void check_scores(const json &evaluation, const Arguments &evaluate) {
    const Dataset test = make_synthetic(Split::test, 24);
    REQUIRE(evaluation.at("classes").size() == 10);
    REQUIRE(evaluation.at("confusion").size() == 10);
    int right = 0;
    for (std::size_t label = 0; label < 10; ++label) {
        const json &scores = evaluation.at("classes").at(label);
        const auto row = evaluation.at("confusion").at(label).get<std::vector<int>>();
        CHECK(scores.at("images") == std::ranges::count(test.labels, label));
        CHECK(scores.at("images") == std::accumulate(row.begin(), row.end(), 0));
        right += row.at(label);
    }
    CHECK(evaluation.at("classes").at(9).at("class") == "truck");
    CHECK(evaluation.at("accuracy") == right / 24.0);
    CHECK(evaluation.at("weighted").at("recall").get<double>() == Approx(right / 24.0));
    CHECK(evaluation.at("top_k") == 5);
    CHECK(evaluation.at("zero_division") == 0);
    CHECK(!evaluation.contains("auc"));

    const json one = json::parse(cifar10(evaluate + Arguments{"--json", "--top", "1"}).out);
    CHECK(one.at("top_k_accuracy") == evaluation.at("accuracy"));
    CHECK(json::parse(cifar10(evaluate + Arguments{"--json", "--top", "10"}).out).at("top_k_accuracy") == 1);
    CHECK(not_refused(cifar10(evaluate + Arguments{"--top", "11"}), 1, {"--top 11", "10 classes"}) == "");
    const std::string text = cifar10(evaluate).out;
    for (const char *part : {"standard error", "\ntop 5 ", "precision", "\ntruck ", "\nmean by images ", "\ntaken for ", "\n 9  truck "})
        CHECK(text.find(part) != std::string::npos);
    for (const json &scores : evaluation.at("classes"))
        if (scores.at("predicted") == 0) CHECK(text.find("precision is not defined") != std::string::npos);
}

}  // namespace

TEST_CASE("a run writes its folder, and evaluate and predict take what it wrote") {
    const Workplace work;
    const Result trained = cifar10(work.train + Arguments{"--out", work.run});
    REQUIRE(trained.exit_code == 0);
    CHECK(trained.err.empty());
    for (const char *text : {"epoch 1/2", "epoch 2/2", "40 training images", "24 test images", "onecycle"})
        CHECK(trained.out.find(text) != std::string::npos);

    const fs::path run = work.run;
    const std::vector<json> metrics = lines_of(read_bytes(run / "metrics.jsonl"));
    REQUIRE(metrics.size() == 2);
    for (const char *key : {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "images_per_second"})
        CHECK(metrics[1].at(key).is_number());
    const json config = json::parse(read_bytes(run / "config.json"));
    CHECK(config.at("model") == "cifar10");
    CHECK(config.at("data") == work.data);
    CHECK(config.at("recipe").at("epochs") == 2);
    CHECK(config.at("recipe").at("batch") == 16);

    const Result evaluated = cifar10({"evaluate", "--weights", run / "last.safetensors", "--data", work.data, "--json"});
    REQUIRE(evaluated.exit_code == 0);
    const json evaluation = json::parse(evaluated.out);
    CHECK(evaluation.at("images") == 24);
    CHECK(evaluation.at("accuracy") == metrics[1].at("val_accuracy"));
    CHECK(evaluation.at("loss").is_number());
    check_scores(evaluation, {"evaluate", "--weights", run / "last.safetensors", "--data", work.data});

    write_png(work.folder / "grey.png", 32);
    const Result predicted = cifar10({"predict", "--weights", run / "best.safetensors", work.folder / "grey.png", "--json"});
    const Result of_records =
        cifar10({"predict", "--weights", run / "best.safetensors", "--data", work.data, "--records", "20:24", "--json"});
    REQUIRE(predicted.exit_code == 0);
    REQUIRE(of_records.exit_code == 0);
    REQUIRE(lines_of(of_records.out).size() == 4);
    for (const json &line : lines_of(predicted.out + of_records.out)) {
        const auto probabilities = line.at("probabilities").get<std::vector<double>>();
        REQUIRE(probabilities.size() == 10);
        double sum = 0;
        for (const double p : probabilities) sum += p;
        CHECK(std::abs(sum - 1) < 1e-5);
        CHECK(probabilities[line.at("label")] == *std::max_element(probabilities.begin(), probabilities.end()));
    }
    // data_batch files without batches.meta.txt have the published names.
    const std::string name = lines_of(of_records.out)[0].at("class");
    CHECK(cifar10({"predict", "--weights", run / "best.safetensors", "--data", work.data, "--records", "20:21"}).out.find(name) !=
          std::string::npos);
}

TEST_CASE("weights of another model are named") {
    const Workplace work;
    const Arguments evaluate = {"evaluate", "--weights", work.weights, "--data", work.data};
    write_bytes(work.weights, "no weights at all");
    CHECK(not_refused(cifar10(evaluate), 1, {work.weights}) == "");
    const std::vector<float> values(27);
    write_safetensors(work.weights, {{"conv2d/kernel", view_floats(values, {3, 3, 3, 1})}}, {});
    CHECK(not_refused(cifar10(evaluate), 1, {work.weights, "conv2d/kernel", "(3, 3, 3, 1)", "(3, 3, 3, 32)"}) == "");
    CHECK(not_refused(cifar10(work.train + Arguments{"--init", work.weights}), 1, {work.weights, "conv2d/kernel"}) == "");
}

TEST_CASE("predict names bad images and records") {
    const Workplace work;
    write_weights(work.weights);
    write_bytes(work.folder / "text.png", "no picture");
    const Arguments predict = {"predict", "--weights", work.weights};
    CHECK(not_refused(cifar10(predict + Arguments{work.folder / "none.png"}), 1, {"none.png"}) == "");
    CHECK(not_refused(cifar10(predict + Arguments{work.folder / "text.png"}), 1, {"text.png", "a text file"}) == "");
    CHECK(not_refused(cifar10(predict + Arguments{"--top", "11", work.folder / "none.png"}), 1, {"--top 11", "10 classes"}) == "");
    CHECK(not_refused(cifar10(predict + Arguments{"--data", work.data, "--records", "0:25"}), 1, {"0:25", "24"}) == "");
}

TEST_CASE("a run that is stopped by Ctrl-C, and again by SIGTERM, goes on to the same bits") {
    const Workplace work;
    const std::string whole = work.folder / "whole";
    const Arguments train = {"train", "--data", work.data, "--epochs", "20", "--batch", "16", "--threads", "1", "--out"};
    REQUIRE(cifar10(train + Arguments{whole}).exit_code == 0);

    Cifar10 first(train + Arguments{work.run});
    first.wait_for("epoch 1/20");
    first.signal(SIGINT);
    const Result stopped = first.result();
    CHECK(stopped.exit_code == 130);
    CHECK(stopped.out.find("cifar10 train --resume " + work.run) != std::string::npos);

    Cifar10 second({"train", "--resume", work.run});
    second.wait_for("/20  loss");
    second.signal(SIGTERM);
    CHECK(second.result().exit_code == 130);

    CHECK(cifar10({"train", "--resume", work.run, "--threads", "2"}).exit_code == 0);
    const std::vector<json> a = lines_of(read_bytes(whole + "/metrics.jsonl")), b = lines_of(read_bytes(work.run + "/metrics.jsonl"));
    REQUIRE(a.size() == 20);
    REQUIRE(b.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(a[i].at("loss") == b[i].at("loss"));
        CHECK(a[i].at("val_loss") == b[i].at("val_loss"));
    }
    CHECK((read_bytes(whole + "/best.safetensors") == read_bytes(work.run + "/best.safetensors")));
}

TEST_CASE("a finished run says so, and goes on with more epochs") {
    const Workplace work;
    REQUIRE(cifar10(work.train + Arguments{"--out", work.run}).exit_code == 0);
    const std::string checkpoint = read_bytes(work.run + "/last.safetensors");

    const Result finished = cifar10({"train", "--resume", work.run});
    CHECK(finished.exit_code == 0);
    CHECK(finished.out.find("finished") != std::string::npos);
    CHECK(not_refused(cifar10({"train", "--resume", work.run, "--epochs", "1"}), 1, {"--epochs 1", work.run}) == "");
    CHECK((read_bytes(work.run + "/last.safetensors") == checkpoint));

    const std::string other = work.folder / "other";
    const Result elsewhere = cifar10({"train", "--resume", work.run, "--epochs", "3", "--out", other});
    CHECK(elsewhere.exit_code == 0);
    CHECK(elsewhere.out.find("3 epochs instead of 2") != std::string::npos);
    CHECK((read_bytes(work.run + "/last.safetensors") == checkpoint));
    CHECK(lines_of(read_bytes(other + "/metrics.jsonl")).size() == 3);
    CHECK(json::parse(read_bytes(other + "/config.json")).at("recipe").at("epochs") == 3);

    const Result more = cifar10({"train", "--resume", work.run, "--epochs", "3"});
    CHECK(more.exit_code == 0);
    CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl")).size() == 3);
    CHECK((read_bytes(work.run + "/best.safetensors") == read_bytes(other + "/best.safetensors")));
}

TEST_CASE("a resumed run takes its own options again, and refuses others with both values") {
    const Workplace work;
    write_weights(work.weights);
    const std::string recipe = work.folder / "recipe.json", same_recipe = work.folder / "same.json";
    write_bytes(recipe, R"({"name": "mine", "dropout": 0.1, "flip": 0.5})");
    write_bytes(same_recipe, R"({"name": "mine", "dropout": [0.1, 0.1, 0.1, 0.1], "flip": 0.5, "epochs": 3})");
    const Arguments of_run = {"--batch", "16", "--seed", "3", "--limit", "32", "--init", work.weights, "--recipe", recipe};
    const Arguments of_other = {"--no-shuffle", "--no-evaluate", "--no-dropout"};
    const std::string other = work.folder / "other";
    REQUIRE(cifar10(Arguments{"train", "--data", work.data, "--epochs", "1", "--out", work.run} + of_run).exit_code == 0);
    REQUIRE(cifar10(work.train + Arguments{"--out", other} + of_other).exit_code == 0);
    const Arguments resume = {"train", "--resume", work.run}, resume_other = {"train", "--resume", other};
    const std::string checkpoint = read_bytes(work.run + "/last.safetensors");

    for (std::size_t i = 0; i < of_run.size(); i += 2)
        if (of_run[i] != "--recipe") CHECK(cifar10(resume + Arguments{of_run[i], of_run[i + 1]}).exit_code == 0);
    CHECK(cifar10(resume + of_run).exit_code == 0);
    CHECK(cifar10(resume + Arguments{"--batch", "16", "--recipe", same_recipe}).exit_code == 0);
    CHECK(cifar10(resume_other + of_other).exit_code == 0);

    CHECK(not_refused(cifar10(resume + Arguments{"--batch", "8"}), 1, {"--batch 8", "16"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--seed", "1"}), 1, {"--seed 1", "3"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--limit", "31"}), 1, {"--limit 31", "32"}) == "");
    CHECK(not_refused(cifar10(resume_other + Arguments{"--limit", "40"}), 1, {"--limit 40", "all"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--init", recipe}), 1, {"--init " + recipe, work.weights}) == "");
    CHECK(not_refused(cifar10(resume_other + Arguments{"--init", work.weights}), 1, {"--init", "without"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--no-shuffle"}), 1, {"--no-shuffle", "shuffles"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--no-evaluate"}), 1, {"--no-evaluate", "evaluates"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--no-dropout"}), 1, {"--no-dropout", "drops out"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--batch", "16", "--recipe", "keras"}), 1, {"--recipe keras", "0.25", "0.1"}) == "");
    CHECK(not_refused(cifar10(resume + Arguments{"--recipe", recipe}), 1, {"--recipe", "batch is 64, not 16"}) == "");
    CHECK((read_bytes(work.run + "/last.safetensors") == checkpoint));

    CHECK(cifar10(resume + of_run + Arguments{"--epochs", "2", "--threads", "1", "--data", work.data, "--out", work.run}).exit_code == 0);
    CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl")).size() == 2);
}

TEST_CASE("a config.json that was changed is refused, and one that is missing is written again") {
    const Workplace work;
    REQUIRE(cifar10(work.train + Arguments{"--out", work.run}).exit_code == 0);
    const std::string file = work.run + "/config.json", sound = read_bytes(file), checkpoint = read_bytes(work.run + "/last.safetensors");
    const Arguments resume = {"train", "--resume", work.run, "--epochs", "3"};
    const auto change = [&](const std::string &from, const std::string &to) {
        std::string text = sound;
        write_bytes(file, text.replace(text.find(from), from.size(), to));
    };
    change("\"peak\": 0.005", "\"peak\": 0.004");
    CHECK(not_refused(cifar10(resume), 1, {file, "recipe.learning_rate.peak is 0.004, not 0.005", "remove"}) == "");
    change("\"seed\": 1", "\"seed\": 3");
    CHECK(not_refused(cifar10(resume), 1, {file, "seed is 3, not 1", "remove"}) == "");
    change("\"threads\": 2", "\"threads\": 1");
    CHECK(not_refused(cifar10(resume), 1, {file, "threads is 1, not 2", "remove"}) == "");
    change("\"seed\": 1", "\"sedd\": 1");
    CHECK(not_refused(cifar10(resume), 1, {file, "remove"}) == "");
    change("\"seed\"", "\"seed");
    CHECK(not_refused(cifar10(resume), 1, {file, "syntax error", "remove"}) == "");
    CHECK((read_bytes(work.run + "/last.safetensors") == checkpoint));
    fs::remove(file);
    CHECK(cifar10(resume).exit_code == 0);
    CHECK(json::parse(read_bytes(file)).at("recipe").at("epochs") == 3);
}

TEST_CASE("a checkpoint of no moment of the run is refused") {
    const Workplace work;
    REQUIRE(cifar10(work.train + Arguments{"--out", work.run}).exit_code == 0);
    const std::string file = work.run + "/last.safetensors";
    TensorFile checkpoint = read_safetensors(file);
    const auto [key, value] =
        GENERATE(table<std::string, std::string>({{"step", "5"}, {"epoch", "3"}, {"position", "16"}, {"position", "41"}}));
    CAPTURE(key, value);
    checkpoint.metadata[key] = value;
    write_safetensors(file, checkpoint.tensors, checkpoint.metadata);
    CHECK(not_refused(cifar10({"train", "--resume", work.run}), 1, {file, "another run"}) == "");
    checkpoint.metadata.erase("config");
    write_safetensors(file, checkpoint.tensors, checkpoint.metadata);
    CHECK(not_refused(cifar10({"train", "--resume", work.run}), 1, {file, "\"config\""}) == "");
}

TEST_CASE("of two trainers in one folder one runs") {
    const Workplace work;
    const Arguments train = {"train", "--data", work.data, "--epochs", "20", "--batch", "16", "--threads", "1", "--out", work.run};
    Cifar10 first(train);
    first.wait_for("out ");
    CHECK(not_refused(cifar10(train), 1, {work.run, "another process"}) == "");
    CHECK(not_refused(cifar10({"train", "--resume", work.run}), 1, {work.run, "another process"}) == "");
    CHECK(not_refused(cifar10({"train", "--resume", work.run, "--out", work.folder / "other"}), 1, {work.run, "another process"}) == "");
    CHECK(!fs::exists(work.folder / "other"));
    CHECK(first.result().exit_code == 0);
    CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl")).size() == 20);
}

TEST_CASE("a run that is killed at any moment goes on to the same bits") {
    const Workplace work;
    const std::string whole = work.folder / "whole";
    const Arguments train = {"train", "--data", work.data, "--epochs", "6", "--batch", "16", "--threads", "1", "--out"};
    REQUIRE(cifar10(train + Arguments{whole}).exit_code == 0);

    std::mt19937 random(1);
    int kills = 0;
    while (true) {
        const bool begun = fs::exists(work.run + "/last.safetensors");
        Cifar10 process(begun ? Arguments{"train", "--resume", work.run} : train + Arguments{work.run});
        if (++kills <= 8) {
            std::this_thread::sleep_for(std::chrono::milliseconds(random() % 250));
            process.signal(SIGKILL);
        }
        const Result result = process.result();
        if (result.exit_code == 0) break;
        INFO(result.err);
        REQUIRE(result.exit_code == -1);
        CHECK(result.err.empty());
    }
    CHECK((read_safetensors(whole + "/last.safetensors").metadata.at("step") == "18"));
    CHECK((read_bytes(whole + "/best.safetensors") == read_bytes(work.run + "/best.safetensors")));
    CHECK(repeatable(lines_of(read_bytes(whole + "/metrics.jsonl"))) == repeatable(lines_of(read_bytes(work.run + "/metrics.jsonl"))));
    const TensorFile a = read_safetensors(whole + "/last.safetensors"), b = read_safetensors(work.run + "/last.safetensors");
    REQUIRE(a.tensors.size() == b.tensors.size());
    for (const auto &[name, tensor] : a.tensors) {
        CAPTURE(name);
        CHECK(std::ranges::equal(tensor.bytes, b.tensors.at(name).bytes));
    }
}

TEST_CASE("a closed terminal stops a run as Ctrl-C does, but for nohup") {
    const Workplace work;
    const Arguments train = {"train", "--data", work.data, "--epochs", "30", "--batch", "16", "--threads", "1", "--out"};
    Cifar10 process(train + Arguments{work.run});
    process.wait_for("epoch 1/30");
    process.signal(SIGHUP);
    process.signal(SIGHUP);
    CHECK(process.result().exit_code == 130);
    CHECK(fs::exists(work.run + "/last.safetensors"));

    std::signal(SIGHUP, SIG_IGN);
    Cifar10 ignoring(train + Arguments{work.folder / "ignoring"});
    std::signal(SIGHUP, SIG_DFL);
    ignoring.wait_for("epoch 1/30");
    ignoring.signal(SIGHUP);
    CHECK(ignoring.result().exit_code == 0);
}

TEST_CASE("a run validates on images that are held out, and is tested once, at its end") {
    const Workplace work;
    const Arguments train = work.train + Arguments{"--validation-split", "0.25", "--out", work.run};
    const Result trained = cifar10(train);
    REQUIRE(trained.exit_code == 0);
    for (const char *text : {"30 training images", "validate  on 10 held-out images; the test images are evaluated once",
                             "test on 24 images", "test_accuracy"})
        CHECK(trained.out.find(text) != std::string::npos);
    const std::vector<json> metrics = lines_of(read_bytes(work.run + "/metrics.jsonl"));
    REQUIRE(metrics.size() == 3);
    CHECK(json::parse(read_bytes(work.run + "/config.json")).at("validation_split") == 0.25);
    CHECK(json::parse(read_bytes(work.run + "/config.json")).at("train_images") == 30);
    const Result evaluated = cifar10({"evaluate", "--weights", work.run + "/best.safetensors", "--data", work.data, "--json"});
    CHECK(json::parse(evaluated.out).at("accuracy") == metrics[2].at("test_accuracy"));

    const Arguments resume = {"train", "--resume", work.run};
    CHECK(cifar10(resume).out.find("is finished: 2 epochs are trained") != std::string::npos);
    CHECK(not_refused(cifar10(resume + Arguments{"--validation-split", "0.5"}), 1, {"--validation-split 0.5: the run has 0.25"}) == "");
    CHECK(cifar10(resume + Arguments{"--validation-split", "0.25", "--epochs", "3"}).exit_code == 0);
    const std::vector<json> more = lines_of(read_bytes(work.run + "/metrics.jsonl"));
    REQUIRE(more.size() == 4);
    CHECK(more[2].at("epoch") == 3);
    CHECK(more[3].contains("test_loss"));

    // A run that was killed before its test does it when it is resumed.
    const std::string text = read_bytes(work.run + "/metrics.jsonl");
    write_bytes(work.run + "/metrics.jsonl", text.substr(0, text.find("{\"test_loss")));
    CHECK(cifar10(resume).out.find("test on 24 images") != std::string::npos);
    CHECK(read_bytes(work.run + "/metrics.jsonl") == text);
    CHECK(not_refused(cifar10(work.train + Arguments{"--validation-split", "0.1"}), 1, {"--validation-split 0.1", "give more"}) == "");
}

TEST_CASE("a run says that it validates on the test images") {
    const Workplace work;
    const std::string line = "validate  on the test images: give --validation-split for a fair figure\n";
    const Arguments train = work.train + Arguments{"--out"};
    CHECK(cifar10(train + Arguments{work.run}).out.find(line) != std::string::npos);
    CHECK(cifar10(train + Arguments{work.folder / "other", "--no-evaluate"}).out.find("validate") == std::string::npos);
}

TEST_CASE("a run that stops early is finished") {
    const Workplace work;
    const std::string recipe = work.folder / "recipe.json";
    write_bytes(recipe, R"({"early_stopping": {"monitor": "val_loss", "min_delta": 100}})");
    const Arguments train = {"train", "--data", work.data, "--recipe", recipe, "--batch", "16", "--out", work.run};
    const std::string why = "stopped early in epoch 2: val_loss has not improved since epoch 1";
    const Result stopped = cifar10(train);
    CHECK(stopped.exit_code == 0);
    CHECK(stopped.out.find(why) != std::string::npos);
    CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl")).size() == 2);
    for (const Arguments &more : {Arguments{}, Arguments{"--epochs", "20"}}) {
        const Result resumed = cifar10(Arguments{"train", "--resume", work.run} + more);
        CHECK(resumed.exit_code == 0);
        CHECK(resumed.out.find("is finished: " + why) != std::string::npos);
    }
}

TEST_CASE("a recipe that does not fit the run's images is refused, and nothing is written") {
    const Workplace work;
    const std::string recipe = work.folder / "recipe.json";
    const Arguments train = work.train + Arguments{"--recipe", recipe, "--out", work.run};
    write_bytes(recipe, R"({"name": "mine", "early_stopping": {"monitor": "val_loss"}})");
    CHECK(not_refused(cifar10(train + Arguments{"--no-evaluate"}), 1, {"recipe mine: early_stopping watches val_loss"}) == "");
    write_bytes(recipe, R"({"name": "mine", "class_weights": [1, 2, 3]})");
    CHECK(not_refused(cifar10(train), 1, {"recipe mine: 3 class weights", "10 classes"}) == "");
    write_bytes(recipe, R"({"name": "mine", "class_weights": {"unicorn": 2}})");
    CHECK(not_refused(cifar10(train), 1, {"recipe mine: class_weights names unicorn", "airplane"}) == "");
    write_bytes(recipe, R"({"name": "mine", "class_weights": "balanced"})");
    CHECK(not_refused(cifar10(train + Arguments{"--limit", "5"}), 1, {"recipe mine:", "none of the 5 images"}) == "");
    CHECK(!fs::exists(work.run));
}

TEST_CASE("a run whose output nobody takes is saved, and says so") {
    const Workplace work;
    const std::string err = work.folder / "err", code = work.folder / "code", resume = "\"$0\" train --resume " + work.run;
    SECTION("a closed pipe") {
        const std::string train = "\"$0\" train --data " + work.data + " --epochs 30 --batch 16 --threads 1 --out " + work.run;
        shell("(" + train + " 2> " + err + "; echo $? > " + code + ") | head -n 1 > /dev/null");
        CHECK(read_bytes(code) == "1\n");
        CHECK(one_line_with(read_bytes(err).substr(0, read_bytes(err).size() - 1), {"standard output", "saved", "--resume " + work.run}));
        CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl")).size() < 30);
        CHECK(shell(resume + " > /dev/null") == 0);
        CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl")).size() == 30);
    }
    SECTION("a full disk") {
        const std::string train = "\"$0\" train --data " + work.data + " --epochs 2 --batch 16 --out " + work.run;
        CHECK(shell(train + " > /dev/full 2> " + err) == 1);
        CHECK(one_line_with(read_bytes(err).substr(0, read_bytes(err).size() - 1), {"standard output", "saved", "--resume " + work.run}));
        CHECK(shell(resume + " > /dev/null") == 0);
    }
}

TEST_CASE("a recipe's name is printed on its line") {
    const Workplace work;
    const std::string recipe = work.folder / "recipe.json";
    write_bytes(recipe, R"({"name": "a\nb\u001b[31m", "epochs": 1})");
    const Result result = cifar10({"train", "--data", work.data, "--recipe", recipe, "--out", work.run});
    CHECK(result.exit_code == 0);
    CHECK(result.out.find("recipe    a\\nb\\x1b[31m, epochs 1") != std::string::npos);
}

TEST_CASE("training that diverges is no success") {
    const Workplace work;
    const std::string recipe = work.folder / "recipe.json";
    write_bytes(recipe, R"({"optimizer": {"name": "sgd"}, "learning_rate": {"schedule": "constant", "peak": 1e30}})");
    const Result result = cifar10(work.train + Arguments{"--recipe", recipe, "--out", work.run});
    CHECK(result.exit_code == 1);
    CHECK(one_line_with(result.err.substr(0, result.err.size() - 1),
                        {"epoch 1, step", "lower learning rate", work.run + "/last.safetensors"}));
    CHECK(!fs::exists(work.run + "/metrics.jsonl"));
    CHECK(cifar10({"evaluate", "--data", work.data, "--weights", work.run + "/last.safetensors"}).exit_code == 0);
}

TEST_CASE("a resumed run wants the data it had") {
    const Workplace work;
    REQUIRE(cifar10(work.train + Arguments{"--out", work.run}).exit_code == 0);
    const std::string moved = work.folder / "moved";
    fs::rename(work.data, moved);
    const Arguments resume = {"train", "--resume", work.run, "--epochs", "3"};
    CHECK(not_refused(cifar10(resume), 1, {work.data}) == "");
    CHECK(cifar10(resume + Arguments{"--data", moved}).exit_code == 0);
    fs::copy_file(moved + "/data_batch_1.bin", moved + "/data_batch_2.bin", fs::copy_options::overwrite_existing);
    fs::resize_file(moved + "/data_batch_2.bin", 3073);
    CHECK(not_refused(cifar10({"train", "--resume", work.run, "--epochs", "4", "--data", moved}), 1, {moved, "33", "40"}) == "");
}

TEST_CASE("a run begins with someone's weights") {
    const Workplace work;
    write_weights(work.weights);  // those of seed 1
    const std::string other = work.folder / "other";
    REQUIRE(cifar10(work.train + Arguments{"--out", work.run, "--no-evaluate"}).exit_code == 0);
    REQUIRE(cifar10(work.train + Arguments{"--out", other, "--no-evaluate", "--init", work.weights}).exit_code == 0);
    CHECK((read_bytes(work.run + "/best.safetensors") == read_bytes(other + "/best.safetensors")));
    CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl"))[1].at("loss") == lines_of(read_bytes(other + "/metrics.jsonl"))[1].at("loss"));
}

TEST_CASE("a run begins with the weights that a file has, and says what it lacks") {
    const Workplace work;
    const std::vector<float> bias(32, 0.5F);
    write_safetensors(work.weights, {{"conv2d/bias", view_floats(bias, {32})}}, {});
    const Arguments train = work.train + Arguments{"--out", work.run, "--no-evaluate", "--init", work.weights};
    const Result result = cifar10(train);
    REQUIRE(result.exit_code == 0);
    CHECK(result.out.find(work.weights + ": 1 of 34 weights; 33 begin anew: conv2d/kernel, batch_normalization/gamma, "
                                         "batch_normalization/beta, batch_normalization/moving_mean, 29 more\n") != std::string::npos);
}

TEST_CASE("the synthetic set is the default, and runs are numbered") {
    const Result result = cifar10({"train", "--epochs", "1", "--limit", "64", "--no-evaluate"});
    CHECK(result.exit_code == 0);
    CHECK(result.wrote_files);
    CHECK(result.out.find("synthetic") != std::string::npos);
    CHECK(result.out.find("CIFAR10_DIR") != std::string::npos);
    CHECK(result.out.find("runs/cifar10/1") != std::string::npos);
}

TEST_CASE("summary has the network's layers and totals") {
    const Result text = cifar10({"summary"}), object = cifar10({"summary", "--json"});
    CHECK(text.exit_code == 0);
    for (const char *number : {"297,226", "296,394", "832", "147,584", "batch_normalization_4", "2x2x128"})
        CHECK(text.out.find(number) != std::string::npos);
    const json summary = json::parse(object.out);
    CHECK(summary.at("parameters") == 297226);
    CHECK(summary.at("trainable") == 296394);
    CHECK(summary.at("non_trainable") == 832);
    std::int64_t sum = 0;
    for (const json &layer : summary.at("layers")) sum += layer.at("parameters").get<std::int64_t>();
    CHECK(sum == 297226);
    CHECK(summary.at("layers").back().at("name") == "dense_1");
    CHECK(summary.at("layers").back().at("output_shape") == json({10}));
}

TEST_CASE("schedules tells what runs here and what auto takes") {
    const Result text = cifar10({"schedules"}), object = cifar10({"schedules", "--json"});
    CHECK(text.exit_code == 0);
    const json schedules = json::parse(object.out);
    CHECK(schedules.at("auto") == fastest_set());
    for (const json &set : schedules.at("sets")) {
        const std::string name = set.at("name");
        CHECK(text.out.find(name) != std::string::npos);
        CHECK(set.at("runs") == set.at("reason").get<std::string>().empty());
        CHECK(!set.at("kernels").empty());
        for (const json &kernel : set.at("kernels")) {
            CHECK(!kernel.at("entry").get<std::string>().empty());
            CHECK(text.out.find(kernel.at("kernel").get<std::string>() + "  ") != std::string::npos);
        }
    }
}

TEST_CASE("bench hands its options to the benchmarks beside the program") {
    const TemporaryFolder folder;
    fs::copy_file(CIFAR10_PROGRAM, folder / "cifar10");
    const auto bench = [&folder] {
        const std::string program = folder / "cifar10";
        return WEXITSTATUS(std::system((program + " bench --help --filter=conv > " + program + ".out 2> " + program + ".err").c_str()));
    };
    CHECK(bench() == 1);
    CHECK(one_line_with(read_bytes(folder / "cifar10.err").substr(0, read_bytes(folder / "cifar10.err").find('\n')),
                        {folder / "cifar10_bench", "make bench MODEL=cifar10"}));
    write_bytes(folder / "cifar10_bench", "#!/bin/sh\necho \"$@\"\nexit 7\n");
    fs::permissions(folder / "cifar10_bench", fs::perms::owner_all);
    CHECK(bench() == 7);
    CHECK(read_bytes(folder / "cifar10.out") == "--help --filter=conv\n");
}
