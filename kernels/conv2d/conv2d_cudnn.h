#pragma once

#include "kernels/conv2d/conv2d.h"

namespace roap::cuda {

/// As conv2d_cudnn_plan (conv2d.h), with the fastest of the algorithms that cuDNN tries on this device, whatever its
/// order of sums: what one would compare with. Trying takes memory and time. Only in builds with ROAP_HAS_CUDNN.
template <class T>
std::unique_ptr<Conv2dPlan> conv2d_tuned_cudnn_plan(Conv2dPass pass, const Conv2dDims& dims);

}  // namespace roap::cuda
