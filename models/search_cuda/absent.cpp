#include "engine/cuda/cuda.h"
#include "kernels/common/error.h"
#include "models/search_cuda/search_device_cuda.h"

// The build without CUDA.

namespace roap::search {

std::unique_ptr<SearchDevice> make_cuda_search_device() { throw DeviceError("device cuda: " + cuda_status().problem); }

}  // namespace roap::search
