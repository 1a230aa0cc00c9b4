#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/backend.h"

namespace roap::search {

/// Memory of the CUDA device that grows as needed. Throws DeviceError where there is too little.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { release(); }

  [[nodiscard]] T* data() { return data_; }

  /// Room for `count` values, of which the first `kept` stay.
  T* at_least(std::size_t count, std::size_t kept = 0) {
    if (count <= capacity_) return data_;
    const std::size_t capacity = std::max(count, capacity_ + capacity_ / 2);
    const std::vector<T> values = kept > 0 ? download(kept) : std::vector<T>();
    release();  // first: old and new together may not fit
    data_ = reinterpret_cast<T*>(device().allocate(capacity * sizeof(T)));
    capacity_ = capacity;
    if (kept > 0) device().upload(data_, values.data(), kept * sizeof(T));
    return data_;
  }
  /// Writes values from index `begin` on and keeps those before.
  void upload(std::size_t begin, std::span<const T> values) {
    at_least(begin + values.size(), begin);
    if (!values.empty()) device().upload(data_ + begin, values.data(), values.size_bytes());
  }
  /// The first `count` values; waits for the device.
  [[nodiscard]] std::vector<T> download(std::size_t count) const {
    std::vector<T> values(count);
    if (count > 0) device().download(values.data(), data_, count * sizeof(T));
    return values;
  }

 private:
  static Backend& device() { return backend_of(DeviceKind::cuda); }
  void release() {
    if (data_ != nullptr) device().release(reinterpret_cast<std::byte*>(data_), capacity_ * sizeof(T));
    data_ = nullptr;
    capacity_ = 0;
  }

  T* data_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace roap::search
