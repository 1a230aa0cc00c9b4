#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>

namespace roap::simt {

/// What the emulator keeps in a CUtensorMap: a matrix and the box that a copy brings, rows of columns.
struct TensorMap {
  std::uint64_t mark;
  std::byte* data;
  std::uint64_t rows, columns, row_bytes;  ///< row_bytes from one row to the next
  std::uint32_t box_rows, box_columns;
  std::uint32_t element_bytes, swizzled;
};
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap));

inline constexpr std::uint64_t kTensorMapMark = 0x726f61702d6d6170;

}  // namespace roap::simt
