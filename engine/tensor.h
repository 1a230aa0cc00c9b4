#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/common/error.h"

namespace roap {

/// Element types of graph tensors. `f32` means "real number": the double-precision reference device stores it as
/// double. `bf16` is a real number that CUDA stores in 16 bits; the other devices store it like f32.
enum class DType : std::uint8_t { none, f32, bf16, i32, u32, u8 };

std::string_view to_string(DType dtype);

/// Row-major extents, rank 0..4. Images are [n, height, width, channels].
class Shape {
 public:
  static constexpr int kMaxRank = 4;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  /// Number of elements; 1 for rank 0.
  [[nodiscard]] std::int64_t count() const;
  /// "[64, 3]"
  [[nodiscard]] std::string text() const;
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

/// Type and shape of a tensor. An absent optional input has dtype none.
struct TensorSpec {
  DType dtype = DType::none;
  Shape shape;
  [[nodiscard]] bool present() const { return dtype != DType::none; }
  bool operator==(const TensorSpec&) const = default;
};

inline bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

/// Bytes of the tensor where every type is stored as its name says.
double storage_bytes(const TensorSpec& spec);

inline TensorSpec f32(Shape shape) { return {DType::f32, shape}; }
inline TensorSpec bf16(Shape shape) { return {DType::bf16, shape}; }
inline TensorSpec i32(Shape shape) { return {DType::i32, shape}; }
inline TensorSpec u32(Shape shape) { return {DType::u32, shape}; }
inline TensorSpec u8(Shape shape) { return {DType::u8, shape}; }

/// Throws ShapeError "[op] name: expected [..], got [..]" unless `spec` has the dtype and shape of `expected`.
void expect_spec(std::string_view op, std::string_view name, const TensorSpec& spec, const TensorSpec& expected);
/// Throws ShapeError unless `spec` has that dtype and rank.
void expect_rank(std::string_view op, std::string_view name, const TensorSpec& spec, DType dtype, int rank);
/// Throws ShapeError unless `spec` is f32 or bf16 and has that rank.
void expect_real_rank(std::string_view op, std::string_view name, const TensorSpec& spec, int rank);
/// Throws ShapeError "[op] what: expected e, got g" unless equal.
void expect_extent(std::string_view op, std::string_view what, std::int64_t got, std::int64_t expected);

}  // namespace roap
