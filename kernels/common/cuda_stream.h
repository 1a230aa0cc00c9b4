#pragma once

// The CUDA runtime's cudaStream_t, declared without the toolkit's headers, so that launchers can be declared
// everywhere.
struct CUstream_st;

namespace roap::cuda {

using Stream = CUstream_st*;

}  // namespace roap::cuda
