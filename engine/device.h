#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/op.h"
#include "engine/tensor.h"

namespace roap {

/// Bytes of one element on the device (an f32 takes 8 on the double-precision reference).
std::size_t element_size(DeviceKind device, DType dtype);

/// Page-aligned zero-filled memory of a device. Throws DeviceError when there is too little.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t bytes);
  [[nodiscard]] std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Unmap> data_;
  std::size_t size_ = 0;
};

/// Copies host values to `count` elements of an f32 tensor on the device, and back, converting where it stores doubles.
void write_reals(DeviceKind device, void* destination, std::span<const float> values);
void write_reals(DeviceKind device, void* destination, std::span<const double> values);
void read_reals(DeviceKind device, const void* source, std::span<float> values);
void read_reals(DeviceKind device, const void* source, std::span<double> values);

/// Number of OpenMP threads of this process; 0 sets all cores. Returns the number in use.
int set_threads(int threads);
/// Peak resident memory of this process in bytes.
std::size_t peak_resident_bytes();

}  // namespace roap
