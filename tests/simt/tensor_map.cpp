#include "tests/simt/tensor_map.h"

#include <cuda_runtime.h>

#include <cstring>

#include "tests/simt/device_memory.h"
#include "tests/simt/runtime.h"

// The driver's function for tensor maps, with its rules for 2-D maps; everything else is refused.

namespace {

std::uint32_t element_bytes(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8:
      return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16:
      return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
      return 4;
  }
  return 0;
}

bool in_range(std::uint64_t x, std::uint64_t low, std::uint64_t high) { return x >= low && x <= high; }

}  // namespace

extern "C" CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* address,
                                           const cuuint64_t* sizes, const cuuint64_t* strides,
                                           const cuuint32_t* box_sizes, const cuuint32_t* element_strides,
                                           CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                           CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  const std::uint32_t size = element_bytes(type);
  const bool supported =
      rank == 2 && size != 0 && interleave == CU_TENSOR_MAP_INTERLEAVE_NONE &&
      fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE && element_strides[0] == 1 && element_strides[1] == 1 &&
      (swizzle == CU_TENSOR_MAP_SWIZZLE_NONE || (swizzle == CU_TENSOR_MAP_SWIZZLE_128B && box_sizes[0] * size == 128));
  if (!supported) return CUDA_ERROR_NOT_SUPPORTED;
  constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 32, kMaxStride = std::uint64_t{1} << 40;
  const bool valid = reinterpret_cast<std::uintptr_t>(map) % 64 == 0 && address != nullptr &&
                     reinterpret_cast<std::uintptr_t>(address) % 16 == 0 && in_range(sizes[0], 1, kMaxSize) &&
                     in_range(sizes[1], 1, kMaxSize) && strides[0] % 16 == 0 && strides[0] < kMaxStride &&
                     strides[0] >= sizes[0] * size && in_range(box_sizes[0], 1, 256) &&
                     in_range(box_sizes[1], 1, 256) && box_sizes[0] * size % 16 == 0;
  if (!valid) return CUDA_ERROR_INVALID_VALUE;
  // Beyond what the driver can see: the matrix must be memory of the device.
  if (!roap::simt::inside_allocation(address, (sizes[1] - 1) * strides[0] + sizes[0] * size)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const roap::simt::TensorMap kept{roap::simt::kTensorMapMark,
                                   static_cast<std::byte*>(address),
                                   sizes[1],
                                   sizes[0],
                                   strides[0],
                                   box_sizes[1],
                                   box_sizes[0],
                                   size,
                                   swizzle == CU_TENSOR_MAP_SWIZZLE_128B ? 1u : 0u};
  *map = CUtensorMap{};
  std::memcpy(map->opaque, &kept, sizeof kept);
  return CUDA_SUCCESS;
}

extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned version,
                                                        unsigned long long, cudaDriverEntryPointQueryResult* result) {
  const bool found = std::strcmp(symbol, "cuTensorMapEncodeTiled") == 0 && version >= 12000;
  *function = found ? reinterpret_cast<void*>(&cuTensorMapEncodeTiled) : nullptr;
  if (result != nullptr) *result = found ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return roap::simt::returned(found ? cudaSuccess : cudaErrorSymbolNotFound);
}
