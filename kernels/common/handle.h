#pragma once

#include <utility>

namespace roap {

/// Owns a handle of a C library: `Destroy` is called with it once, unless it is null.
template <class T, auto Destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T handle) : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() {
    if (handle_ != T{}) Destroy(handle_);
  }
  [[nodiscard]] T get() const { return handle_; }
  /// Where a C function writes a new handle; only for an empty one.
  [[nodiscard]] T* address() { return &handle_; }

 private:
  T handle_{};
};

}  // namespace roap
