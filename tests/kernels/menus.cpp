// The menus, the kernel list and kernel_gen agree on what there is.
#include "plan/kernels.h"
#include "plan/menu.h"
#include "tests/catch.h"
#include "tests/data/command.h"
#include "tests/data/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

using namespace halcyon;

namespace {

using KernelEntry = std::pair<std::string, std::string>;

}  // namespace

TEST_CASE("every menu ends in two references, of which a set takes the one for where it runs, whatever the shape") {
    Shape odd{.in_h = 13, .in_w = 1, .in_c = 7, .out_h = 5, .out_w = 1, .out_c = 1, .kernel_h = 5, .kernel_w = 3, .stride_h = 3};
    odd.pad_top = 2, odd.relu = 1, odd.dropout = 9, odd.elements = 1, odd.epsilon = 0.5f, odd.momentum = 1;
    for (const Kernel &kernel : all_kernels()) {
        INFO(kernel.name);
        const std::vector<Entry> &entries = menu(kernel.name);
        REQUIRE(entries.size() >= 2);
        const Entry &on_host = entries[entries.size() - 2], &on_device = entries.back();
        CHECK(on_host.name == "reference");
        CHECK(on_device.name == "gpu_reference");
        for (const Set &set : all_sets())
            for (const Shape &shape : {Shape{}, odd}) {
                CHECK(on_host.refuses(shape, set) == (set.on_device() ? "the set runs on a device" : ""));
                CHECK(on_device.refuses(shape, set) == (set.on_device() ? "" : "the set runs on the host"));
            }
    }
}

TEST_CASE("what is tuned for one side is refused on the other") {
    Shape shape{.in_h = 8, .in_w = 8, .in_c = 64, .out_h = 8, .out_w = 8, .out_c = 64, .kernel_h = 3, .kernel_w = 3};
    shape.pad_top = shape.pad_left = 1, shape.elements = 64;
    const Set x86 = select_sets({"x86_avx2"}).front(), gpu = select_sets({"gpu"}).front();
    for (const Kernel &kernel : all_kernels())
        for (const Entry &entry : menu(kernel.name)) {
            INFO(kernel.name << " " << entry.name);
            CHECK_FALSE((entry.refuses(shape, x86).empty() && entry.refuses(shape, gpu).empty()));
        }
}

TEST_CASE("entries have names of their own") {
    for (const Kernel &kernel : all_kernels()) {
        INFO(kernel.name);
        std::set<std::string> names;
        for (const Entry &entry : menu(kernel.name)) CHECK(names.insert(entry.name).second);
    }
}

TEST_CASE("kernel_gen has a schedule for every entry of every menu, and no other") {
    std::set<KernelEntry> menus, generated;
    for (const Kernel &kernel : all_kernels())
        for (const Entry &entry : menu(kernel.name)) menus.insert({kernel.name, entry.name});

    std::istringstream list(run_command("'" HALCYON_KERNEL_GEN "' --list").output);
    for (KernelEntry line; list >> line.first >> line.second;) generated.insert(line);
    CHECK(generated == menus);
}

TEST_CASE("an autoscheduler schedules the kernels of its set but for those that it fails on, and none of another") {
    const Shape tiles{.in_h = 8, .in_w = 8, .in_c = 64, .out_h = 6, .out_w = 6, .out_c = 64, .kernel_h = 3, .kernel_w = 3, .elements = 64};
    const std::set<std::pair<std::string, std::string>> failures = {
        {"batch_norm_stats", "Mullapudi2016"},      {"batch_norm_stats", "Adams2019"},         {"batch_norm_pool_dropout_fwd", "Adams2019"},
        {"batch_norm_pool_bwd_stats", "Adams2019"}, {"batch_norm_pool_bwd_data", "Adams2019"}, {"conv2d_pool_bwd_weights", "Adams2019"}};
    const std::set<std::string> on_devices_alone = {
        "conv2d_dropout_fwd",    "conv2d_dropout_bwd_data", "conv2d_relu_dropout_bwd_data",      "conv2d_softmax_cross_entropy",
        "softmax_cross_entropy", "batch_norm_stats_fwd",    "batch_norm_stats_pool_dropout_fwd", "batch_norm_bwd",
        "batch_norm_pool_bwd"};
    for (const Kernel &kernel : all_kernels())
        for (const Set &set : all_sets()) {
            CAPTURE(kernel.name, set.name);
            std::set<std::string> accepting;
            for (const Entry &entry : menu(kernel.name))
                if (entry.refuses(tiles, set).empty()) accepting.insert(entry.name);
            const bool fails = failures.contains({kernel.name, set.autoscheduler}) || on_devices_alone.contains(kernel.name);
            CHECK(accepting.contains("autoscheduled") == (!set.autoscheduler.empty() && !fails));
            if (!set.autoscheduler.empty()) CHECK(accepting.size() == (fails ? 1 : 2));  // the reference is the other
        }
}

TEST_CASE("an autoscheduler takes plain algorithms alone") {
    const Set set = select_sets({"li2018"}).front();
    for (const char *kernel : {"conv2d_fwd", "winograd_weights"})
        for (const Entry &entry : menu(kernel)) CHECK(entry.refuses(Shape{.tile = 4}, set).empty() == (entry.name == "reference"));
    for (const Entry &entry : menu("conv2d_pool_fwd")) CHECK(entry.refuses(Shape{.pool_h = 2}, set).empty() == (entry.name == "reference"));
}

TEST_CASE("autoschedulers are not taken unasked") {
    for (const Set &set : select_sets({"reference", "x86"})) CHECK(set.autoscheduler == "");
    CHECK(select_sets({"autoscheduled"}).size() == 3);
    const auto by_hand = [](const Set &set) { return set.autoscheduler.empty(); };
    CHECK(std::ranges::is_partitioned(all_sets(), by_hand));  // `auto` takes the first that runs
}

TEST_CASE("an autoscheduler's object is its own, and the same again") {
    const TemporaryFolder folder;
    const auto make = [&](const Set &set, const char *cache) {
        run_command(fmt::format("'" HALCYON_KERNEL_GEN "' --cache '{0}/{1}' -g batch_norm_fwd -f f -e object -o '{0}' target={2} "
                                "set={3} entry=autoscheduled in_c=32",
                                folder.path().string(), cache, set.halide_target, set.name));
        return read_bytes(folder / "f.o");
    };
    std::map<std::string, std::string> objects;
    for (const Set &set : select_sets({"autoscheduled"})) objects[make(set, "cache")] = set.name;
    CHECK(objects.size() == 3);
    for (const auto &[object, set] : objects)
        for (const char *cache : {"cache", "empty_cache"}) {
            CAPTURE(set, cache);
            CHECK(object.size() > 1000);
            CHECK((make(select_sets({set}).front(), cache) == object));
        }
}

TEST_CASE("the cache tells kernels apart that differ in what they ask of their inputs alone") {
    const TemporaryFolder folder;
    const auto make = [&](int batch) {
        run_command(
            fmt::format("'" HALCYON_KERNEL_GEN "' --cache '{0}/cache' -g conv2d_bwd_weights -f f -e object -o '{0}' target={1} "
                        "set=reference entry=reference in_h=3 in_w=3 in_c=2 out_h=3 out_w=3 out_c=2 kernel_h=1 kernel_w=1 batch={2}",
                        folder.path().string(), select_sets({"reference"}).front().halide_target, batch));
        return read_bytes(folder / "f.o");
    };
    const std::string any = make(0), seven = make(7);
    CHECK(any.size() > 1000);
    CHECK((seven != any));
}

TEST_CASE("a kernel's innermost loops begin on cache lines") {
    const TemporaryFolder folder;
    run_command(fmt::format("'" HALCYON_KERNEL_GEN
                            "' -g add -f f -e assembly -o '{}' target={} set=x86_sse41 entry=channel_vectors in_c=32",
                            folder.path().string(), select_sets({"x86_sse41"}).front().halide_target));
    CHECK(read_bytes(folder / "f.s").find(".p2align\t6") != std::string::npos);
}

TEST_CASE("Winograd's tiles are refused where they save little or outgrow the stack") {
    const auto refusal = [](const char *kernel, const char *entry, const Shape &shape) {
        for (const Entry &candidate : menu(kernel))
            if (candidate.name == entry) return candidate.refuses(shape, select_sets({"x86_avx2"}).front());
        throw std::invalid_argument(entry);
    };
    const auto same = [](int extent, int channels) {
        return Shape{.in_h = extent,
                     .in_w = extent,
                     .in_c = channels,
                     .out_h = extent,
                     .out_w = extent,
                     .out_c = channels,
                     .kernel_h = 3,
                     .kernel_w = 3,
                     .pad_top = 1,
                     .pad_left = 1};
    };
    for (const char *kernel : {"conv2d_fwd", "conv2d_bwd_data", "conv2d_bwd_weights"}) {
        INFO(kernel);
        CHECK(refusal(kernel, "winograd_f4", same(8, 64)) == "");
        CHECK(refusal(kernel, "winograd_f4", same(8, 20)) == "the channels are no whole vectors");
        // Of 5x5 pixels, 169 pairs of rows and columns, four tiles make 64 outputs.
        CHECK(refusal(kernel, "winograd_f4", same(5, 64)) == "144 products in tiles save too little beside 169");
    }
    CHECK(refusal("conv2d_fwd", "winograd_f4", same(64, 64)) == "");
    CHECK(refusal("conv2d_bwd_data", "winograd_f4", same(64, 64)) == "tiles of 4x4 outputs need 11520 KiB of stack");
    CHECK(refusal("conv2d_bwd_data", "winograd_f4_input_tiles", same(64, 64)) == "");
    Shape valid = same(15, 64);
    valid.pad_top = valid.pad_left = 0, valid.out_h = valid.out_w = 13;
    CHECK(refusal("conv2d_bwd_data", "winograd_f4_input_tiles", valid) == "");
    valid.in_h = valid.in_w = 13, valid.out_h = valid.out_w = 11;
    CHECK(refusal("conv2d_bwd_data", "winograd_f4_input_tiles", valid) == "9 tiles of outputs are fewer than 16 of inputs");
    CHECK(refusal("conv2d_fwd", "winograd_f4", same(8, 512)) == "tiles of 4x4 outputs need 1224 KiB of stack");
    CHECK(refusal("conv2d_bwd_weights", "winograd_f4", same(8, 1024)) == "tiles of 4x4 outputs need 1584 KiB of stack");

    Shape one = same(16, 64);
    one.batch = 1, one.tile = 4;
    CHECK(refusal("conv2d_fwd", "winograd_f4", one) == "a single image fills no block of images");
    CHECK(refusal("conv2d_fwd", "winograd_f4_one_image", one) == "");
    CHECK(refusal("conv2d_fwd", "winograd_f2_one_image", one) == "the weights are for other tiles");
    CHECK(refusal("conv2d_fwd", "pixel_tile", one) == "the weights are for tiles");
    one.tile = 0;
    CHECK(refusal("conv2d_fwd", "winograd_f4_one_image", one) == "the weights are not for tiles");
    CHECK(refusal("conv2d_fwd", "pixel_tile", one) == "");
    one = same(4, 64);
    one.batch = 1, one.tile = 4;
    CHECK(refusal("conv2d_fwd", "winograd_f4_one_image", one) == "1 tiles are too few for the weights");
    Shape pooled = same(16, 64).with_pool(
        {.in_h = 16, .in_w = 16, .out_h = 5, .out_w = 5, .kernel_h = 3, .kernel_w = 3, .stride_h = 3, .stride_w = 3});
    CHECK(refusal("conv2d_pool_fwd", "winograd_f4", pooled) == "the pool's windows do not divide the tiles");
    CHECK(refusal("conv2d_pool_fwd", "register_tile", pooled) == "");
    Shape far = same(80, 64).with_pool(
        {.in_h = 80, .in_w = 80, .out_h = 1, .out_w = 1, .kernel_h = 80, .kernel_w = 80, .stride_h = 80, .stride_w = 80});
    CHECK(refusal("conv2d_pool_fwd", "register_tile", far) == "the pool's windows need 2400 KiB of stack");
    far.batch = 1;
    CHECK(refusal("conv2d_pool_fwd", "pixel_tile", far) == "the pool's rows need 1600 KiB of stack");
}

TEST_CASE("weight gradients are made behind a pool where weights are few and windows apart") {
    const auto refusal = [](const Shape &shape) {
        return menu("conv2d_pool_bwd_weights").front().refuses(shape, select_sets({"x86_avx2"}).front());
    };
    const Shape convolution{.in_h = 16, .in_w = 16, .in_c = 1, .out_h = 16, .out_w = 16, .out_c = 512};
    const auto with_pool = [&](int kernel, int stride, int pad) {
        return convolution.with_pool(
            {.out_h = 4, .out_w = 4, .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride, .stride_w = stride, .pad_top = pad});
    };
    CHECK(refusal(with_pool(4, 4, 0)) == "");
    CHECK(refusal(with_pool(4, 3, 0)) == "the windows overlap");
    CHECK(refusal(with_pool(4, 4, 1)) == "the first window begins in the padding");
    CHECK(refusal(with_pool(4, 5, 0)) == "the windows do not divide the pixels");
    CHECK(refusal(with_pool(8, 8, 0)) == "windows of 32 images need 4096 KiB of stack");
    Shape many = with_pool(4, 4, 0);
    many.in_c = 3;
    CHECK(refusal(many) == "6144 bytes of weights are too many");
}

TEST_CASE("a device's tiles are refused where they leave it idle or outgrow its shared memory") {
    const auto refusal = [](const char *kernel, const char *entry, const Shape &shape) {
        for (const Entry &candidate : menu(kernel))
            if (candidate.name == entry) return candidate.refuses(shape, select_sets({"cuda"}).front());
        throw std::invalid_argument(entry);
    };
    Shape shape{.in_h = 15, .in_w = 15, .in_c = 32, .out_h = 13, .out_w = 13, .out_c = 64, .kernel_h = 3, .kernel_w = 3};
    CHECK(refusal("conv2d_fwd", "shared_tile", shape) == "");
    CHECK(refusal("conv2d_bwd_data", "shared_tile", shape) == "");
    shape.batch = 1;
    CHECK(refusal("conv2d_fwd", "shared_tile", shape) == "a single image fills no block of images");
    CHECK(refusal("conv2d_fwd", "sliced", shape) == "");
    shape.batch = 0, shape.kernel_w = 32;
    CHECK(refusal("conv2d_fwd", "shared_tile", shape) == "a block needs 81920 bytes of shared memory");
    shape.kernel_w = 3, shape.in_h = shape.in_w = 6, shape.out_h = shape.out_w = 4;
    CHECK(refusal("conv2d_fwd", "shared_tile", shape) == "16 blocks of 64 images are too few");
    CHECK(refusal("conv2d_bwd_data", "shared_tile", shape) == "36 blocks of 64 images are too few");

    shape.in_h = 33;
    CHECK(refusal("batch_norm_stats", "rows", shape) == "more than 32 rows do not fit a block");
}
