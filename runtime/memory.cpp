#include "runtime/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <stdexcept>
#include <sys/mman.h>

namespace halcyon {

void prefer_huge_pages(void *begin, std::size_t bytes) {
    constexpr std::size_t huge_page = 2 << 20;
    std::size_t space = bytes;
    void *aligned = begin;
    // Advice: where the system has none, pages are small as before.
    if (std::align(huge_page, huge_page, aligned, space)) ::madvise(aligned, space / huge_page * huge_page, MADV_HUGEPAGE);
}

Block::Block(std::int64_t bytes) : size_(bytes) {
    constexpr std::int64_t alignment = 64;  // a cache line, and the widest vector
    data_.reset(
        static_cast<std::byte *>(std::aligned_alloc(alignment, static_cast<std::size_t>((bytes + alignment - 1) / alignment * alignment))));
    if (!data_ && bytes > 0) throw std::bad_alloc();
    prefer_huge_pages(data_.get(), static_cast<std::size_t>(bytes));
}

Memory::Memory(const Plan &plan, const SetPlan &set, int max_batch) : max_batch_(max_batch) {
    std::int64_t arena_per_image = 0, arena_fixed = 0;
    for (const Program &program : set.programs) {
        arena_per_image = std::max(arena_per_image, program.arena_bytes_per_image);
        arena_fixed = std::max(arena_fixed, program.arena_bytes_fixed);
    }
    const auto allocate = [&](Home home, std::int64_t bytes) { blocks_[static_cast<std::size_t>(home)] = Block(bytes); };
    allocate(Home::arena_batch, arena_per_image * max_batch);
    allocate(Home::arena_fixed, arena_fixed);
    allocate(Home::parameters, plan.parameter_bytes);
    allocate(Home::gradients, plan.parameter_bytes);
    allocate(Home::moving, plan.moving_bytes);
    allocate(Home::optimizer, 2 * plan.parameter_bytes);
    allocate(Home::prepared, set.prepared_bytes);
    for (const Home home : {Home::parameters, Home::gradients, Home::moving, Home::optimizer}) std::ranges::fill(slab(home), 0.0F);
}

std::span<float> Memory::slab(Home home) {
    return {reinterpret_cast<float *>(block(home).data()), static_cast<std::size_t>(block(home).size()) / sizeof(float)};
}

void Memory::bind(std::string_view name, const void *memory) {
    // Kernels take inputs and outputs alike as pointers to mutable bytes.
    external_.insert_or_assign(std::string(name), static_cast<std::byte *>(const_cast<void *>(memory)));
}

std::byte *Memory::address(const Buffer &buffer) const {
    if (buffer.home == Home::external) {
        const auto bound = external_.find(buffer.name);
        if (bound == external_.end()) throw std::runtime_error(fmt::format("nothing is bound to the network's \"{}\"", buffer.name));
        return bound->second;
    }
    const std::int64_t images = buffer.home == Home::arena_batch ? max_batch_ : 1;
    if (buffer.offset < 0 || (buffer.offset + buffer.bytes) * images > block(buffer.home).size())
        throw std::runtime_error(fmt::format("the plan places buffer \"{}\" outside its memory", buffer.name));
    return block(buffer.home).data() + buffer.offset * images;
}

}  // namespace halcyon
