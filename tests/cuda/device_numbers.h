#pragma once

#include <type_traits>
#include <vector>

#include "engine/backend.h"
#include "engine/device.h"
#include "kernels/common/cuda_types.h"
#include "kernels/common/philox.h"

namespace roap {

/// Numbers in memory of the device, stored as Stored: std::uint16_t (bf16) or float.
template <class Stored>
class DeviceNumbers {
 public:
  explicit DeviceNumbers(const std::vector<double>& values) : stored_(values.size()) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto x = static_cast<float>(values[i]);
      stored_[i] = kIsFloat ? static_cast<Stored>(x) : static_cast<Stored>(to_bf16(x));
    }
    memory_ = device().allocate(bytes());
    device().upload(memory_, stored_.data(), bytes());
  }
  DeviceNumbers(const DeviceNumbers&) = delete;
  DeviceNumbers& operator=(const DeviceNumbers&) = delete;
  ~DeviceNumbers() { device().release(memory_, bytes()); }
  [[nodiscard]] auto* get() const {
    return reinterpret_cast<std::conditional_t<kIsFloat, float, cuda::Bf16>*>(memory_);
  }
  [[nodiscard]] std::vector<double> values() {
    device().download(stored_.data(), memory_, bytes());
    std::vector<double> values(stored_.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = kIsFloat ? static_cast<double>(stored_[i]) : from_bf16(static_cast<std::uint16_t>(stored_[i]));
    }
    return values;
  }

 private:
  static constexpr bool kIsFloat = std::is_same_v<Stored, float>;
  static Backend& device() { return backend_of(DeviceKind::cuda); }
  [[nodiscard]] std::size_t bytes() const { return stored_.size() * sizeof(Stored); }
  std::vector<Stored> stored_;
  std::byte* memory_ = nullptr;
};
using DeviceBf16 = DeviceNumbers<std::uint16_t>;
using DeviceFloat = DeviceNumbers<float>;

/// Whole numbers from -4 to 4: products and sums are exact.
inline std::vector<double> whole_numbers(std::int64_t count, std::uint64_t salt) {
  const RandomKey key = random_key(salt, RandomStream::test, 0);
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(bounded(philox(key, i).x[0], 9)) - 4;
  return values;
}

inline std::vector<double> zeros(std::int64_t count) { return std::vector<double>(static_cast<std::size_t>(count)); }

}  // namespace roap
