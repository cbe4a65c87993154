// Building: which kernels are compiled, what is written, and that nothing half-done stays after a failure.
#include "compiler/build.h"
#include "compiler/process.h"
#include "plan/files.h"
#include "plan/optimizers.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

using namespace halcyon;

namespace fs = std::filesystem;

namespace {

const std::string layers = R"({"type": "conv2d", "filters": 4, "kernel_size": 3}, {"type": "flatten"},
    {"type": "dense", "units": 3, "activation": "softmax"})";

/// Of those layers and all optimizers.
const int kernels_in_all = 13 + int(all_optimizers().size());

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
        std::ofstream(folder / "kernel_gen")
            << "#!/bin/sh\nall=\"$*\"\n"
               "while [ $# -gt 0 ]; do\n"
               "  case $1 in kernel=*) kernel=${1#kernel=};; -f) symbol=$2;; -o) object=$2/$symbol.o;; esac\n"
               "  shift\n"
               "done\n"
            << fault << "\necho \"$all\" > \"$object\"\n";
        fs::permissions(folder / "kernel_gen", fs::perms::owner_all);
    }

    BuildSummary build(const std::string &model_layers = layers, const std::string &target = "", const std::string &name = "t") const {
        Model model = make_model(model_layers);
        model.name = name;
        Plan plan = make_plan(model, {.sets = select_sets({"reference"})});
        if (!target.empty()) plan.sets[0].target = target;
        return build_plan(
            plan, model.text,
            {.output = folder / "out", .cache = {}, .kernel_gen = folder / "kernel_gen", .include = HALCYON_SOURCE_DIR, .jobs = 2});
    }

    fs::path folder;
};

/// What a build has not finished, or not cleared away.
std::vector<std::string> temporaries(const fs::path &folder) {
    std::vector<std::string> names;
    for (const auto &entry : fs::recursive_directory_iterator(folder)) {
        const std::string ending = entry.path().extension().string();
        if (ending != ".a" && ending != ".c" && ending != ".h" && ending != ".json" && ending != ".o" && ending != ".stamp" &&
            entry.path().filename() != "objects")
            names.push_back(entry.path().string());
    }
    return names;
}

/// For its life no file of this process and those it starts can grow beyond so many bytes: what a full disk does as well.
class FileLimit {
public:
    explicit FileLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    FileLimit(const FileLimit &) = delete;
    FileLimit &operator=(const FileLimit &) = delete;
    ~FileLimit() {
        setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    void (*handler_)(int);
    rlimit before_{};
};

}  // namespace

TEST_CASE("a build writes a library, a header and the plan, and compiles only what changed") {
    const Workshop workshop;
    const fs::path out = workshop.folder / "out";
    const BuildSummary first = workshop.build();
    CHECK(first.kernels == kernels_in_all);
    CHECK(first.compiled == first.kernels);
    for (const char *file : {"libhalcyon_t.a", "halcyon_t.h", "plan.json"}) CHECK(fs::exists(out / file));
    CHECK(parse_plan(read_file(out / "plan.json")).sets[0].kernels.size() == std::size_t(kernels_in_all));
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

TEST_CASE("kernel_gen gets the kernel by its name, the target and the schedule") {
    const Workshop workshop;
    workshop.build();
    const fs::path objects = workshop.folder / "out" / "objects";
    CHECK(read_file((objects / "t_conv2d_fwd__h8w8c3_k4r3s3__reference.o").string()) ==
          "-g kernel -f t_conv2d_fwd__h8w8c3_k4r3s3__reference -e object -o " + objects.string() +
              " target=x86-64-linux-sse41-no_runtime-user_context kernel=conv2d_fwd__h8w8c3_k4r3s3 set=reference entry=reference\n");
    // Images of a data set lie further apart than 32 bits reach.
    CHECK(read_file((objects / "t_input_fwd__h8w8c3_floats__reference.o").string()) ==
          "-g kernel -f t_input_fwd__h8w8c3_floats__reference -e object -o " + objects.string() +
              " target=x86-64-linux-sse41-no_runtime-user_context-large_buffers kernel=input_fwd__h8w8c3_floats set=reference"
              " entry=reference\n");
}

TEST_CASE("a kernel that fails is named, and nothing new is left") {
    const Workshop workshop;
    const fs::path out = workshop.folder / "out";
    const auto failure = [&](const std::string &fault) {
        workshop.write_generator(fault);
        return failure_of([&] { workshop.build(); });
    };
    CHECK(failure("if [ $kernel = sgd__n896 ]; then echo half > $object; echo 'Error: too'; echo ' bad' >&2; exit 3; fi") ==
          "kernel sgd__n896 of reference with schedule reference: kernel_gen exited with 3: Error: too bad");
    CHECK_FALSE(fs::exists(out / "objects" / "t_sgd__n896__reference.o"));
    for (const char *file : {"libhalcyon_t.a", "halcyon_t.h", "plan.json"}) CHECK_FALSE(fs::exists(out / file));

    CHECK(failure("if [ $kernel = sgd__n896 ]; then echo half > $object; echo 'LLVM ERROR: no space' >&2; kill -6 $$; fi") ==
          "kernel sgd__n896 of reference with schedule reference: kernel_gen was killed by signal 6: LLVM ERROR: no space");
    CHECK_FALSE(fs::exists(out / "objects" / "t_sgd__n896__reference.o"));
    CHECK(failure("if [ $kernel = sgd__n896 ]; then kill -9 $$; fi") ==
          "kernel sgd__n896 of reference with schedule reference: kernel_gen was "
          "killed by signal 9 (where memory ran out, fewer jobs need less)");
    CHECK(failure("if [ $kernel = sgd__n896 ]; then exit 0; fi") ==
          "kernel sgd__n896 of reference with schedule reference: kernel_gen wrote no " +
              (out / "objects" / "t_sgd__n896__reference.o").string());
    // What had compiled is kept: only the faulty one and those never started are compiled now, all with the new kernel_gen's stamp.
    workshop.write_generator("");
    CHECK(workshop.build().kernels == kernels_in_all);
    CHECK(fs::exists(out / "libhalcyon_t.a"));
    CHECK(temporaries(out).empty());
}

TEST_CASE("where a file cannot be written, a build says which, and leaves what was there") {
    const Workshop workshop;
    const fs::path out = workshop.folder / "out";
    const std::string other = R"({"type": "flatten"}, {"type": "dense", "units": 3, "activation": "softmax"})";
    constexpr rlim_t object = 400'000;
    workshop.write_generator(fmt::format("exec head -c {} /dev/zero > \"$object\"", object));
    workshop.build(other);
    const rlim_t source = fs::file_size(out / "halcyon_t.c"), library = fs::file_size(out / "libhalcyon_t.a");
    REQUIRE(source < object);
    workshop.build();
    std::map<std::string, std::string> before;
    for (const char *file : {"libhalcyon_t.a", "halcyon_t.h", "plan.json"}) before[file] = read_file(out / file);

    // The first file that is too large: the table of kernels, an object, the library.
    const std::map<rlim_t, std::string> too_large = {{source - 1, "halcyon_t.c: cannot be written (write: File too large)"},
                                                     {object - 1, "kernel_gen exited with 1: "},
                                                     {library - 1, "the library: ar exited with 1: "}};
    for (const auto &[limit, line] : too_large) {
        fs::remove_all(out / "objects");
        std::string failure;
        {
            const FileLimit no_more(limit);
            failure = failure_of([&] { workshop.build(other); });
        }
        INFO(failure);
        CHECK(failure.find(line) != std::string::npos);
        CHECK(failure.find('\n') == std::string::npos);
        CHECK(temporaries(out).empty());
        for (const auto &[file, text] : before) {
            CAPTURE(file);
            CHECK(read_file(out / file) == text);
        }
    }
    // What the failures left does no harm.
    CHECK(workshop.build().kernels == kernels_in_all);
    for (const auto &[file, text] : before) CHECK(read_file(out / file) == text);
}

TEST_CASE("a build clears away what a killed one left") {
    const Workshop workshop;
    const fs::path out = workshop.folder / "out";
    const pid_t ended = fork();
    if (ended == 0) _exit(0);
    REQUIRE(waitpid(ended, nullptr, 0) == ended);
    const std::string ending = fmt::format(".{0}.{0}.tmp", ended);
    fs::create_directories(out / "objects" / ("halcyon_t" + ending));
    for (const fs::path &file :
         {out / ("plan.json" + ending), out / "objects" / ("a.stamp" + ending), out / "objects" / ("halcyon_t" + ending) / "archive.a"})
        std::ofstream(file) << "half";
    CHECK(temporaries(out).size() == 3);
    workshop.build();
    CHECK(temporaries(out).empty());
}

TEST_CASE("a library whose model is called like a keyword is as good as any") {
    const Workshop workshop;
    const fs::path out = workshop.folder / "out";
    std::string consumer = "#include \"runtime/halcyon.h\"\n";
    for (const char *name : {"int", "class"}) {
        CHECK(workshop.build(layers, "", name).kernels == kernels_in_all);
        consumer += fmt::format("#include \"halcyon_{}.h\"\n", name);
    }
    // What C, C++ and their libraries mean by a name is not what it means behind "halcyon_".
    for (const char *name :
         {"auto",   "break", "inline", "restrict", "namespace", "template", "new", "this",  "nullptr", "concept", "main",    "exit",
          "printf", "errno", "NULL",   "bool",     "true",      "and",      "xor", "linux", "unix",    "size_t",  "uint8_t", "asm"})
        consumer += fmt::format("const struct halcyon_model *halcyon_{}(void);\n", name);
    consumer += "const struct halcyon_model *both(void);\n"
                "const struct halcyon_model *both(void) { return halcyon_int() ? halcyon_int() : halcyon_class(); }\n";
    std::ofstream(workshop.folder / "consumer.c") << consumer;
    const std::vector<std::vector<std::string>> compilers = {{"cc", "-std=c99"}, {"c++", "-x", "c++", "-std=c++20"}};
    for (std::vector<std::string> command : compilers) {
        command.insert(command.end(), {"-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", HALCYON_SOURCE_DIR, "-I",
                                       out.string(), (workshop.folder / "consumer.c").string()});
        const ProcessResult result = run_process(command);
        INFO(result.output);
        CHECK(result.failure == "");
    }
}

TEST_CASE("a program's beginning is kept, and all of it read") {
    const ProcessResult result = run_process({"sh", "-c", "echo out; echo error >&2; head -c 1000000 /dev/zero; exit 7"});
    CHECK(result.failure == "exited with 7");
    CHECK(result.output.starts_with("out\nerror\n"));
    CHECK(result.output.size() == 65536);
    CHECK(run_process({"true"}).failure == "");
    CHECK(failure_of([] { run_process({"/no/such/program"}); }) ==
          "/no/such/program: cannot be started: No such file or directory; is it installed?");
}
