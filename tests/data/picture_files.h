// Small pictures in files, and sources of them.
#pragma once

#include "runtime/data/source.h"
#include "tests/catch.h"
#include "tests/data/files.h"

#include <png.h>
#include <sys/resource.h>
#include <unistd.h>

/// A PNG of one colour, and the folders that lead to it.
inline void write_picture(const std::filesystem::path &path, std::uint8_t red, int h = 6, int w = 8) {
    std::filesystem::create_directories(path.parent_path());
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < h * w; ++i) pixels.insert(pixels.end(), {red, 20, 30});
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = png_uint_32(w);
    image.height = png_uint_32(h);
    image.format = PNG_FORMAT_RGB;
    REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr));
}

/// While it lives, this process works in a folder.
class WorkingFolder {
public:
    explicit WorkingFolder(const std::filesystem::path &folder) { std::filesystem::current_path(folder); }
    WorkingFolder(const WorkingFolder &) = delete;
    WorkingFolder &operator=(const WorkingFolder &) = delete;
    ~WorkingFolder() { std::filesystem::current_path(before_); }

private:
    std::filesystem::path before_ = std::filesystem::current_path();
};

/// For a model that takes 4x4x3 images.
inline halcyon::DataRequest request_for(const std::filesystem::path &path, int classes) {
    halcyon::DataRequest request;
    request.path = path;
    request.h = request.w = 4;
    request.c = 3;
    request.classes = classes;
    request.threads = 2;
    return request;
}

/// While it lives, this process can open no more files.
class NoMoreFiles {
public:
    NoMoreFiles() {
        REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const int lowest = dup(STDERR_FILENO);  // that is free
        close(lowest);
        rlimit none = before_;
        none.rlim_cur = rlim_t(lowest);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    NoMoreFiles(const NoMoreFiles &) = delete;
    NoMoreFiles &operator=(const NoMoreFiles &) = delete;
    ~NoMoreFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

inline void no_progress(std::size_t, std::size_t) {}

inline halcyon::Dataset load(const halcyon::DataRequest &request, halcyon::Split split = halcyon::Split::train) {
    return open_source(request)->load(split, no_progress);
}

/// The first byte of each record: the pictures' red.
inline std::vector<int> reds(const halcyon::Dataset &data) {
    const std::size_t record = std::size_t(data.h) * std::size_t(data.w) * std::size_t(data.c);
    REQUIRE(data.pixels.bytes().size() == record * data.labels.size());
    std::vector<int> first;
    for (std::size_t i = 0; i < data.labels.size(); ++i) first.push_back(data.pixels.bytes()[i * record]);
    return first;
}

/// What opening and loading a source of pictures says where it fails.
inline std::string refusal_of(const halcyon::DataRequest &request) {
    return message_of([&] { load(request); });
}
