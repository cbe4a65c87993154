#include "runtime/engine/memory.h"

#include "plan/optimizers.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <stdexcept>
#include <sys/mman.h>
#include <utility>

namespace halcyon {

namespace {

/// Asks for huge pages under memory that is about to be written: the system maps and clears 2 MiB at a time instead of 4 KiB. So CIFAR-10's
/// training images are read in 45 ms instead of 136, and the first step is 10 ms faster.
void prefer_huge_pages(void *begin, std::size_t bytes) {
    constexpr std::size_t huge_page = 2 << 20;
    std::size_t space = bytes;
    void *aligned = begin;
    // Advice: where the system has none, pages are small as before.
    if (std::align(huge_page, huge_page, aligned, space)) ::madvise(aligned, space / huge_page * huge_page, MADV_HUGEPAGE);
}

}  // namespace

Block::Block(std::int64_t bytes) : size_(bytes) {
    constexpr std::int64_t alignment = 64;  // a cache line, and the widest vector
    data_.reset(
        static_cast<std::byte *>(std::aligned_alloc(alignment, static_cast<std::size_t>((bytes + alignment - 1) / alignment * alignment))));
    if (!data_ && bytes > 0)
        throw std::runtime_error(fmt::format("the system refuses {} MiB of memory: give a smaller batch", bytes >> 20));
    prefer_huge_pages(data_.get(), static_cast<std::size_t>(bytes));
}

Address place_of(const void *memory) { return {.host = static_cast<std::byte *>(const_cast<void *>(memory))}; }

TwinBlock::TwinBlock(const halide_device_interface_t *device, Session &session, std::int64_t bytes) : host_(bytes) {
    if (device && bytes > 0) device_.emplace(device, session, bytes);
}

Address TwinBlock::place(std::int64_t offset) {
    if (!device_) return {.host = host_.data() + offset};
    return {.device = device_->device(), .on_device = device_->at(offset)};
}

void TwinBlock::send(std::int64_t bytes) {
    if (device_) device_->send(0, host_.data(), bytes);
}

void TwinBlock::fetch(std::int64_t bytes) {
    if (device_) device_->fetch(0, host_.data(), bytes);
}

void TwinBlock::wait() {
    if (device_) device_->wait();
}

namespace {

std::span<const std::byte> bytes_of(const auto &spans) {
    return std::visit([](const auto &values) { return std::as_bytes(values); }, spans);
}

}  // namespace

PlacedData::PlacedData(const halide_device_interface_t *device, Session &session, const Records &images, const Answers &answers,
                       int records, int shared_classes, bool are_features)
    : shared_classes_(shared_classes), are_features_(are_features), image_bytes_(bytes_of(images).size()) {
    const std::span<const std::byte> answer_bytes = bytes_to_read(answers);
    if (device) {
        images_on_device_.emplace(device, session, static_cast<std::int64_t>(image_bytes_));
        answers_on_device_.emplace(device, session, static_cast<std::int64_t>(answer_bytes.size()));
        images_ = {.device = device, .on_device = images_on_device_->at(0)};
        answers_ = {.device = device, .on_device = answers_on_device_->at(0)};
    }
    fill(images, answer_bytes, records);
}

bool PlacedData::refill(const Records &images, const Answers &answers, int records) {
    if (images_on_device_ && (bytes_of(images).size() != image_bytes_ || records != records_)) return false;
    fill(images, bytes_to_read(answers), records);
    return true;
}

std::span<const std::byte> PlacedData::bytes_to_read(const Answers &answers) {
    const auto *labels = std::get_if<std::span<const std::uint16_t>>(&answers);
    if (!labels || shared_classes_ == 0) return bytes_of(answers);
    const auto classes = static_cast<std::size_t>(shared_classes_);
    const std::size_t values = labels->size() * classes;
    if (values > one_hot_.capacity() && std::cmp_greater(values * sizeof(float), available_memory()))
        throw std::runtime_error(fmt::format("{} labels are too many for this machine's memory as targets of {} classes; a model with "
                                             "sparse_categorical_crossentropy takes them as they are",
                                             labels->size(), classes));
    one_hot_.assign(values, 0.0F);
    for (std::size_t i = 0; i < labels->size(); ++i) one_hot_[i * classes + (*labels)[i]] = 1;
    return std::as_bytes(std::span(one_hot_));
}

void PlacedData::fill(const Records &images, std::span<const std::byte> answer_bytes, int records) {
    const std::span<const std::byte> bytes = bytes_of(images);
    if (images_on_device_) {
        images_on_device_->send(0, bytes.data(), static_cast<std::int64_t>(bytes.size()));
        answers_on_device_->send(0, answer_bytes.data(), static_cast<std::int64_t>(answer_bytes.size()));
    } else {
        images_ = place_of(bytes.data());
        answers_ = place_of(answer_bytes.data());
    }
    kind_ = are_features_                                            ? RecordKind::features
            : std::holds_alternative<std::span<const float>>(images) ? RecordKind::floats
                                                                     : RecordKind::bytes;
    records_ = records;
}

namespace {

constexpr std::array slabs = {Home::parameters, Home::gradients, Home::moving, Home::optimizer};

/// Bytes of an image as the layers read it, and of its features, which the network keeps beside the arena for every image of a batch.
std::int64_t input_bytes(const Plan &plan, const SetPlan &set) {
    const Buffer *features = find_features(set);
    return std::int64_t{4} * plan.in_h * plan.in_w * plan.in_c + (features ? bytes_of(*features, 1) : 0);
}

/// Bytes of every home, of the batch's arena for one image.
std::map<Home, std::int64_t> bytes_of_homes(const Plan &plan, const SetPlan &set) {
    std::int64_t arena_per_image = 0, arena_fixed = 0;
    std::map<Home, std::int64_t> constants;
    for (const Program &program : set.programs) {
        for (const Buffer &buffer : program.buffers)
            if (is_constant(buffer.home)) constants[buffer.home] = std::max(constants[buffer.home], align_buffer(buffer.bytes));
        arena_per_image = std::max(arena_per_image, program.arena_bytes_per_image);
        arena_fixed = std::max(arena_fixed, program.arena_bytes_fixed);
    }
    return {{Home::arena_batch, arena_per_image},     {Home::arena_fixed, arena_fixed},
            {Home::parameters, plan.parameter_bytes}, {Home::gradients, plan.parameter_bytes},
            {Home::moving, plan.moving_bytes},        {Home::optimizer, most_optimizer_slots() * plan.parameter_bytes},
            {Home::prepared, set.prepared_bytes},     {Home::zeros, constants[Home::zeros]},
            {Home::ones, constants[Home::ones]}};
}

/// Images of which no buffer outgrows what a kernel can address.
std::int64_t addressable_batch(const SetPlan &set) {
    std::int64_t most = std::numeric_limits<int>::max();
    for (const Program &program : set.programs)
        for (const Buffer &buffer : program.buffers)
            if (program.name != "infer_one" && std::ranges::any_of(buffer.extents, counts_images))
                most = std::min(most, addressable_bytes / bytes_of(buffer, 1));
    return most;
}

std::span<float> floats_of(const TwinBlock &block) {
    return {reinterpret_cast<float *>(block.host()), static_cast<std::size_t>(block.size()) / sizeof(float)};
}

std::string in_mib(double bytes) { return fmt::format("{:.1f} MiB", bytes / (1 << 20)); }

}  // namespace

const Buffer *find_features(const SetPlan &set) {
    const auto program = std::ranges::find(set.programs, "features", &Program::name);
    if (program == set.programs.end()) return nullptr;
    const auto buffer = std::ranges::find(program->buffers, "frozen features", &Buffer::name);
    return buffer == program->buffers.end() ? nullptr : &*buffer;
}

void check_batch(const Plan &plan, const SetPlan &set, int max_batch, std::int64_t available) {
    if (max_batch < 1) throw std::invalid_argument(fmt::format("a largest batch of {} images: it must be at least 1", max_batch));
    const std::int64_t addressable = addressable_batch(set);
    if (max_batch > addressable)
        throw std::invalid_argument(
            fmt::format("a batch of {} images is more than the kernels can address: {} images fit", max_batch, addressable));
    if (device_of(set.set)) return;  // which tells itself what it has room for

    std::int64_t fixed = 0;
    for (const auto &[home, bytes] : bytes_of_homes(plan, set)) fixed += home == Home::arena_batch ? 0 : bytes;
    const std::int64_t image = bytes_of_homes(plan, set).at(Home::arena_batch) + input_bytes(plan, set);
    const double needed = static_cast<double>(fixed) + static_cast<double>(image) * max_batch;
    if (needed <= static_cast<double>(available)) return;
    const std::int64_t fit = image > 0 && available > fixed ? (available - fixed) / image : 0;
    throw std::invalid_argument(fmt::format("a batch of {} images needs {} of memory, and {} are available: {} images fit", max_batch,
                                            in_mib(needed), in_mib(static_cast<double>(available)), fit));
}

Memory::Memory(const Plan &plan, const SetPlan &set, int max_batch, Session &session) : max_batch_(max_batch) {
    check_batch(plan, set, max_batch, available_memory());
    std::map<Home, std::int64_t> bytes = bytes_of_homes(plan, set);
    bytes[Home::arena_batch] *= max_batch;
    for (int home = 0; home < static_cast<int>(Home::external); ++home)
        blocks_.emplace_back(device_of(set.set), session, bytes.at(static_cast<Home>(home)));
    for (const auto &[home, value] : {std::pair(Home::zeros, 0.0F), std::pair(Home::ones, 1.0F)}) {
        TwinBlock &constants = block(home);
        std::ranges::fill(floats_of(constants), value);
        constants.send(constants.size());
    }
    clear_slabs();
}

void Memory::clear_slabs() {
    for (const Home home : slabs) {
        is_on_host_[static_cast<std::size_t>(home)] = true;  // whatever a device has there
        std::ranges::fill(slab(home), 0.0F);
    }
}

std::span<float> Memory::slab(Home home) {
    TwinBlock &slab = block(home);
    if (!std::exchange(is_on_host_[static_cast<std::size_t>(home)], true)) slab.fetch(slab.size());
    return floats_of(slab);
}

void Memory::begin_run() {
    for (const Home home : slabs)
        if (std::exchange(is_on_host_[static_cast<std::size_t>(home)], false)) block(home).send(block(home).size());
}

void Memory::bind(std::string_view name, const Address &place) { external_.insert_or_assign(std::string(name), place); }

Address Memory::place(const Buffer &buffer) {
    if (buffer.home == Home::external) {
        const auto bound = external_.find(buffer.name);
        if (bound == external_.end()) throw std::runtime_error(fmt::format("nothing is bound to the network's \"{}\"", buffer.name));
        return bound->second;
    }
    const std::int64_t images = buffer.home == Home::arena_batch ? max_batch_ : 1;
    if (buffer.offset < 0 || (buffer.offset + buffer.bytes) * images > block(buffer.home).size())
        throw std::runtime_error(fmt::format("the plan places buffer \"{}\" outside its memory", buffer.name));
    return block(buffer.home).place(buffer.offset * images);
}

}  // namespace halcyon
