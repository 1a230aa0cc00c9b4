#pragma once

// Types of the CUDA toolkit, declared without its headers, so that launchers can be declared everywhere.
struct CUstream_st;
struct __nv_bfloat16;  // NOLINT: CUDA's name

namespace roap::cuda {

using Stream = CUstream_st*;  ///< the runtime's cudaStream_t
using Bf16 = __nv_bfloat16;

}  // namespace roap::cuda
