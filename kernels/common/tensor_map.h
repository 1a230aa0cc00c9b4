#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/common/check_cuda.h"

// Descriptions of 2-D tensors in global memory for the bulk copy engine (ptx/bulk_copy.h), made on the host.

namespace roap::cuda {

struct TensorExtent {
  std::int64_t rows = 0, columns = 0;
  std::int64_t row_stride = 0;  ///< elements from one row to the next; as bytes a multiple of 16
};

/// What one copy brings, at most 256 rows. A row is 128 bytes with the swizzle, else a multiple of 16 bytes.
struct TensorBox {
  std::uint32_t rows = 0, columns = 0;
};

/// How rows of a box lie in shared memory: back to back, or, in rows of 128 bytes, with the 16-byte piece i of row r at
/// piece i ^ (r % 8), so that the pieces of a column fall into different banks.
enum class Swizzle { none, bytes_128 };

namespace detail {

/// The driver's cuTensorMapEncodeTiled, found through the runtime, so that nothing links the driver's library.
inline decltype(&cuTensorMapEncodeTiled) tensor_map_encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result{};
  constexpr unsigned kSinceVersion = 12000;
  check_cuda(
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kSinceVersion, cudaEnableDefault, &result),
      "look up cuTensorMapEncodeTiled in the driver");
  if (function == nullptr || result != cudaDriverEntryPointSuccess) {
    throw DeviceError("[cuda] the driver has no tensor maps (cuTensorMapEncodeTiled): update it to one for CUDA 12");
  }
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

}  // namespace detail

/// Map of a matrix of float or bf16 on the device, 16-byte aligned. Throws DeviceError when the driver refuses it.
template <class T>
CUtensorMap tensor_map_2d(const T* data, const TensorExtent& extent, const TensorBox& box,
                          Swizzle swizzle = Swizzle::bytes_128) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, __nv_bfloat16>);
  static const auto encode = detail::tensor_map_encoder();
  CUtensorMap map{};
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(extent.columns), static_cast<cuuint64_t>(extent.rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(extent.row_stride) * sizeof(T)};
  const cuuint32_t box_sizes[2] = {box.columns, box.rows};
  const cuuint32_t steps[2] = {1, 1};
  const CUresult status =
      encode(&map, std::is_same_v<T, float> ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
             const_cast<T*>(data), sizes, strides, box_sizes, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             swizzle == Swizzle::bytes_128 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    throw DeviceError("[cuda] cannot describe a matrix of " + std::to_string(extent.rows) + " x " +
                      std::to_string(extent.columns) + " elements, row stride " + std::to_string(extent.row_stride) +
                      ", in boxes of " + std::to_string(box.rows) + " x " + std::to_string(box.columns) +
                      " for bulk copies: CUresult " + std::to_string(status) +
                      "; address and strides must be multiples of 16 bytes");
  }
  return map;
}

}  // namespace roap::cuda
