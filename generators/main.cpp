// kernel_gen: Halide's generator command line over all layers, with a cache.
//
//   kernel_gen -g conv2d_fwd -f NAME -e object -o DIR target=... set=x86_avx2 entry=register_tile in_h=15 ...
//   kernel_gen --cache DIR -g ...      takes the object from DIR where the same pipeline was compiled before
//   kernel_gen --list                  one line "kernel entry" for every schedule that is bound to a kernel
//
// An object is kept under a hash of the serialized pipeline (algorithm and schedule), the target, the function's name and Halide's version:
// whatever else changes in the sources, only kernels whose loops change are compiled again.
#include "generators/layers/conv2d_winograd.h"
#include "schedules/reference/reference.h"
#include "schedules/schedules.h"

#include <Halide.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

template<typename Stages>
void list_tuned(const char *kernel) {
    for (const NamedSchedule<Stages> &schedule : x86_schedules<Stages>()) fmt::print("{} {}\n", kernel, schedule.entry);
}

/// The schedules of every algorithm of a kernel; the first one has the reference.
template<typename... Algorithms>
void list(const char *kernel) {
    fmt::print("{} reference\n", kernel);
    (list_tuned<Algorithms>(kernel), ...);
}

void list_schedules() {
    list<InputForward>("input_fwd");
    list<Conv2dForward, Conv2dForwardWinograd>("conv2d_fwd");
    list<Conv2dPoolForward<Conv2dForward>, Conv2dPoolForward<Conv2dForwardWinograd>>("conv2d_pool_fwd");
    list<Conv2dFold>("conv2d_fold");
    list<Conv2dFoldBackward>("conv2d_fold_bwd");
    list<WinogradWeights>("winograd_weights");
    list<Conv2dBackwardData, Conv2dBackwardDataWinograd>("conv2d_bwd_data");
    list<Conv2dBackwardWeights, Conv2dBackwardWeightsByRows, Conv2dBackwardWeightsWinograd>("conv2d_bwd_weights");
    list<ReluForward>("relu_fwd");
    list<ReluBackward>("relu_bwd");
    list<BatchNormStats>("batch_norm_stats");
    list<BatchNormFold>("batch_norm_fold");
    list<BatchNormForward>("batch_norm_fwd");
    list<BatchNormBackwardStats>("batch_norm_bwd_stats");
    list<BatchNormBackwardData>("batch_norm_bwd_data");
    list<BatchNormPoolForward>("batch_norm_pool_fwd");
    list<BatchNormPoolDropoutForward>("batch_norm_pool_dropout_fwd");
    list<BatchNormPoolBackwardStats>("batch_norm_pool_bwd_stats");
    list<BatchNormPoolBackwardData>("batch_norm_pool_bwd_data");
    list<MaxPool2dForward>("max_pool2d_fwd");
    list<MaxPool2dBackward>("max_pool2d_bwd");
    list<Dropout>("dropout");
    list<Add>("add");
    list<SoftmaxCrossEntropyForward>("softmax_cross_entropy_fwd");
    list<SoftmaxCrossEntropyBackward>("softmax_cross_entropy_bwd");
    list<Adam>("adam");
    list<Sgd>("sgd");
}

/// What the cache needs of an ordinary generator command line.
struct Arguments {
    std::string generator, function, folder = ".";
    std::string target;
    Halide::GeneratorParamsMap parameters;
};

Arguments parse(int argc, char **argv) {
    Arguments arguments;
    for (int i = 1; i < argc; i++) {
        const std::string_view word = argv[i];
        const auto equals = word.find('=');
        if (word == "-g" && i + 1 < argc)
            arguments.generator = argv[++i];
        else if (word == "-f" && i + 1 < argc)
            arguments.function = argv[++i];
        else if (word == "-o" && i + 1 < argc)
            arguments.folder = argv[++i];
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

std::string cache_key(const Arguments &arguments) {
    auto generator =
        Halide::Internal::GeneratorRegistry::create(arguments.generator, Halide::GeneratorContext(Halide::Target(arguments.target)));
    if (!generator) throw Halide::CompileError("there is no generator " + arguments.generator);
    for (const auto &[name, value] : arguments.parameters) generator->set_generatorparam_value(name, value);
    std::vector<uint8_t> pipeline;
    Halide::serialize_pipeline(generator->build_pipeline(), pipeline);
    const std::string rest = fmt::format("{} {} {}.{}.{}", arguments.target, arguments.function, HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR,
                                         HALIDE_VERSION_PATCH);
    const std::uint64_t pipeline_hash = hash(0xcbf29ce484222325, pipeline.data(), pipeline.size());
    return fmt::format("{:016x}", hash(pipeline_hash, rest.data(), rest.size()));
}

/// Never leaves a half-written file: other processes share the cache.
void copy_atomically(const fs::path &from, const fs::path &to) {
    const fs::path temporary = to.string() + fmt::format(".{}", getpid());
    fs::copy_file(from, temporary, fs::copy_options::overwrite_existing);
    fs::rename(temporary, to);
}

int generate_with_cache(const fs::path &cache, int argc, char **argv) {
    const Arguments arguments = parse(argc, argv);
    const fs::path object = fs::path(arguments.folder) / (arguments.function + ".o");
    const fs::path cached = cache / (cache_key(arguments) + ".o");
    if (fs::exists(cached)) {
        copy_atomically(cached, object);
        return 0;
    }
    if (const int status = Halide::Internal::generate_filter_main(argc, argv)) return status;
    fs::create_directories(cache);
    copy_atomically(object, cached);
    return 0;
}

int run(int argc, char **argv) {
    const std::string_view first = argc > 1 ? argv[1] : "";
    if (first == "--list") {
        list_schedules();
        return 0;
    }
    if (first == "--cache" && argc > 2) {
        const fs::path cache = argv[2];
        argv[2] = argv[0];
        return generate_with_cache(cache, argc - 2, argv + 2);
    }
    return Halide::Internal::generate_filter_main(argc, argv);
}

/// One line on stderr.
int fail(const std::string &message) {
    fmt::print(stderr, "kernel_gen: {}\n", message.substr(0, message.find('\n')));
    return 1;
}

}  // namespace
}  // namespace halcyon

int main(int argc, char **argv) {
    try {
        return halcyon::run(argc, argv) == 0 ? 0 : 1;
    } catch (const Halide::Error &error) {  // no std::exception
        return halcyon::fail(error.what());
    } catch (const std::exception &error) {
        return halcyon::fail(error.what());
    }
}
