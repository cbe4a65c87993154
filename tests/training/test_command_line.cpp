#include "runtime/safetensors.h"
#include "tests/training/workplace.h"

#include <csignal>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;

TEST_CASE("an unknown or malformed option exits 2") {
    const auto arguments =
        GENERATE(as<Arguments>(), Arguments{}, Arguments{"fit"}, Arguments{"train", "--bogus"}, Arguments{"train", "extra"},
                 Arguments{"train", "--epochs", "0"}, Arguments{"train", "--epochs", "ten"}, Arguments{"train", "--epochs"},
                 Arguments{"train", "--batch", "-1"}, Arguments{"train", "--limit", "0"}, Arguments{"train", "--threads", "0"},
                 Arguments{"train", "--seed", "-1"}, Arguments{"train", "--seed", "4294967296"}, Arguments{"evaluate"},
                 Arguments{"predict", "--weights", "w"}, Arguments{"predict", "--weights", "w", "--records", "3"},
                 Arguments{"predict", "--weights", "w", "--records", "3:2"}, Arguments{"predict", "--weights", "w", "--data", "d", "a.png"},
                 Arguments{"predict", "--weights", "w", "--records", "0:1", "a.png"}, Arguments{"summary", "--jsno"});
    CHECK(not_refused(cifar10(arguments), 2) == "");
}

TEST_CASE("help is no error") {
    const Result all = cifar10({"--help"}), train = cifar10({"train", "--help"});
    CHECK(all.exit_code == 0);
    for (const char *text : {"train", "evaluate", "predict", "summary", "schedules", "130"}) CHECK(all.out.find(text) != std::string::npos);
    CHECK(train.exit_code == 0);
    for (const char *option : {"--data", "--epochs", "--batch", "--seed", "--schedule", "--threads", "--out", "--resume", "--recipe",
                               "--init", "--limit", "--no-shuffle", "--no-dropout", "--no-evaluate"})
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
    for (const json &set : json::parse(cifar10({"schedules", "--json"}).out).at("sets")) {
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
    CHECK(not_refused(cifar10(work.train + Arguments{"--out", work.folder.path()}), 1, {work.folder.path(), "--resume"}) == "");
    CHECK((read_bytes(work.weights) == before));
}

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
    CHECK(cifar10({"evaluate", "--weights", run / "best.safetensors", "--data", work.data}).out.find("standard error") !=
          std::string::npos);

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
    write_png(work.folder / "small.png", 31);
    const Arguments predict = {"predict", "--weights", work.weights};
    CHECK(not_refused(cifar10(predict + Arguments{work.folder / "none.png"}), 1, {"none.png"}) == "");
    CHECK(not_refused(cifar10(predict + Arguments{work.folder / "small.png"}), 1, {"small.png", "31", "32"}) == "");
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
    CHECK(not_refused(cifar10({"train", "--resume", work.run, "--batch", "8"}), 1, {"--batch", "--epochs"}) == "");
    CHECK(not_refused(cifar10({"train", "--resume", work.run, "--no-dropout"}), 1, {"--no-dropout"}) == "");
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
    CHECK(read_bytes(work.run + "/last.safetensors").size() == read_bytes(other + "/last.safetensors").size());
    CHECK(lines_of(read_bytes(work.run + "/metrics.jsonl"))[1].at("loss") == lines_of(read_bytes(other + "/metrics.jsonl"))[1].at("loss"));
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
                        {folder / "cifar10_bench", "make bench"}));
    write_bytes(folder / "cifar10_bench", "#!/bin/sh\necho \"$@\"\nexit 7\n");
    fs::permissions(folder / "cifar10_bench", fs::perms::owner_all);
    CHECK(bench() == 7);
    CHECK(read_bytes(folder / "cifar10.out") == "--help --filter=conv\n");
}
