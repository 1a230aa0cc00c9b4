#pragma once

#include <memory>

#include "kernels/common/algorithm_choice.h"
#include "kernels/conv2d/conv2d.h"

namespace roap::cuda {

/// cuDNN's convolution, to compare ours with; for T = Bf16 it rounds dw to bf16. Only in builds with ROAP_HAS_CUDNN.
/// Throws DeviceError where cuDNN has no such algorithm for the sizes.
template <class T>
std::unique_ptr<Conv2dPlan> conv2d_cudnn_plan(Conv2dPass pass, const Conv2dDims& dims, AlgorithmChoice choice);

}  // namespace roap::cuda
