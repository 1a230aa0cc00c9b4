#include "engine/cuda/cuda.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <memory>

#include "engine/cuda/cuda_backend.h"
#include "engine/cuda/probe.h"
#include "kernels/common/check_cuda.h"

namespace roap {

// Every operator's folder registers its kernels.
#define ROAP_OPERATOR(NAME) void NAME##_register_cuda();
#include "kernels/ops.def"
#undef ROAP_OPERATOR
void add_in_place_register_cuda();  // the engine's own operator

namespace {

int attribute(cudaDeviceAttr which, int index) {
  int value = 0;
  cuda::check_cuda(cudaDeviceGetAttribute(&value, which, index), fmt::format("ask for a property of device {}", index));
  return value;
}

/// Peaks by the highest clocks: two memory transfers a cycle; multiply-adds of a multiprocessor by compute capability.
Ceilings peak_rates(int index, const cudaDeviceProp& properties) {
  const bool ampere = properties.major == 8 && properties.minor == 0;
  const bool hopper = properties.major == 9;
  const int f32_cores = ampere ? 64 : 128;
  const int bf16_products = hopper ? 2048 : ampere ? 1024 : 512;
  const double cycles = 1e3 * attribute(cudaDevAttrClockRate, index) * properties.multiProcessorCount;
  const double bytes =
      2e3 * attribute(cudaDevAttrMemoryClockRate, index) * attribute(cudaDevAttrGlobalMemoryBusWidth, index) / 8;
  return {bytes, 2 * cycles * f32_cores, 2 * cycles * bf16_products};
}

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string device_count_problem(cudaError_t status) {
  int driver = 0;
  int runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) return "no NVIDIA driver is installed; install one, or use --device cpu";
  if (status == cudaErrorInsufficientDriver) {
    return fmt::format(
        "the NVIDIA driver supports CUDA {} and this program needs {}; update the driver, or use --device cpu",
        version_text(driver), version_text(runtime));
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    return "no CUDA device is visible (see nvidia-smi and CUDA_VISIBLE_DEVICES); use --device cpu";
  }
  return fmt::format("CUDA does not start: {}; use --device cpu", cudaGetErrorString(status));
}

}  // namespace

CudaStatus cuda_status() {
  CudaStatus status;
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess) cudaGetLastError();
  for (int index = 0; counted == cudaSuccess && index < count; ++index) {
    cudaDeviceProp properties{};
    cuda::check_cuda(cudaGetDeviceProperties(&properties, index),
                     fmt::format("ask for properties of CUDA device {}", index));
    status.devices.push_back({properties.name, properties.major, properties.minor, properties.multiProcessorCount,
                              properties.totalGlobalMem, peak_rates(index, properties)});
  }
  if (status.devices.empty()) status.problem = device_count_problem(counted);
  return status;
}

void use_cuda(int index) {
  const CudaStatus status = cuda_status();
  if (status.devices.empty()) throw DeviceError("device cuda: " + status.problem);
  if (index < 0 || index >= static_cast<int>(status.devices.size())) {
    throw DeviceError(fmt::format("device cuda:{}: this machine has {} CUDA device{}, counted from 0", index,
                                  status.devices.size(), status.devices.size() == 1 ? "" : "s"));
  }
  const CudaDevice& device = status.devices[static_cast<std::size_t>(index)];
  static std::unique_ptr<cuda::CudaBackend> backend;
  backend = std::make_unique<cuda::CudaBackend>(index, device.name, device.ceilings);
  cuda::run_probe(backend->stream());
  backend->synchronize();
  register_cuda_backend(backend.get());
#define ROAP_OPERATOR(NAME) NAME##_register_cuda();
#include "kernels/ops.def"
#undef ROAP_OPERATOR
  add_in_place_register_cuda();
}

}  // namespace roap
