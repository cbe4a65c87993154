// Pictures that a CSV file lists with their classes.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

/// Whether a .csv file has a column of files.
bool is_file_list(const std::filesystem::path &path);

/// A row a picture: one column has its file, one its label. A first row that names them may have any other columns too: the file's is
/// called file, filename, path, image, image_id, id or the like, the label's label, class, category, target or the like, or there is just
/// one other. Without such a row the first column whose value is a picture's name or names one that is there has the files, and the other
/// one the labels. Files are relative to --images, else to the list's folder; one without a picture's ending is that which is there with
/// one. Where all labels are whole numbers they are the classes' numbers, else the classes are the labels sorted by bytes. A column called
/// split, set, subset or usage parts the rows into train (training), val (valid, validation) and test (testing). Where the model takes
/// targets all other columns have those; where these are shares of classes, only of a list without a label's column.
///
/// Throws std::runtime_error, one line that names the file and the line, where the columns cannot be told, a field is missing, a label is
/// no printable UTF-8 or over 65,535, or there is nothing to train on. Files that are not there are bad files.
std::unique_ptr<Source> open_file_list(const DataRequest &request);

}  // namespace halcyon
