#include <fmt/format.h>

#include <utility>

#include "tests/simt/runtime.h"
#include "tests/simt/scheduler.h"
#include "tests/simt/simt.h"

// Errors of the runtime API, and the emulator's own interface (simt.h).

namespace roap::simt {

namespace {

std::string report;
std::string error_text;  // of the last cudaGetErrorString that had to be composed
cudaError_t sticky = cudaSuccess;
cudaError_t last_error = cudaSuccess;

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};

#define ROAP_SIMT_ERROR(error, text) \
  { error, #error, text }
constexpr ErrorText kErrors[] = {
    ROAP_SIMT_ERROR(cudaSuccess, "no error"),
    ROAP_SIMT_ERROR(cudaErrorInvalidValue, "invalid argument"),
    ROAP_SIMT_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    ROAP_SIMT_ERROR(cudaErrorInitializationError, "initialization error"),
    ROAP_SIMT_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ROAP_SIMT_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    ROAP_SIMT_ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    ROAP_SIMT_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ROAP_SIMT_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ROAP_SIMT_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    ROAP_SIMT_ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    ROAP_SIMT_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ROAP_SIMT_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    ROAP_SIMT_ERROR(cudaErrorSymbolNotFound, "named symbol not found"),
    ROAP_SIMT_ERROR(cudaErrorNotReady, "device not ready"),
    ROAP_SIMT_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ROAP_SIMT_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ROAP_SIMT_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    ROAP_SIMT_ERROR(cudaErrorHardwareStackError, "hardware stack error"),
    ROAP_SIMT_ERROR(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    ROAP_SIMT_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    ROAP_SIMT_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    ROAP_SIMT_ERROR(cudaErrorNotSupported, "operation not supported"),
    ROAP_SIMT_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ROAP_SIMT_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    ROAP_SIMT_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not initiated in this stream"),
    ROAP_SIMT_ERROR(cudaErrorStreamCaptureImplicit,
                    "operation would make the legacy stream depend on a capturing blocking stream"),
    ROAP_SIMT_ERROR(cudaErrorInvalidClusterSize, "an illegal cluster size was requested"),
    ROAP_SIMT_ERROR(cudaErrorUnknown, "unknown error"),
};
#undef ROAP_SIMT_ERROR

const ErrorText& text_of(cudaError_t error) {
  for (const ErrorText& known : kErrors) {
    if (known.error == error) return known;
  }
  static constexpr ErrorText kUnknown{cudaErrorUnknown, "unrecognized error code", "unrecognized error code"};
  return kUnknown;
}

}  // namespace

void set_report(std::string text) { report = std::move(text); }
const std::string& last_report() { return report; }

cudaError_t sticky_error() { return sticky; }
void set_sticky_error(cudaError_t error) { sticky = last_error = error; }

cudaError_t returned(cudaError_t error) {
  if (sticky != cudaSuccess) return sticky;
  if (error != cudaSuccess) last_error = error;
  return error;
}

void reset() {
  sticky = last_error = cudaSuccess;
  report.clear();
  invalidate_captures();
}

void set_seed(std::uint64_t seed) { scheduler().set_seed(seed); }
std::uint64_t switch_count() { return scheduler().switches(); }

}  // namespace roap::simt

extern "C" {

cudaError_t cudaGetLastError() {
  using namespace roap::simt;
  return std::exchange(last_error, sticky);
}
cudaError_t cudaPeekAtLastError() { return roap::simt::last_error; }
const char* cudaGetErrorName(cudaError_t error) { return roap::simt::text_of(error).name; }
const char* cudaGetErrorString(cudaError_t error) {
  using namespace roap::simt;
  const char* text = text_of(error).text;
  if (error == cudaSuccess || error != sticky) return text;
  error_text = fmt::format("{}: {}", text, report);
  return error_text.c_str();
}

}  // extern "C"
