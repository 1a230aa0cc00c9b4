#pragma once

#include <filesystem>

#include "io/labelled_images.h"

namespace roap::io {

/// Reads CIFAR-10 in its binary form: data_batch_1.bin .. data_batch_5.bin and test_batch.bin in `folder`, or in its
/// subfolder cifar-10-batches-bin. 32 x 32 RGB. DataError names the file and, for a bad label, the record and byte.
TrainTestImages load_cifar10(const std::filesystem::path& folder);

/// Appends the 10,000 images of one file to `images`.
void append_cifar10_batch(const std::filesystem::path& file, LabelledImages& images);

}  // namespace roap::io
