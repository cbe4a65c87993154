// The models that `halcyon` has compiled, kept on the disk:
//
//     <folder>/flowers-x86_avx2-1f0c…/libhalcyon_flowers.so     and its digest, header, plan.json, and model.json as it was read
//     <folder>/flowers-x86_avx2-1f0c….lock                      locked while it is compiled
#pragma once

#include "compiler/model.h"
#include "plan/menu.h"
#include "runtime/model.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace halcyon {

/// What happens while a caller waits for a model.
struct CompilingProgress {
    std::function<void()> waits;                          // another process is compiling it
    std::function<void(int done, int kernels)> compiled;  // before the first kernel and after each
};

/// The folder in `cache` with the library of a model for these sets. Compiles it where it is not there yet or damaged, once for all
/// processes that want it; a folder appears when all of it is there. Its name depends on the model's text, the sets, kernel_gen and this
/// program. Throws std::runtime_error with one line where it cannot be compiled or kept.
std::filesystem::path compiled_model(const std::filesystem::path &cache, const Model &model, const std::vector<Set> &sets,
                                     const CompilingProgress &progress);

/// A model's library in this process.
class LoadedModel {
public:
    /// `name` is the model's. Throws std::runtime_error, one line that names the file, where the library cannot be loaded.
    LoadedModel(const std::filesystem::path &folder, const std::string &name);

    const halcyon_model &model() const { return *model_; }

private:
    struct Unload {
        void operator()(void *library) const;
    };

    std::unique_ptr<void, Unload> library_;
    const halcyon_model *model_;
};

}  // namespace halcyon
