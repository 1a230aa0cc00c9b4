#include "engine/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace roap {

std::string_view to_string(DType dtype) {
  switch (dtype) {
    case DType::none:
      return "none";
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::u32:
      return "u32";
    case DType::u8:
      return "u8";
  }
  return "?";
}

Shape::Shape(std::initializer_list<std::int64_t> extents) {
  if (extents.size() > kMaxRank)
    throw ShapeError(fmt::format("shape of rank {}: at most {}", extents.size(), kMaxRank));
  for (const std::int64_t extent : extents) {
    if (extent < 0) throw ShapeError(fmt::format("negative extent {} in a shape", extent));
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
}

std::int64_t Shape::count() const {
  std::int64_t count = 1;
  for (int axis = 0; axis < rank_; ++axis) count *= extents_[static_cast<std::size_t>(axis)];
  return count;
}

std::string Shape::text() const {
  return fmt::format("[{}]", fmt::join(extents_.begin(), extents_.begin() + rank_, ", "));
}

double storage_bytes(const TensorSpec& spec) {
  const double bytes = spec.dtype == DType::u8 ? 1 : spec.dtype == DType::bf16 ? 2 : spec.dtype == DType::none ? 0 : 4;
  return bytes * static_cast<double>(spec.shape.count());
}

void expect_spec(std::string_view op, std::string_view name, const TensorSpec& spec, const TensorSpec& expected) {
  if (spec == expected) return;
  throw ShapeError(fmt::format("[{}] {}: expected {} {}, got {} {}", op, name, to_string(expected.dtype),
                               expected.shape.text(), to_string(spec.dtype), spec.shape.text()));
}

void expect_rank(std::string_view op, std::string_view name, const TensorSpec& spec, DType dtype, int rank) {
  if (spec.dtype == dtype && spec.shape.rank() == rank) return;
  throw ShapeError(fmt::format("[{}] {}: expected {} of rank {}, got {} {}", op, name, to_string(dtype), rank,
                               to_string(spec.dtype), spec.shape.text()));
}

void expect_real_rank(std::string_view op, std::string_view name, const TensorSpec& spec, int rank) {
  if (is_real(spec.dtype) && spec.shape.rank() == rank) return;
  throw ShapeError(fmt::format("[{}] {}: expected f32 or bf16 of rank {}, got {} {}", op, name, rank,
                               to_string(spec.dtype), spec.shape.text()));
}

void expect_extent(std::string_view op, std::string_view what, std::int64_t got, std::int64_t expected) {
  if (got != expected) throw ShapeError(fmt::format("[{}] {}: expected {}, got {}", op, what, expected, got));
}

}  // namespace roap
