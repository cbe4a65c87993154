#include "compiler/build.h"

#include "compiler/process.h"
#include "plan/files.h"
#include "plan/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

/// FNV-1a, 64 bits.
std::uint64_t hash(std::string_view text, std::uint64_t state = 0xcbf29ce484222325) {
    for (unsigned char byte : text) state = (state ^ byte) * 0x100000001b3;
    return state;
}

/// A file of the build's own, however large.
std::string read_whole(const fs::path &file) { return read_file(file, std::numeric_limits<std::size_t>::max()); }

bool holds(const fs::path &file, std::string_view text) { return fs::exists(file) && read_whole(file) == text; }

/// Leaves a file as it is that holds `text` already: then what depends on it is not built again.
void write_file(const fs::path &file, std::string_view text) {
    if (!holds(file, text)) replace_file(file, text);
}

/// What a process printed, on one line.
std::string one_line(const std::string &output) {
    std::istringstream words(output);
    std::string line;
    for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
    return shortened(line, 500);
}

/// Runs a command; throws std::runtime_error "<what>: <what it printed>" where it fails.
void run_or_throw(const std::string &what, const std::vector<std::string> &command) {
    const ProcessResult result = run_process(command);
    if (result.failure.empty()) return;
    const std::string message = one_line(result.output);
    throw std::runtime_error(
        fmt::format("{}: {} {}{}{}", what, fs::path(command[0]).filename().string(), result.failure, message.empty() ? "" : ": ", message));
}

/// Calls `work` with 0 to count - 1 on `jobs` threads. After a failure nothing new is started; the failure with the lowest number is
/// thrown.
void for_each_parallel(int count, int jobs, const std::function<void(int)> &work) {
    std::atomic<int> next = 0;
    std::mutex mutex;
    int failed = count;
    std::exception_ptr failure;
    const auto run = [&] {
        for (int i = next++; i < count; i = next++) {
            try {
                work(i);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (i < failed) failed = i, failure = std::current_exception();
                next = count;
            }
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < std::min(jobs, count); ++i) threads.emplace_back(run);
    }
    if (failure) std::rethrow_exception(failure);
}

/// A kernel to compile, and the set it is compiled for.
struct Job {
    const SetPlan *set;
    const CompiledKernel *kernel;
};

/// Whether a kernel reads images out of the whole data set, which on the host may be larger than 2^31 bytes.
bool reads_data_set(const CompiledKernel &kernel) {
    return std::ranges::any_of(
        kernel.arguments, [](const Buffer &argument) { return argument.extents.size() > 1 && argument.extents.back() == records_extent; });
}

std::string target_of(const Job &job) {
    const bool on_device = select_sets({job.set->set}).front().on_device();
    return fmt::format("{}-no_runtime-user_context{}", job.set->target, !on_device && reads_data_set(*job.kernel) ? "-large_buffers" : "");
}

/// Everything but the cache's place, which does not change the object.
std::vector<std::string> generator_arguments(const Job &job, const fs::path &objects) {
    return {"-g",
            "kernel",
            "-f",
            job.kernel->symbol,
            "-e",
            "object",
            "-o",
            objects.string(),
            "target=" + target_of(job),
            "kernel=" + kernel_name(job.kernel->kernel),
            "set=" + job.set->set,
            "entry=" + job.kernel->entry};
}

/// `text` as a literal of C, a line for each of its lines. No two question marks stay side by side: C99 has trigraphs.
std::string c_literal(std::string_view text) {
    std::string literal = "    \"";
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n')
            literal += i + 1 < text.size() ? "\\n\"\n    \"" : "\\n";
        else if (c == '"' || c == '\\' || c == '?')
            literal += {'\\', c};
        else if (c < ' ' || c > '~')
            literal += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
        else
            literal += c;
    }
    return literal + "\"";
}

class Builder {
public:
    Builder(const Plan &plan, std::string_view model, const BuildOptions &options)
        : plan_(plan), model_(model), options_(options), objects_(options.output / "objects"), name_("halcyon_" + plan.model) {
        for (const SetPlan &set : plan.sets)
            for (const CompiledKernel &kernel : set.kernels) jobs_.push_back({&set, &kernel});
    }

    BuildSummary build() {
        fs::create_directories(objects_);
        for (const fs::path &folder : {options_.output, objects_, options_.cache})
            if (fs::exists(folder)) remove_leftovers(folder);
        // cc and ar write files of their own beside what they make. cc comes first: where there is none, nobody waits for the kernels.
        const NewFolder work(objects_ / name_);
        const std::string plan = to_json(plan_), source = table(plan);
        compile_table(source, work);
        const std::uint64_t generator = hash(read_whole(options_.kernel_gen));
        const int kernels = int(jobs_.size());
        int compiled = 0, done = 0;
        std::mutex mutex;
        if (options_.progress) options_.progress(0, kernels);
        for_each_parallel(kernels, options_.jobs, [&](int i) {
            const bool anew = compile(jobs_[i], generator);
            const std::lock_guard lock(mutex);
            compiled += anew;
            if (options_.progress) options_.progress(++done, kernels);
        });

        write_file(options_.output / (name_ + ".c"), source);
        link(work);
        write_file(options_.output / (name_ + ".h"), header());
        write_file(options_.output / "plan.json", plan);
        return {kernels, compiled};
    }

private:
    fs::path object(const Job &job) const { return objects_ / (job.kernel->symbol + ".o"); }

    /// Returns whether kernel_gen had to run.
    bool compile(const Job &job, std::uint64_t generator) {
        std::vector<std::string> arguments = generator_arguments(job, objects_);
        std::uint64_t state = generator;
        for (const std::string &argument : arguments) state = hash(argument + '\n', state);
        const std::string stamp = fmt::format("{:016x}\n", state);
        const fs::path stamp_file = objects_ / (job.kernel->symbol + ".stamp");
        if (fs::exists(object(job)) && holds(stamp_file, stamp)) return false;

        fs::remove(stamp_file);
        std::vector<std::string> command = {options_.kernel_gen.string()};
        if (!options_.cache.empty()) command.insert(command.end(), {"--cache", options_.cache.string()});
        command.insert(command.end(), arguments.begin(), arguments.end());
        const std::string what =
            fmt::format("kernel {} of {} with schedule {}", kernel_name(job.kernel->kernel), job.set->set, job.kernel->entry);
        const auto start = std::chrono::steady_clock::now();
        try {
            run_or_throw(what, command);
            if (!fs::exists(object(job))) throw std::runtime_error(fmt::format("{}: kernel_gen wrote no {}", what, object(job).string()));
        } catch (...) {
            std::error_code ignored;
            fs::remove(object(job), ignored);
            throw;
        }
        write_file(stamp_file, stamp);
        if (options_.verbose) {
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            fmt::print("{:6.2f} s  {}\n", seconds.count(), job.kernel->symbol);
            std::fflush(stdout);
        }
        return true;
    }

    std::string header() const {
        return fmt::format("/* The model {0}, compiled by halcyonc; see runtime/model.h. */\n"
                           "#ifndef HALCYON_MODEL_{0}_H\n"
                           "#define HALCYON_MODEL_{0}_H\n\n"
                           "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n"
                           "const struct halcyon_model *{1}(void);\n\n"
                           "#ifdef __cplusplus\n}}\n#endif\n\n"
                           "#endif\n",
                           plan_.model, name_);
    }

    /// The C source of the kernel table, the model's text and the plan's.
    std::string table(const std::string &plan) const {
        std::string declarations, kernels;
        for (const Job &job : jobs_) {
            const std::string &symbol = job.kernel->symbol;
            declarations +=
                fmt::format("int {0}_argv(void **arguments);\nconst struct halide_filter_metadata_t *{0}_metadata(void);\n", symbol);
            kernels += fmt::format("    {{\"{0}\", {0}_argv, {0}_metadata}},\n", symbol);
        }
        return fmt::format("/* The model {0}, compiled by halcyonc. */\n"
                           "#include \"runtime/model.h\"\n\n"
                           "{2}\n"
                           "static const halcyon_kernel kernels[] = {{\n{3}}};\n\n"
                           "static const char text[] =\n{4};\n\n"
                           "static const char plan[] =\n{5};\n\n"
                           "const halcyon_model *{1}(void);\n\n"
                           "const halcyon_model *{1}(void) {{\n"
                           "    static const halcyon_model model = {{HALCYON_ABI_VERSION, \"{0}\", text, sizeof(text) - 1, plan, "
                           "sizeof(plan) - 1, kernels, "
                           "sizeof(kernels) / sizeof(kernels[0])}};\n"
                           "    return &model;\n"
                           "}}\n",
                           plan_.model, name_, declarations, kernels, c_literal(model_), c_literal(plan));
    }

    fs::path table_object(const NewFolder &work) const { return work / (name_ + ".o"); }

    void compile_table(const std::string &source, const NewFolder &work) const {
        const fs::path file = work / (name_ + ".c");
        write_file(file, source);
        run_or_throw("the table of kernels", {"cc", "-std=c99", "-O1", "-fPIC", "-I", options_.include.string(), "-c", file.string(), "-o",
                                              table_object(work).string()});
    }

    void link(const NewFolder &work) const {
        const fs::path linked = work / "linked";
        // D: no dates and owners, so that equal objects make equal libraries.
        std::vector<std::string> command =
            options_.shared ? std::vector<std::string>{"cc", "-shared", "-o"} : std::vector<std::string>{"ar", "rcsD"};
        command.insert(command.end(), {linked.string(), table_object(work).string()});
        for (const Job &job : jobs_) command.push_back(object(job).string());
        run_or_throw("the library", command);
        // The same library stays as it is, so that programs are not linked again.
        const fs::path library = options_.output / fmt::format("lib{}.{}", name_, options_.shared ? "so" : "a");
        if (!holds(library, read_whole(linked))) fs::rename(linked, library);
    }

    const Plan &plan_;
    std::string_view model_;  // its file's text
    const BuildOptions &options_;
    fs::path objects_;
    std::string name_;  // of the C function and the files
    std::vector<Job> jobs_;
};

}  // namespace

BuildSummary build_plan(const Plan &plan, std::string_view model, const BuildOptions &options) {
    return Builder(plan, model, options).build();
}

}  // namespace halcyon
