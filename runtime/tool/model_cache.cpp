#include "runtime/tool/model_cache.h"

#include "compiler/build.h"
#include "compiler/command_line.h"
#include "compiler/planner.h"
#include "plan/errors.h"
#include "plan/files.h"
#include "runtime/data/digest.h"
#include "runtime/engine/machine.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits>
#include <stdexcept>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

/// Which program this file is: another one has another size or time.
void add_program(Digest &digest, const fs::path &file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) fail_for(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    for (const auto number : {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec})
        digest.add(static_cast<std::uint64_t>(number));
}

/// "flowers-x86_avx2-1f0c…": the reference, which every model has, goes without saying.
std::string folder_name(const Model &model, const std::vector<Set> &sets) {
    Digest digest;
    for (const fs::path &program : {kernel_gen_file(), fs::path("/proc/self/exe")}) add_program(digest, program);
    digest.add(model.text);
    std::string name = model.name;
    for (const Set &set : sets) {
        digest.add(set.name);
        if (set.name != "reference") name += '-' + set.name;
    }
    return fmt::format("{}-{}", name, digest.text());
}

fs::path library_in(const fs::path &folder, const Model &model) { return folder / fmt::format("libhalcyon_{}.so", model.name); }

std::string digest_of(const fs::path &file) {
    Digest digest;
    digest.add(std::string_view(read_file(file, std::numeric_limits<std::size_t>::max())));
    return digest.text();
}

/// Whether the library is there, and as it was made: a damaged one would end the process that loads it.
bool is_whole(const fs::path &folder, const Model &model) {
    const fs::path library = library_in(folder, model), digest = folder / "digest";
    return fs::exists(library) && fs::exists(digest) && read_file(digest) == digest_of(library);
}

void make_folder(const fs::path &folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
        fail_for(folder,
                 fmt::format("cannot be made: {}; compiled models are kept there, set XDG_CACHE_HOME to another folder", error.message()));
}

/// Holds a file's lock, which dies with its process.
class Lock {
public:
    Lock(const fs::path &file, const std::function<void()> &waits) : file_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
        if (file_.number() < 0)
            fail_for(file, fmt::format("cannot be written: {}; set XDG_CACHE_HOME to another folder", std::strerror(errno)));
        if (::flock(file_.number(), LOCK_EX | LOCK_NB) == 0) return;
        if (errno == EWOULDBLOCK && waits) waits();
        while (::flock(file_.number(), LOCK_EX) != 0)
            if (errno != EINTR) fail_for(file, fmt::format("cannot be locked: {}", std::strerror(errno)));
    }

private:
    Descriptor file_;
};

/// Compiles into `folder`, and leaves what is needed to run the model.
void compile(const fs::path &folder, const Model &model, const std::vector<Set> &sets, const CompilingProgress &progress) {
    const Plan plan = make_plan(model, {.sets = sets});
    build_plan(plan, model.text,
               {.output = folder,
                .cache = {},
                .kernel_gen = kernel_gen_file(),
                .include = include_folder(),
                .jobs = hardware_threads(),
                .shared = true,
                .progress = progress.compiled});
    fs::remove_all(folder / "objects");
    fs::remove(folder / fmt::format("halcyon_{}.c", model.name));
    replace_file(folder / "model.json", model.text);
    replace_file(folder / "digest", digest_of(library_in(folder, model)));
}

}  // namespace

fs::path compiled_model(const fs::path &cache, const Model &model, const std::vector<Set> &sets, const CompilingProgress &progress) {
    const fs::path folder = cache / folder_name(model, sets);
    if (is_whole(folder, model)) return folder;
    make_folder(cache);
    const Lock lock(folder.string() + ".lock", progress.waits);
    if (is_whole(folder, model)) return folder;  // another process compiled it meanwhile
    remove_leftovers(cache);
    NewFolder made(folder);
    compile(made.path(), model, sets, progress);
    fs::remove_all(folder);  // a damaged one
    made.publish();          // nobody else may: we hold the lock
    return folder;
}

LoadedModel::LoadedModel(const fs::path &folder, const std::string &name) {
    const fs::path file = folder / fmt::format("libhalcyon_{}.so", name);
    library_.reset(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL));
    using Function = const halcyon_model *();
    const auto function =
        library_ ? reinterpret_cast<Function *>(::dlsym(library_.get(), fmt::format("halcyon_{}", name).c_str())) : nullptr;
    if (!function) {
        const char *reason = ::dlerror();
        fail_for(folder, fmt::format("cannot be loaded ({}); remove the folder, and it is compiled anew", reason ? reason : "no reason"));
    }
    model_ = function();
}

void LoadedModel::Unload::operator()(void *library) const { ::dlclose(library); }

}  // namespace halcyon
