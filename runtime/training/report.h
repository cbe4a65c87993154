// report.html: what a run came to, on one page that needs nothing else, for people to look at, print and send.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace halcyon {

/// The page about these runs, beside each other: the figures and curves of their epochs, what their best weights are worth class by class,
/// their pictures, and all that is needed to repeat them. It is made of what lies in their folders alone; what a run has not written yet is
/// left out. Throws std::runtime_error, one line that names the file, where one cannot be read.
std::string report_page(const std::vector<std::filesystem::path> &runs);

/// Replaces the file at once by that page. Throws std::runtime_error, one line that names it, where it cannot be written.
void write_report(const std::vector<std::filesystem::path> &runs, const std::filesystem::path &file);

}  // namespace halcyon
