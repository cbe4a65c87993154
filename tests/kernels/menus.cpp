// The menus, the list of cores and kernel_gen agree on what there is, and entries say what they take.
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
#include <vector>

using namespace halcyon;

namespace {

using CoreEntry = std::pair<std::string, std::string>;

const Set &set_named(const std::string &name) { return *std::ranges::find(all_sets(), name, &Set::name); }

/// Why the entry cannot be taken for the kernel in the set; "": it can.
std::string refusal(const Kernel &kernel, const std::string &entry, const std::string &set) {
    for (const Entry &candidate : menu(kernel.core))
        if (candidate.name == entry) return refusal(candidate, kernel, set_named(set));
    throw std::invalid_argument(entry);
}

/// The entries that a set takes for a kernel.
std::set<std::string> taken(const Kernel &kernel, const Set &set) {
    std::set<std::string> names;
    for (const Entry &entry : menu(kernel.core))
        if (refusal(entry, kernel, set).empty()) names.insert(entry.name);
    return names;
}

/// A shape that most tuned entries take.
Shape tiles() {
    return {.in_h = 8, .in_w = 8, .in_c = 64, .out_h = 6, .out_w = 6, .out_c = 64, .kernel_h = 3, .kernel_w = 3, .elements = 64};
}

/// Every core with `chain` at each place of activations that it has: a kernel for each.
std::vector<Kernel> chained_kernels(const Chain &chain) {
    std::vector<Kernel> kernels;
    for (const Core &core : all_cores())
        for (const std::string &place : places_of(core)) {
            const Role role = core.find(place)->role;
            if (role == Role::input || role == Role::output || role == Role::pooled)
                kernels.push_back({core.name, tiles(), {{place, chain}}});
        }
    return kernels;
}

}  // namespace

TEST_CASE("every core is on the menu of one layer, and no menu is of anything else") {
    std::multiset<std::string> cores, on_menus;
    for (const Core &core : all_cores()) cores.insert(core.name);
    for (const KernelMenu &menu : all_menus()) on_menus.insert(menu.core);
    CHECK(on_menus == cores);
}

TEST_CASE("every menu ends in two references, of which a set takes the one for where it runs, whatever the shape and the chains") {
    Shape odd{.in_h = 13, .in_w = 1, .in_c = 7, .out_h = 5, .out_w = 1, .out_c = 1, .kernel_h = 5, .kernel_w = 3, .stride_h = 3};
    odd.pad_top = 2, odd.elements = 1, odd.epsilon = 0.5f, odd.momentum = 1;
    std::vector<Kernel> kernels = chained_kernels({{"affine"}, {"relu"}, {"dropout", 1}, {"normgradient"}});
    for (const Core &core : all_cores())
        for (const Shape &shape : {Shape{}, odd}) kernels.push_back({core.name, shape});
    for (const Kernel &kernel : kernels) {
        INFO(kernel_name(kernel));
        const std::vector<Entry> &entries = menu(kernel.core);
        REQUIRE(entries.size() >= 2);
        const Entry &on_host = entries[entries.size() - 2], &on_device = entries.back();
        CHECK(on_host.name == "reference");
        CHECK(on_device.name == "gpu_reference");
        for (const Set &set : all_sets()) {
            CHECK(refusal(on_host, kernel, set) == (set.on_device() ? "the set runs on a device" : ""));
            CHECK(refusal(on_device, kernel, set) == (set.on_device() ? "" : "the set runs on the host"));
        }
    }
}

TEST_CASE("what is tuned for one side is refused on the other") {
    Shape shape{.in_h = 8, .in_w = 8, .in_c = 64, .out_h = 8, .out_w = 8, .out_c = 64, .kernel_h = 3, .kernel_w = 3};
    shape.pad_top = shape.pad_left = 1, shape.elements = 64;
    for (const KernelMenu &menu : all_menus())
        for (const Entry &entry : menu.entries) {
            INFO(menu.core << " " << entry.name);
            CHECK_FALSE((entry.refuses(shape, set_named("x86_avx2")).empty() && entry.refuses(shape, set_named("cuda")).empty()));
        }
}

TEST_CASE("an entry takes a kernel without chains, but for those that draw") {
    for (const KernelMenu &menu : all_menus())
        for (const Entry &entry : menu.entries) {
            if (!entry.refuses_chains) continue;
            INFO(menu.core << " " << entry.name);
            const bool draws = entry.name == "lanes" || entry.name == "lane_threads";
            for (const Set &set : all_sets())
                CHECK(entry.refuses_chains({menu.core, tiles()}, set) == (draws ? "nothing behind it draws random numbers" : ""));
        }
}

TEST_CASE("on x86 random numbers are drawn by lanes and references alone") {
    int lanes = 0;
    for (const Kernel &kernel : chained_kernels({{"relu"}, {"dropout", 1}}))
        for (const Set &set : select_sets({"x86"})) {
            INFO(kernel_name(kernel) << " " << set.name);
            std::set<std::string> entries = taken(kernel, set);
            lanes += int(entries.erase("lanes"));
            CHECK(entries == std::set<std::string>{"reference"});
        }
    CHECK(lanes == 2 * 3);  // of a pass and of a pool, in three sets
}

TEST_CASE("an entry that reads its input again and again takes no chain before it") {
    const Chain relu = {{"relu"}};
    const Kernel before{"conv2d_fwd", tiles(), {{"input", relu}}}, behind{"conv2d_fwd", tiles(), {{"output", relu}}};
    CHECK(refusal(before, "register_tile", "x86_avx2") == "it reads its input again and again");
    CHECK(refusal(behind, "register_tile", "x86_avx2") == "");
    CHECK(refusal(before, "sliced", "cuda") == "it reads its input again and again");
    CHECK(refusal(behind, "sliced", "cuda") == "");
    CHECK(refusal({"conv2d_bwd_weights", tiles(), {{"d_output", relu}}}, "register_tile", "x86_avx2") ==
          "it reads its d_output again and again");
    // Winograd's tiles and a block's shared memory hold what they read.
    Kernel staged = before;
    staged.shape = {.in_h = 16, .in_w = 16, .in_c = 64, .out_h = 14, .out_w = 14, .out_c = 64, .kernel_h = 3, .kernel_w = 3};
    CHECK(refusal(staged, "winograd_f4", "x86_avx2") == "");
    CHECK(refusal(staged, "shared_tile", "cuda") == "");
}

TEST_CASE("what a chain computes for each channel lies on the stack of x86") {
    const auto gradient = [](int channels) { return Kernel{"pointwise", {.in_c = channels}, {{"output", {{"normgradient"}}}}}; };
    CHECK(refusal(gradient(4096), "channel_vectors", "x86_avx2") == "");
    CHECK(refusal(gradient(4097), "channel_vectors", "x86_avx2") == "more than 4096 channels do not fit the stack");
    CHECK(refusal(gradient(4097), "vectors", "cuda") == "");
}

TEST_CASE("entries have names of their own") {
    for (const KernelMenu &menu : all_menus()) {
        INFO(menu.core);
        std::set<std::string> names;
        for (const Entry &entry : menu.entries) CHECK(names.insert(entry.name).second);
    }
}

TEST_CASE("kernel_gen has a schedule for every entry of every menu, and no other") {
    std::set<CoreEntry> menus, generated;
    for (const KernelMenu &menu : all_menus())
        for (const Entry &entry : menu.entries) menus.insert({menu.core, entry.name});

    std::istringstream list(run_command("'" HALCYON_KERNEL_GEN "' --list").output);
    for (CoreEntry line; list >> line.first >> line.second;) generated.insert(line);
    CHECK(generated == menus);
}

TEST_CASE("an autoscheduler schedules the kernels of its set but for those that it fails on, and none of another") {
    const std::set<CoreEntry> failures = {{"batch_norm_stats", "Mullapudi2016"},
                                          {"batch_norm_stats", "Adams2019"},
                                          {"batch_norm_pool_bwd_stats", "Adams2019"},
                                          {"conv2d_pool_bwd_weights", "Adams2019"}};
    const std::set<std::string> on_devices_alone = {"conv2d_softmax_cross_entropy", "softmax_cross_entropy",
                                                    "batch_norm_stats_fwd",         "batch_norm_bwd",
                                                    "batch_norm_stats_pool_fwd",    "batch_norm_pool_bwd"};
    for (const Core &core : all_cores())
        for (const Set &set : all_sets()) {
            CAPTURE(core.name, set.name);
            const std::set<std::string> entries = taken({core.name, tiles()}, set);
            const bool fails = failures.contains({core.name, set.autoscheduler}) || on_devices_alone.contains(core.name);
            CHECK(entries.contains("autoscheduled") == (!set.autoscheduler.empty() && !fails));
            if (!set.autoscheduler.empty()) CHECK(entries.size() == (fails ? 1 : 2));  // the reference is the other
        }
}

TEST_CASE("Adams2019 takes no chains, the other autoschedulers any") {
    const Kernel chained{"max_pool2d_fwd", tiles(), {{"input", {{"affine"}}}, {"output", {{"relu"}, {"dropout"}}}}};
    for (const Set &set : select_sets({"autoscheduled"}))
        CHECK(taken(chained, set).contains("autoscheduled") == (set.autoscheduler != "Adams2019"));
}

TEST_CASE("an autoscheduler takes plain algorithms alone") {
    for (const Kernel &kernel :
         {Kernel{"conv2d_fwd", {.tile = 4}}, Kernel{"winograd_weights", {.tile = 4}}, Kernel{"conv2d_pool_fwd", {.pool_h = 2}}})
        CHECK(taken(kernel, set_named("li2018")) == std::set<std::string>{"reference"});
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
        run_command(fmt::format("'" HALCYON_KERNEL_GEN "' --cache '{0}/{1}' -g kernel -f f -e object -o '{0}' target={2} "
                                "kernel=pointwise__affine__h1w1c32 set={3} entry=autoscheduled",
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
            CHECK((make(set_named(set), cache) == object));
        }
}

TEST_CASE("the cache tells kernels apart that differ in what they ask of their inputs alone") {
    const TemporaryFolder folder;
    const auto make = [&](const char *batch) {
        run_command(fmt::format("'" HALCYON_KERNEL_GEN "' --cache '{0}/cache' -g kernel -f f -e object -o '{0}' target={1} "
                                "kernel=conv2d_bwd_weights__h3w3c2_k2r1s1{2} set=reference entry=reference",
                                folder.path().string(), set_named("reference").halide_target, batch));
        return read_bytes(folder / "f.o");
    };
    const std::string any = make(""), seven = make("_n7");
    CHECK(any.size() > 1000);
    CHECK((seven != any));
}

TEST_CASE("a kernel's innermost loops begin on cache lines") {
    const TemporaryFolder folder;
    run_command(
        fmt::format("'" HALCYON_KERNEL_GEN
                    "' -g kernel -f f -e assembly -o '{}' target={} kernel=pointwise__add__h1w1c32 set=x86_sse41 entry=channel_vectors",
                    folder.path().string(), set_named("x86_sse41").halide_target));
    CHECK(read_bytes(folder / "f.s").find(".p2align\t6") != std::string::npos);
}

TEST_CASE("Winograd's tiles are refused where they save little or outgrow the stack") {
    const auto refused = [](const char *core, const char *entry, const Shape &shape) { return refusal({core, shape}, entry, "x86_avx2"); };
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
    for (const char *core : {"conv2d_fwd", "conv2d_bwd_data", "conv2d_bwd_weights"}) {
        INFO(core);
        CHECK(refused(core, "winograd_f4", same(8, 64)) == "");
        CHECK(refused(core, "winograd_f4", same(8, 20)) == "the channels are no whole vectors");
        // Of 5x5 pixels, 169 pairs of rows and columns, four tiles make 64 outputs.
        CHECK(refused(core, "winograd_f4", same(5, 64)) == "144 products in tiles save too little beside 169");
        CHECK(refused(core, "winograd_f4", same(6, 64)) == "smaller tiles take as few products");
        CHECK(refused(core, "winograd_f2", same(6, 64)) == "");
    }
    CHECK(refused("conv2d_fwd", "winograd_f4", same(64, 64)) == "");
    CHECK(refused("conv2d_bwd_data", "winograd_f4", same(64, 64)) == "tiles of 4x4 outputs need 11520 KiB of stack");
    CHECK(refused("conv2d_bwd_data", "winograd_f4_input_tiles", same(64, 64)) == "");
    Shape valid = same(15, 64);
    valid.pad_top = valid.pad_left = 0, valid.out_h = valid.out_w = 13;
    CHECK(refused("conv2d_bwd_data", "winograd_f4_input_tiles", valid) == "");
    valid.in_h = valid.in_w = 13, valid.out_h = valid.out_w = 11;
    CHECK(refused("conv2d_bwd_data", "winograd_f4_input_tiles", valid) == "9 tiles of outputs are fewer than 16 of inputs");
    CHECK(refused("conv2d_fwd", "winograd_f4", same(8, 512)) == "tiles of 4x4 outputs need 1224 KiB of stack");
    CHECK(refused("conv2d_bwd_weights", "winograd_f4", same(8, 1024)) == "tiles of 4x4 outputs need 1584 KiB of stack");

    Shape one = same(16, 64);
    one.batch = 1, one.tile = 4;
    CHECK(refused("conv2d_fwd", "winograd_f4", one) == "a single image fills no block of images");
    CHECK(refused("conv2d_fwd", "winograd_f4_one_image", one) == "");
    CHECK(refused("conv2d_fwd", "winograd_f2_one_image", one) == "the weights are for other tiles");
    CHECK(refused("conv2d_fwd", "pixel_tile", one) == "the weights are for tiles");
    one.tile = 0;
    CHECK(refused("conv2d_fwd", "winograd_f4_one_image", one) == "the weights are not for tiles");
    CHECK(refused("conv2d_fwd", "pixel_tile", one) == "");
    one = same(4, 64);
    one.batch = 1, one.tile = 4;
    CHECK(refused("conv2d_fwd", "winograd_f4_one_image", one) == "1 tiles are too few for the weights");
    Shape pooled = same(16, 64).with_pool(
        {.in_h = 16, .in_w = 16, .out_h = 5, .out_w = 5, .kernel_h = 3, .kernel_w = 3, .stride_h = 3, .stride_w = 3});
    CHECK(refused("conv2d_pool_fwd", "winograd_f4", pooled) == "the pool's windows do not divide the tiles");
    CHECK(refused("conv2d_pool_fwd", "register_tile", pooled) == "");
    Shape far = same(80, 64).with_pool(
        {.in_h = 80, .in_w = 80, .out_h = 1, .out_w = 1, .kernel_h = 80, .kernel_w = 80, .stride_h = 80, .stride_w = 80});
    CHECK(refused("conv2d_pool_fwd", "register_tile", far) == "the pool's windows need 2400 KiB of stack");
    far.batch = 1;
    CHECK(refused("conv2d_pool_fwd", "pixel_tile", far) == "the pool's rows need 1600 KiB of stack");
}

TEST_CASE("weight gradients are made behind a pool where weights are few and windows apart") {
    const auto refused = [](const Shape &shape) { return refusal({"conv2d_pool_bwd_weights", shape}, "rows", "x86_avx2"); };
    const Shape convolution{.in_h = 16, .in_w = 16, .in_c = 1, .out_h = 16, .out_w = 16, .out_c = 512};
    const auto with_pool = [&](int kernel, int stride, int pad) {
        return convolution.with_pool(
            {.out_h = 4, .out_w = 4, .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride, .stride_w = stride, .pad_top = pad});
    };
    CHECK(refused(with_pool(4, 4, 0)) == "");
    CHECK(refused(with_pool(4, 3, 0)) == "the windows overlap");
    CHECK(refused(with_pool(4, 4, 1)) == "the first window begins in the padding");
    CHECK(refused(with_pool(4, 5, 0)) == "the windows do not divide the pixels");
    CHECK(refused(with_pool(8, 8, 0)) == "windows of 32 images need 4096 KiB of stack");
    Shape many = with_pool(4, 4, 0);
    many.in_c = 3;
    CHECK(refused(many) == "");
    many.in_c = 4;
    CHECK(refused(many) == "8192 bytes of weights are too many");
    Shape few_rows = with_pool(4, 4, 0);
    few_rows.out_h = 12, few_rows.in_c = 3;
    CHECK(refused(few_rows) == "6144 bytes of weights are too many");
}

TEST_CASE("a device's tiles are refused where they leave it idle or outgrow its shared memory") {
    const auto refused = [](const char *core, const char *entry, const Shape &shape) { return refusal({core, shape}, entry, "cuda"); };
    Shape shape{.in_h = 15, .in_w = 15, .in_c = 32, .out_h = 13, .out_w = 13, .out_c = 64, .kernel_h = 3, .kernel_w = 3};
    CHECK(refused("conv2d_fwd", "shared_tile", shape) == "");
    CHECK(refused("conv2d_bwd_data", "shared_tile", shape) == "");
    shape.batch = 1;
    CHECK(refused("conv2d_fwd", "shared_tile", shape) == "a single image fills no block of images");
    CHECK(refused("conv2d_fwd", "sliced", shape) == "");
    shape.batch = 0, shape.kernel_w = 32;
    CHECK(refused("conv2d_fwd", "shared_tile", shape) == "a block needs 81920 bytes of shared memory");
    shape.kernel_w = 3, shape.in_h = shape.in_w = 6, shape.out_h = shape.out_w = 4;
    CHECK(refused("conv2d_fwd", "shared_tile", shape) == "16 blocks of 64 images are too few");
    CHECK(refused("conv2d_bwd_data", "shared_tile", shape) == "36 blocks of 64 images are too few");

    shape.in_h = 33;
    CHECK(refused("batch_norm_stats", "rows", shape) == "more than 32 rows do not fit a block");
}
