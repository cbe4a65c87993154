#include "runtime/commands/commands.h"

#include "plan/errors.h"
#include "plan/text.h"
#include "runtime/commands/predictions.h"
#include "runtime/data/picture.h"
#include "runtime/data/picture_files.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/engine/threads.h"
#include "runtime/training/metrics.h"
#include "runtime/weights/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

constexpr std::size_t largest_batch = 64;

/// Some of the images, which the network's data now holds.
struct Batch {
    std::vector<std::int32_t> records;  // of those that could be read
    std::vector<std::string> failures;  // one an image; "" where it could be read
};

/// Images to predict.
class Images {
public:
    virtual ~Images() = default;

    /// What to call each.
    const std::vector<std::string> &names() const { return names_; }

    /// Of the classes; empty where they are not known.
    virtual std::vector<std::string> class_names() const { return {}; }

    /// Gives the network the images first .. last - 1, until the next call. Begin with the first one. Pictures are treated as `options`
    /// say.
    virtual Batch bind(Network &network, const PictureOptions &options, std::size_t first, std::size_t last) = 0;

    /// How many of the pictures so far have an EXIF orientation that was not applied.
    virtual std::size_t turned() const { return 0; }

protected:
    std::vector<std::string> names_;
};

/// Pictures, which are decoded side by side.
class PictureImages : public Images {
public:
    explicit PictureImages(std::span<const std::string> names) : files_(picture_files(names)) {
        for (const PictureFile &file : files_) names_.push_back(file.path);
    }

    Batch bind(Network &network, const PictureOptions &options, std::size_t first, std::size_t last) override {
        Decoding decoding{std::span(files_).subspan(first, last - first), network.plan(), options, {}, {}, turned_};
        const std::size_t count = decoding.files.size();
        records_.assign(count * decoding.record_bytes(), 0);
        decoding.records = records_;
        decoding.failures.resize(count);
        if (count > 1 && !pool_) pool_.emplace(hardware_threads());
        if (count > 1)
            pool_->parallel_for(0, static_cast<int>(count), decode, &decoding);
        else
            decode(&decoding, 0);

        Batch batch;
        batch.failures = std::move(decoding.failures);
        for (std::size_t i = 0; i < count; ++i)
            if (batch.failures[i].empty()) batch.records.push_back(static_cast<std::int32_t>(i));
        network.bind_images(std::span<const std::uint8_t>(records_));
        return batch;
    }

    std::size_t turned() const override { return turned_; }

private:
    /// What the threads share.
    struct Decoding {
        std::span<const PictureFile> files;
        const Plan &plan;
        const PictureOptions &options;
        std::span<std::uint8_t> records;
        std::vector<std::string> failures;
        std::atomic<std::size_t> &turned;

        std::size_t record_bytes() const {
            return static_cast<std::size_t>(plan.in_h) * static_cast<std::size_t>(plan.in_w) * static_cast<std::size_t>(plan.in_c);
        }
    };

    static int decode(void *context, int index) {
        auto &decoding = *static_cast<Decoding *>(context);
        const auto i = static_cast<std::size_t>(index);
        const PictureFile &file = decoding.files[i];
        try {
            if (!file.failure.empty()) throw std::runtime_error(file.failure);
            const Plan &plan = decoding.plan;
            const Picture picture = read_picture(file.path, plan.in_h, plan.in_w, plan.in_c, decoding.options);
            std::ranges::copy(picture.pixels, decoding.records.subspan(i * decoding.record_bytes()).begin());
            if (picture.turned && !decoding.options.apply_exif) ++decoding.turned;
        } catch (const std::runtime_error &error) {
            decoding.failures[i] = error.what();
        } catch (const std::exception &error) {  // a lack of memory, which names no file
            decoding.failures[i] = fmt::format("{}: {}", file.path, message_of(error));
        }
        return 0;
    }

    std::vector<PictureFile> files_;
    std::vector<std::uint8_t> records_;
    std::atomic<std::size_t> turned_ = 0;
    std::optional<ThreadPool> pool_;
};

/// Some of the test images, or of those to validate on.
class RecordImages : public Images {
public:
    RecordImages(Dataset data, Split split, const RecordRange &range) : data_(std::move(data)), first_(range.first) {
        if (range.last > data_.size())
            throw std::runtime_error(fmt::format("--records {}:{}: there are {} {} images, 0:{}", range.first, range.last, data_.size(),
                                                 name_of(split), data_.size()));
        const std::string prefix = split == Split::test ? "" : fmt::format("{} ", name_of(split));
        for (int i = range.first; i < range.last; ++i) names_.push_back(fmt::format("{}record {}", prefix, i));
    }

    std::vector<std::string> class_names() const override { return data_.class_names; }

    Batch bind(Network &network, const PictureOptions &, std::size_t first, std::size_t last) override {
        if (first == 0) network.bind_data(data_.pixels.records(), data_.answers());
        Batch batch;
        for (std::size_t i = first; i < last; ++i) batch.records.push_back(first_ + static_cast<std::int32_t>(i));
        batch.failures.resize(last - first);
        return batch;
    }

private:
    Dataset data_;
    std::int32_t first_;
};

std::unique_ptr<Images> choose_images(const PredictOptions &options, const Plan &plan) {
    const TrainingImages trained_on = read_training_images(options.weights, plan);
    if (!options.records) {
        require_same_type(trained_on, false, options.images.front(), options.weights);
        return std::make_unique<PictureImages>(options.images);
    }
    const ChosenData source = choose_data(options.data, plan, hardware_threads(), trained_on);
    const Split split = source.split_to_evaluate();
    Dataset data = source.load(split);
    require_same_type(trained_on, data.pixels.are_floats(), source.description(), options.weights);
    return std::make_unique<RecordImages>(std::move(data), split, *options.records);
}

/// The predictions of each image that could be read, one after the other.
std::span<const float> infer(Network &network, const Batch &batch) {
    if (batch.records.empty()) return {};
    network.infer(batch.records);
    return network.predictions();
}

}  // namespace

int run_predict(const halcyon_model &model, const PredictOptions &options) {
    Plan plan = plan_of(model);
    require_top(options.top, plan);
    const std::unique_ptr<Images> images = choose_images(options, plan);
    const std::size_t count = images->names().size(), most = std::min(largest_batch, count);
    const Set &set = choose_set("auto", compiled_sets(plan));
    Network network(model, std::move(plan), set.name, hardware_threads(), static_cast<int>(most));
    const auto an_image = static_cast<std::size_t>(network.plan().predictions());
    const LoadedWeights loaded =
        load_named_weights(options.weights, network, options.allow_nonfinite ? NonfiniteWeights::allowed : NonfiniteWeights::refused);
    const PredictionLines lines{options.format, options.top,
                                loaded.images.class_names.empty() ? images->class_names() : loaded.images.class_names,
                                network.plan().units(), network.plan().has_unit_labels()};
    const PictureOptions pictures = loaded.images.pictures.value_or(PictureOptions{});

    // An image that cannot be predicted does not keep the others from it.
    int code = exit_done;
    const auto give_up = [&](const std::string &image, const std::string &failure) {
        const std::runtime_error error(failure);
        report(model.name, error);
        fmt::print("{}", lines.failure(image, message_of(error)));
        code = exit_failed;
    };
    fmt::print("{}", lines.header());
    for (std::size_t first = 0; first < count; first += most) {
        const Batch batch = images->bind(network, pictures, first, std::min(first + most, count));
        std::span<const float> rest = infer(network, batch);
        for (std::size_t i = 0; i < batch.failures.size(); ++i) {
            const std::string &image = images->names()[first + i];
            if (!batch.failures[i].empty()) {
                give_up(image, batch.failures[i]);
                continue;
            }
            const std::span<const float> predictions = rest.first(an_image);
            rest = rest.subspan(an_image);
            if (all_finite(predictions) || options.allow_nonfinite)
                fmt::print("{}", lines.prediction(image, predictions));
            else
                give_up(image, fmt::format("{}: its {} are not finite; train the weights in {} anew, with a lower learning rate", image,
                                           lines.made(), options.weights));
        }
    }
    if (images->turned() > 0)
        fmt::print(stderr, "{}: {} of the pictures have an EXIF orientation, which is ignored as in training; train with --apply-exif\n",
                   model.name, images->turned());
    return code;
}

}  // namespace halcyon
