#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace roap::io {

/// Images of one size with their classes.
struct LabelledImages {
  int channels = 0;
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels;  ///< [count, height, width, channels], 0..255
  std::vector<std::uint8_t> labels;  ///< [count], 0..9

  [[nodiscard]] std::size_t count() const { return labels.size(); }
  [[nodiscard]] std::size_t image_size() const { return static_cast<std::size_t>(channels) * height * width; }
};

struct TrainTestImages {
  LabelledImages train;
  LabelledImages test;
};

}  // namespace roap::io
