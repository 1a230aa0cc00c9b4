#include "engine/cuda/cuda.h"
#include "kernels/common/error.h"

// The build without CUDA.

namespace roap {

CudaStatus cuda_status() {
  return {
      {},
      "this program was built without CUDA; build it where the CUDA toolkit is installed (cmake -D ROAP_CUDA=ON), or "
      "use --device cpu"};
}

void use_cuda(int /*index*/, const CudaOptions& /*options*/) {
  throw DeviceError("device cuda: " + cuda_status().problem);
}

}  // namespace roap
