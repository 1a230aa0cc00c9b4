#include "engine/cuda/probe.h"

#include "kernels/common/launch.h"

namespace roap::cuda {

// Computes: nothing. Shapes, Mapping, Memory, Numerics: none. Limits: none.
__global__ void probe_kernel() {}

void run_probe(Stream stream) { launch("probe", {dim3(1), dim3(1)}, stream, probe_kernel); }

}  // namespace roap::cuda
