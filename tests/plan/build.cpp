// Building: which kernels are compiled, what is written, and that nothing half-done stays after a failure.
#include "compiler/build.h"
#include "plan/files.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace halcyon;

namespace fs = std::filesystem;

namespace {

const std::string layers = R"({"type": "conv2d", "filters": 4, "kernel_size": 3}, {"type": "flatten"},
    {"type": "dense", "units": 3, "activation": "softmax"})";

/// A folder of its own with a shell script in kernel_gen's place: it writes its arguments where the object belongs.
class Workshop {
public:
    Workshop() : folder(fs::temp_directory_path() / fmt::format("halcyon_test_build_{}", getpid())) {
        fs::remove_all(folder);
        fs::create_directories(folder);
        write_generator("");
    }
    ~Workshop() { fs::remove_all(folder); }

    /// `fault` is run for every kernel, with its name in $kernel and its object's in $object.
    void write_generator(const std::string &fault) const {
        std::ofstream(folder / "kernel_gen") << "#!/bin/sh\nall=\"$*\"\n"
                                                "while [ $# -gt 0 ]; do\n"
                                                "  case $1 in -g) kernel=$2;; -f) symbol=$2;; -o) object=$2/$symbol.o;; esac\n"
                                                "  shift\n"
                                                "done\n"
                                             << fault << "\necho \"$all\" > \"$object\"\n";
        fs::permissions(folder / "kernel_gen", fs::perms::owner_all);
    }

    BuildSummary build(const std::string &model_layers = layers, const std::string &target = "") const {
        Plan plan = make_plan(make_model(model_layers), {.sets = select_sets({"reference"})});
        if (!target.empty()) plan.sets[0].target = target;
        return build_plan(
            plan, {.output = folder / "out", .cache = {}, .kernel_gen = folder / "kernel_gen", .include = HALCYON_SOURCE_DIR, .jobs = 2});
    }

    fs::path folder;
};

}  // namespace

TEST_CASE("a build writes a library, a header and the plan, and compiles only what changed") {
    const Workshop workshop;
    const fs::path out = workshop.folder / "out";
    const BuildSummary first = workshop.build();
    CHECK(first.kernels == 12);
    CHECK(first.compiled == first.kernels);
    for (const char *file : {"libhalcyon_t.a", "halcyon_t.h", "plan.json"}) CHECK(fs::exists(out / file));
    CHECK(parse_plan(read_file(out / "plan.json")).sets[0].kernels.size() == 12);
    CHECK(read_file(out / "halcyon_t.h").find("const struct halcyon_model *halcyon_t(void);") != std::string::npos);

    const auto written = fs::last_write_time(out / "libhalcyon_t.a");
    CHECK(workshop.build().compiled == 0);
    // What depends on the library need not be linked again.
    CHECK(fs::last_write_time(out / "libhalcyon_t.a") == written);

    fs::remove(out / "objects" / "t_sgd__n896__reference.o");
    CHECK(workshop.build().compiled == 1);

    // The same kernels for another target.
    CHECK(workshop.build(layers, "x86-64-linux-avx").compiled == first.kernels);
    CHECK(workshop.build().compiled == first.kernels);

    // Other kernels are new where another shape asks for them, and for a new kernel_gen all are.
    const BuildSummary wider = workshop.build(R"({"type": "conv2d", "filters": 5, "kernel_size": 3}, {"type": "flatten"},
        {"type": "dense", "units": 3, "activation": "softmax"})");
    CHECK(wider.compiled > 0);
    CHECK(wider.compiled < wider.kernels);
    workshop.write_generator("# changed");
    CHECK(workshop.build().compiled == first.kernels);
}

TEST_CASE("kernel_gen gets the kernel, the target, the schedule and the sizes that are not the defaults") {
    const Workshop workshop;
    workshop.build();
    const fs::path objects = workshop.folder / "out" / "objects";
    CHECK(read_file((objects / "t_conv2d_fwd__h8w8c3_k4r3s3__reference.o").string()) ==
          "-g conv2d_fwd -f t_conv2d_fwd__h8w8c3_k4r3s3__reference -e object -o " + objects.string() +
              " target=x86-64-linux-sse41-no_runtime-user_context set=reference entry=reference"
              " in_h=8 in_w=8 in_c=3 out_h=6 out_w=6 out_c=4 kernel_h=3 kernel_w=3\n");
}

TEST_CASE("a kernel that fails is named, and nothing new is left") {
    const Workshop workshop;
    const fs::path out = workshop.folder / "out";
    const auto failure = [&](const std::string &fault) {
        workshop.write_generator(fault);
        return failure_of([&] { workshop.build(); });
    };
    CHECK(failure("if [ $kernel = sgd ]; then echo half > $object; echo 'Error: too'; echo ' bad' >&2; exit 3; fi") ==
          "kernel sgd__n896 of reference with schedule reference: kernel_gen exited with 3: Error: too bad");
    CHECK_FALSE(fs::exists(out / "objects" / "t_sgd__n896__reference.o"));
    for (const char *file : {"libhalcyon_t.a", "halcyon_t.h", "plan.json"}) CHECK_FALSE(fs::exists(out / file));

    CHECK(failure("if [ $kernel = sgd ]; then kill -6 $$; fi") ==
          "kernel sgd__n896 of reference with schedule reference: kernel_gen was killed by signal 6");
    CHECK(failure("if [ $kernel = sgd ]; then exit 0; fi") ==
          "kernel sgd__n896 of reference with schedule reference: kernel_gen wrote no " +
              (out / "objects" / "t_sgd__n896__reference.o").string());
    // What had compiled is kept: only the faulty one and those never started are compiled now, all with the new kernel_gen's stamp.
    workshop.write_generator("");
    CHECK(workshop.build().kernels == 12);
    CHECK(fs::exists(out / "libhalcyon_t.a"));
    for (const auto &entry : fs::directory_iterator(out)) CHECK(entry.path().extension() != ".partial");
}
