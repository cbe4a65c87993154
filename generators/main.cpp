// kernel_gen: Halide's generator command line over all layers, with a cache.
//
//   kernel_gen -g kernel -f NAME -e object -o DIR target=... kernel=conv2d_fwd__relu__h13w13c64_k64r3s3 set=x86_avx2 entry=register_tile
//   kernel_gen --cache DIR -g ...      takes the object from DIR where the same pipeline was compiled before
//   kernel_gen --list                  one line "core entry" for every schedule that is bound to a core
//
// An object is kept under a hash of the serialized pipeline (algorithm and schedule), what it asks of its inputs' buffers, the target, the
// function's name, LLVM's options, Halide's version and the autoscheduler, if one is to schedule the pipeline, with its parameters:
// whatever else changes in the sources, only kernels whose loops change are compiled again.
#include "generators/kernel_generator.h"
#include "plan/errors.h"
#include "plan/files.h"

#include <Halide.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

/// Innermost loops begin on a cache line. Where they begin otherwise is the linker's to say: with the same weight gradients of 13x13x64 16
/// bytes further on, one core of an AMD EPYC (Zen 3) took 4.2 ms instead of 5.1.
constexpr const char *llvm_options = "-x86-experimental-pref-innermost-loop-alignment=6";

void list_schedules() {
    for (const auto &[core, algorithm] : algorithms()) {
        // Nothing is bound to this one: Halide's plugin schedules what the menu lets it.
        if (std::ranges::count(menu(core), "autoscheduled", &Entry::name)) fmt::print("{} autoscheduled\n", core);
        fmt::print("{0} reference\n{0} gpu_reference\n", core);
        for (const std::string &entry : algorithm.entries()) fmt::print("{} {}\n", core, entry);
    }
}

/// A command line, the program first.
using Words = std::vector<std::string>;

/// What the cache needs of an ordinary generator command line.
struct Arguments {
    std::string generator, function, folder = ".";
    std::string target;
    Halide::GeneratorParamsMap parameters;
};

Arguments parse(const Words &words) {
    Arguments arguments;
    for (std::size_t i = 1; i < words.size(); i++) {
        const std::string_view word = words[i];
        const auto equals = word.find('=');
        if (word == "-g" && i + 1 < words.size())
            arguments.generator = words[++i];
        else if (word == "-f" && i + 1 < words.size())
            arguments.function = words[++i];
        else if (word == "-o" && i + 1 < words.size())
            arguments.folder = words[++i];
        else if (word.starts_with("target="))
            arguments.target = word.substr(equals + 1);
        else if (equals != std::string_view::npos)
            arguments.parameters[std::string(word.substr(0, equals))] = word.substr(equals + 1);
    }
    return arguments;
}

/// FNV-1a in 64 bits: the cache is no defence against an adversary.
std::uint64_t hash(std::uint64_t seed, const void *data, std::size_t size) {
    const auto *bytes = static_cast<const unsigned char *>(data);
    for (std::size_t i = 0; i < size; i++) seed = (seed ^ bytes[i]) * 0x100000001b3;
    return seed;
}

/// What the inputs' buffers must be like; of the outputs' the serialized pipeline has it.
std::string input_constraints(Halide::Internal::AbstractGenerator &generator) {
    using namespace Halide::Internal;
    std::ostringstream text;
    for (const AbstractGenerator::ArgInfo &argument : generator.arginfos()) {
        if (argument.dir != ArgInfoDirection::Input || argument.kind == ArgInfoKind::Scalar) continue;
        for (const Halide::Parameter &buffer : generator.input_parameter(argument.name))
            for (int d = 0; d < buffer.dimensions(); d++)
                text << buffer.min_constraint(d) << ' ' << buffer.extent_constraint(d) << ' ' << buffer.stride_constraint(d) << '\n';
    }
    return text.str();
}

std::string cache_key(const Arguments &arguments) {
    auto generator =
        Halide::Internal::GeneratorRegistry::create(arguments.generator, Halide::GeneratorContext(Halide::Target(arguments.target)));
    if (!generator) throw Halide::CompileError("there is no generator " + arguments.generator);
    for (const auto &[name, value] : arguments.parameters) generator->set_generatorparam_value(name, value);
    std::vector<uint8_t> pipeline;
    Halide::serialize_pipeline(generator->build_pipeline(), pipeline);
    const std::string rest =
        fmt::format("{} {} {} {}.{}.{}{}{}", arguments.target, arguments.function, llvm_options, HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR,
                    HALIDE_VERSION_PATCH, generator->context().autoscheduler_params().to_string(), input_constraints(*generator));
    const std::uint64_t pipeline_hash = hash(0xcbf29ce484222325, pipeline.data(), pipeline.size());
    return fmt::format("{:016x}", hash(pipeline_hash, rest.data(), rest.size()));
}

/// Never leaves a half-written file: other processes share the cache.
void copy_whole(const fs::path &from, const fs::path &to) { replace_file(to, read_file(from, std::numeric_limits<std::size_t>::max())); }

int generate(Words words) {
    setenv("HL_LLVM_ARGS", llvm_options, 1);
    std::vector<char *> argv;
    for (std::string &word : words) argv.push_back(word.data());
    return Halide::Internal::generate_filter_main(int(argv.size()), argv.data());
}

int generate_with_cache(const fs::path &cache, const Words &words) {
    const Arguments arguments = parse(words);
    const fs::path object = fs::path(arguments.folder) / (arguments.function + ".o");
    const fs::path cached = cache / (cache_key(arguments) + ".o");
    if (fs::exists(cached)) {
        copy_whole(cached, object);
        return 0;
    }
    if (const int status = generate(words)) return status;
    fs::create_directories(cache);
    copy_whole(object, cached);
    return 0;
}

/// Adds what an autoscheduled entry needs: the plugin, which is called like its set, and that it schedules for two cores.
void add_autoscheduler(Words &words) {
    Halide::GeneratorParamsMap parameters = parse(words).parameters;
    if (parameters["entry"] != "autoscheduled") return;
    const Set set = select_sets({parameters["set"]}).front();
    words.insert(words.end(), {"-p", fmt::format(HALCYON_HALIDE_PLUGINS "/libautoschedule_{}.so", set.name),
                               "autoscheduler=" + set.autoscheduler, "autoscheduler.parallelism=2"});
}

int run(Words words) {
    const std::string first = words.size() > 1 ? words[1] : "";
    if (first == "--list") {
        list_schedules();
        return 0;
    }
    fs::path cache;
    if (first == "--cache" && words.size() > 2) {
        cache = words[2];
        words.erase(words.begin() + 1, words.begin() + 3);
    }
    add_autoscheduler(words);
    return cache.empty() ? generate(words) : generate_with_cache(cache, words);
}

}  // namespace
}  // namespace halcyon

int main(int argc, char **argv) {
    return halcyon::run_program("kernel_gen", [&] {
        try {
            return halcyon::run({argv, argv + argc}) == 0 ? 0 : 1;
        } catch (const Halide::Error &error) {  // no std::exception; where it was thrown stands on lines of its own
            const std::string_view message = error.what();
            throw std::runtime_error(std::string(message.substr(0, message.find('\n'))));
        }
    });
}
