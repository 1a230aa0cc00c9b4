#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/sizes.h"

namespace roap {

/// Cuts a workspace into 64-byte aligned arrays. With a null base it only measures, so that one function describes a
/// layout for both the size and the use.
class WorkspaceCutter {
 public:
  explicit WorkspaceCutter(std::byte* base) : base_(base) {}

  template <class T>
  T* take(std::int64_t count) {
    T* array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + bytes_);
    bytes_ += static_cast<std::size_t>(round_up(count * static_cast<std::int64_t>(sizeof(T)), 64));
    return array;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::byte* base_;
  std::size_t bytes_ = 0;
};

}  // namespace roap
