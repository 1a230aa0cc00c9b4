#pragma once

#include "kernels/common/cuda_types.h"

namespace roap::cuda {

/// Launches a kernel that does nothing: the launch fails (DeviceError) where the build has no code for the card.
void run_probe(Stream stream);

}  // namespace roap::cuda
