#include "runtime/weights/checkpoint.h"

#include "plan/errors.h"
#include "plan/json.h"
#include "plan/text.h"
#include "runtime/data/data_settings.h"
#include "runtime/training/recipe.h"
#include "runtime/weights/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

const std::string optimizer_prefix = "optimizer/";

/// A tensor of the file and the floats it is saved from or loaded into.
struct Slot {
    std::string name;
    std::vector<std::int64_t> shape;
    std::span<float> values;
};

std::vector<std::int64_t> shape_of(const Parameter &parameter) { return {parameter.shape.begin(), parameter.shape.end()}; }

std::vector<Slot> weight_slots(Network &network) {
    std::vector<Slot> slots;
    for (const Parameter &parameter : network.plan().parameters)
        slots.push_back({parameter.name, shape_of(parameter), network.weight(parameter)});
    return slots;
}

std::vector<Slot> optimizer_slots(Network &network, const Optimizer &optimizer) {
    std::vector<Slot> slots;
    for (const Parameter &parameter : network.plan().parameters) {
        if (parameter.home != Home::parameters) continue;  // moving statistics are not trained
        for (std::size_t i = 0; i < optimizer.slots.size(); ++i)
            slots.push_back({optimizer_prefix + parameter.name + "/" + optimizer.slots[i].saved_as, shape_of(parameter),
                             network.optimizer_state(parameter, static_cast<int>(i))});
        if (!network.average_slab().empty())
            slots.push_back({optimizer_prefix + parameter.name + "/average", shape_of(parameter), network.average(parameter)});
    }
    return slots;
}

std::string shape_text(const std::vector<std::int64_t> &shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

/// Throws where the file's tensor cannot be loaded into `slot`.
void check(const fs::path &path, const TensorFile &file, const Slot &slot, const std::string &model) {
    const auto found = file.tensors.find(slot.name);
    if (found == file.tensors.end())
        fail_for(path, fmt::format("there is no tensor \"{}\" {}, which the model {} needs", slot.name, shape_text(slot.shape), model));
    const TensorView &tensor = found->second;
    if (tensor.shape != slot.shape)
        fail_for(path, fmt::format("tensor \"{}\" has the shape {}, but the model {} needs {}", slot.name, shape_text(tensor.shape), model,
                                   shape_text(slot.shape)));
    if (!is_float(tensor.type))
        fail_for(path, fmt::format("tensor \"{}\" is of type {}, but the model {} needs F32, F16, BF16 or F64", slot.name,
                                   name_of(tensor.type), model));
}

/// Throws where the file's tensor holds what is no finite float32, or a variance below zero, of which the network would make NaN.
void check_values(const fs::path &path, const TensorFile &file, const Slot &slot) {
    std::vector<std::string> found;
    const auto count = [&](const char *what, bool (*counts)(double)) {
        if (const std::size_t n = count_values(file.tensors.at(slot.name), counts)) found.push_back(fmt::format("{} {}", n, what));
    };
    count("NaN", [](double value) { return std::isnan(value); });
    count("infinite", [](double value) { return std::isinf(value); });
    count("too large for float32", [](double value) { return std::isfinite(value) && std::isinf(static_cast<float>(value)); });
    if (slot.name.ends_with("variance")) count("negative", [](double value) { return value < 0; });
    if (!found.empty())
        fail_for(path, fmt::format("tensor \"{}\": {} among its {} values; train or export the weights anew", slot.name,
                                   fmt::join(found, ", "), slot.values.size()));
}

void check_known(const fs::path &path, const TensorFile &file, const std::vector<Slot> &weights, const std::string &model) {
    for (const auto &[name, tensor] : file.tensors) {
        const bool known = name.starts_with(optimizer_prefix) ||
                           std::any_of(weights.begin(), weights.end(), [&name = name](const Slot &slot) { return slot.name == name; });
        if (!known) fail_for(path, fmt::format("tensor \"{}\" {} is no weight of the model {}", name, shape_text(tensor.shape), model));
    }
}

void check_weights(const fs::path &path, const TensorFile &file, const std::vector<Slot> &weights, const std::string &model) {
    for (const Slot &slot : weights) check(path, file, slot, model);
    check_known(path, file, weights, model);
}

void copy(const TensorFile &file, const std::vector<Slot> &slots) {
    for (const Slot &slot : slots) copy_floats(file.tensors.at(slot.name), slot.values);
}

/// An entry that a run's checkpoint has.
const std::string &entry(const fs::path &path, const Metadata &metadata, const std::string &key) {
    const auto found = metadata.find(key);
    if (found == metadata.end())
        fail_for(
            path,
            fmt::format("its metadata have no \"{}\": it holds weights, from which --init begins, but no run that could be resumed", key));
    return found->second;
}

/// A number of the metadata, written so that it reads back to the same bits. NaN is in no range.
template<typename T>
T number(const fs::path &path, const Metadata &metadata, const std::string &key, T lowest, T highest = std::numeric_limits<T>::max()) {
    const std::string &text = entry(path, metadata, key);
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= lowest && value <= highest))
        fail_for(path, fmt::format("its metadata's \"{}\" must be a number from {} to {}, not \"{}\"", key, lowest, highest,
                                   shortened(text, 100)));
    return value;
}

// What the metadata call the sum of the metric: of accuracies it counts the images that are right.
const std::string metric_sum = "correct";

// The types of records, as the metadata call them.
const std::string byte_records = "uint8", float_records = "float32";

void describe(Metadata &metadata, const TrainingImages &images) {
    metadata["classes"] = nlohmann::json(images.class_names).dump();
    if (images.pictures) metadata["pictures"] = to_json(*images.pictures);
    if (images.floats) metadata["records"] = *images.floats ? float_records : byte_records;
}

std::optional<PictureOptions> parse_pictures(const fs::path &path, const Metadata &metadata) {
    const auto found = metadata.find("pictures");
    if (found == metadata.end()) return std::nullopt;
    return parse_picture_options(found->second, path.string() + ": its metadata's \"pictures\"");
}

std::optional<bool> parse_records(const fs::path &path, const Metadata &metadata) {
    const auto found = metadata.find("records");
    if (found == metadata.end()) return std::nullopt;
    if (found->second != float_records && found->second != byte_records)
        fail_for(path, fmt::format("its metadata's \"records\" must be {} or {}, not \"{}\"", byte_records, float_records,
                                   shortened(found->second, 100)));
    return found->second == float_records;
}

Metadata to_metadata(const Checkpoint &checkpoint) {
    const TrainingState &state = checkpoint.state;
    Metadata metadata = {
        {"config", checkpoint.config},
        {"step", fmt::format("{}", state.step)},
        {"epoch", fmt::format("{}", state.epoch)},
        {"position", fmt::format("{}", state.position)},
        {"loss_sum", fmt::format("{}", state.loss)},
        {metric_sum, fmt::format("{}", state.metric)},
        {"seconds", fmt::format("{}", state.seconds)},
    };
    describe(metadata, checkpoint.images);
    if (state.best.score) {
        metadata["best_score"] = fmt::format("{}", *state.best.score);
        metadata["best_epoch"] = fmt::format("{}", state.best.epoch);
    }
    if (const Plateau &plateau = state.plateau; plateau.best_score) {
        metadata["plateau_score"] = fmt::format("{}", *plateau.best_score);
        metadata["plateau_wait"] = fmt::format("{}", plateau.wait);
        metadata["plateau_cooldown"] = fmt::format("{}", plateau.cooldown);
        metadata["plateau_reductions"] = fmt::format("{}", plateau.reductions);
    }
    return metadata;
}

TrainingState parse_state(const fs::path &path, const Metadata &metadata, Metric metric) {
    TrainingState state;
    state.step = number<std::int64_t>(path, metadata, "step", 0);
    state.epoch = number<std::uint32_t>(path, metadata, "epoch", 0, largest_count);
    state.position = number<int>(path, metadata, "position", 0);
    state.loss = number<double>(path, metadata, "loss_sum", 0);
    state.metric = number<double>(path, metadata, metric_sum, 0, is_error(metric) ? std::numeric_limits<double>::max() : state.position);
    state.seconds = number<double>(path, metadata, "seconds", 0);
    if (metadata.contains("best_score")) {
        state.best.score = number<double>(path, metadata, "best_score", std::numeric_limits<double>::lowest());
        state.best.epoch = number<std::uint32_t>(path, metadata, "best_epoch", 1, state.epoch);
    }
    if (metadata.contains("plateau_score")) {
        state.plateau.best_score = number<double>(path, metadata, "plateau_score", std::numeric_limits<double>::lowest());
        state.plateau.wait = number<int>(path, metadata, "plateau_wait", 0, largest_count);
        state.plateau.cooldown = number<int>(path, metadata, "plateau_cooldown", 0, largest_count);
        state.plateau.reductions = number<int>(path, metadata, "plateau_reductions", 0, largest_count);
    }
    return state;
}

/// The metadata of a file of ours; what others write under the same keys means something else.
Metadata our_metadata(const TensorFile &file) { return file.ours ? file.metadata : Metadata(); }

std::vector<std::string> parse_class_names(const fs::path &path, const Metadata &metadata, const Plan &plan) {
    const auto found = metadata.find("classes");
    if (found == metadata.end()) return {};
    std::vector<std::string> names;
    try {
        names = parse_json(found->second, path.string()).get<std::vector<std::string>>();
    } catch (const std::exception &) {
        fail_for(path, fmt::format("its metadata's \"classes\" is no list of names: {}", shortened(found->second, 100)));
    }
    if (std::ranges::find(names, "") != names.end()) fail_for(path, "its metadata's \"classes\" has an empty name");
    if (!names.empty() && names.size() != std::size_t(plan.predictions()))
        fail_for(path, fmt::format("its metadata's \"classes\" has {} names, but the model {} has {} {}", names.size(), plan.model,
                                   plan.predictions(), plan.classes > 0 ? "classes" : "targets"));
    return names;
}

TrainingImages parse_images(const fs::path &path, const Metadata &metadata, const Plan &plan) {
    return {parse_class_names(path, metadata, plan), parse_pictures(path, metadata), parse_records(path, metadata)};
}

TensorViews views(const std::vector<Slot> &slots) {
    TensorViews tensors;
    for (const Slot &slot : slots) tensors[slot.name] = view_floats(slot.values, slot.shape);
    return tensors;
}

}  // namespace

void save_checkpoint(const fs::path &path, Network &network, const Optimizer &optimizer, const Checkpoint &checkpoint) {
    TensorViews tensors = views(weight_slots(network));
    tensors.merge(views(optimizer_slots(network, optimizer)));
    write_safetensors(path, tensors, to_metadata(checkpoint));
}

std::string read_config(const fs::path &path) { return entry(path, our_metadata(read_safetensors(path)), "config"); }

std::string find_non_finite(Network &network, const Optimizer &optimizer) {
    for (const std::vector<Slot> &slots : {weight_slots(network), optimizer_slots(network, optimizer)})
        for (const Slot &slot : slots) {
            const auto count = std::ranges::count_if(slot.values, [](float value) { return !std::isfinite(value); });
            if (count > 0) return fmt::format("{}: {} of {} values are not finite", slot.name, count, slot.values.size());
        }
    return "";
}

Checkpoint load_checkpoint(const fs::path &path, Network &network, const Optimizer &optimizer) {
    const TensorFile file = read_safetensors(path);
    const std::vector<Slot> weights = weight_slots(network), moments = optimizer_slots(network, optimizer);
    const Metadata metadata = our_metadata(file);
    Checkpoint checkpoint = {parse_state(path, metadata, network.plan().metric), parse_images(path, metadata, network.plan()),
                             entry(path, metadata, "config")};
    check_weights(path, file, weights, network.plan().model);
    for (const Slot &slot : moments) check(path, file, slot, network.plan().model);
    for (const std::vector<Slot> &slots : {weights, moments})
        for (const Slot &slot : slots) check_values(path, file, slot);
    copy(file, weights);
    copy(file, moments);
    return checkpoint;
}

void save_weights(const fs::path &path, Network &network, const TrainingImages &images) {
    Metadata metadata;
    describe(metadata, images);
    write_safetensors(path, views(weight_slots(network)), metadata);
}

namespace {

/// `weights` as load_weights() has them, of which each is in the file.
LoadedWeights load(const fs::path &path, const TensorFile &file, const Plan &plan, const std::vector<Slot> &weights,
                   NonfiniteWeights nonfinite) {
    LoadedWeights loaded;
    loaded.images = parse_images(path, our_metadata(file), plan);
    for (const Slot &slot : weights) {
        if (nonfinite == NonfiniteWeights::refused) check_values(path, file, slot);
        if (const DType type = file.tensors.at(slot.name).type; type != DType::f32) loaded.converted_types.insert(name_of(type));
    }
    copy(file, weights);
    return loaded;
}

}  // namespace

LoadedWeights load_weights(const fs::path &path, Network &network, NonfiniteWeights nonfinite) {
    const TensorFile file = read_safetensors(path);
    const std::vector<Slot> weights = weight_slots(network);
    check_weights(path, file, weights, network.plan().model);
    return load(path, file, network.plan(), weights, nonfinite);
}

LoadedWeights load_first_weights(const fs::path &path, Network &network) {
    const TensorFile file = read_safetensors(path);
    std::vector<Slot> weights = weight_slots(network);
    const std::string &model = network.plan().model;
    check_known(path, file, weights, model);
    std::vector<std::string> missing;
    std::erase_if(weights, [&](const Slot &slot) {
        const bool is_missing = !file.tensors.contains(slot.name);
        if (is_missing) missing.push_back(slot.name);
        return is_missing;
    });
    if (weights.empty()) fail_for(path, fmt::format("it holds no weight of the model {}", model));
    for (const Slot &slot : weights) check(path, file, slot, model);
    LoadedWeights loaded = load(path, file, network.plan(), weights, NonfiniteWeights::refused);
    loaded.missing = std::move(missing);
    return loaded;
}

TrainingImages read_training_images(const fs::path &path, const Plan &plan) {
    return parse_images(path, our_metadata(read_safetensors(path)), plan);
}

}  // namespace halcyon
