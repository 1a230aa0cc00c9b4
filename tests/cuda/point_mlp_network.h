#pragma once

#include <memory>

#include "kernels/point_mlp/point_mlp_device.h"
#include "tests/cuda/device_numbers.h"

// A network of which tests call the parts of point_mlp for CUDA.

namespace roap {

/// Quarters from -1 to 1.
inline std::vector<double> quarters(std::int64_t count, std::uint64_t salt, double scale = 1, double shift = 0) {
  std::vector<double> values = whole_numbers(count, salt);
  for (double& x : values) x = x / 4 * scale + shift;
  return values;
}

/// A network with two groups that see some of three symbols each, and its inputs.
struct Network {
  PointMlpDims d;
  std::vector<std::int32_t> columns;
  std::vector<double> y, s;
  std::vector<std::vector<double>> weights;

  Network(std::int64_t tasks, std::int64_t pairs, std::int64_t hidden, std::int64_t features, std::int64_t in = 3)
      : d{tasks, pairs, 3, 2, in, hidden, features},
        y(quarters(tasks * pairs, 1)),
        s(quarters(pairs * 3, 2)),
        weights{quarters(hidden * d.in, 3),           quarters(hidden, 4),
                quarters(hidden, 5, 0.5, 1),          quarters(hidden, 6),
                quarters(hidden * hidden, 7, 0.1),    quarters(hidden, 8),
                quarters(hidden, 9, 0.5, 1),          quarters(hidden, 10),
                quarters(features * hidden, 11, 0.1), quarters(features, 12)} {
    constexpr std::int32_t kColumns[] = {2, 0, 1, 1};
    for (std::int64_t i = 0; i < d.groups * (d.in - 1); ++i) columns.push_back(kColumns[i % 4]);
  }

  template <class T, class Get>
  [[nodiscard]] PointMlpInputs<T> inputs(const T* device_y, const T* device_s, const Get& w) const {
    return {device_y, device_s, columns.data(), {w(0), w(1), w(2), w(3), w(4), w(5), w(6), w(7), w(8), w(9)}};
  }
};

/// The same on the device.
class DeviceNetwork {
 public:
  explicit DeviceNetwork(const Network& n) : network_(n), y_(n.y), s_(n.s) {
    for (const std::vector<double>& w : n.weights) weights_.push_back(std::make_unique<DeviceFloat>(w));
  }
  [[nodiscard]] PointMlpInputs<float> inputs() const {
    return network_.inputs<float>(y_.get(), s_.get(),
                                  [&](int i) { return weights_[static_cast<std::size_t>(i)]->get(); });
  }

 private:
  const Network& network_;
  DeviceFloat y_, s_;
  std::vector<std::unique_ptr<DeviceFloat>> weights_;
};

}  // namespace roap
