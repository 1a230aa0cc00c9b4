#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <string>

// State that the parts of the runtime API share.

namespace roap::simt {

/// Keeps the report of a kernel that failed.
void set_report(std::string text);

/// The error of a kernel that failed, which every later call returns, or success.
cudaError_t sticky_error();
void set_sticky_error(cudaError_t error);
/// Remembers an error for cudaGetLastError and returns it; success changes nothing.
cudaError_t returned(cudaError_t error);

/// Runs an operation of a stream now, or records it when the stream is being captured.
cudaError_t issue(cudaStream_t stream, std::function<cudaError_t()> operation);
/// Whether any stream is being captured, so that operations of the legacy stream and synchronizing calls are errors.
bool capturing();
bool capturing(cudaStream_t stream);
/// Makes the captures in progress fail, as a forbidden call does.
void invalidate_captures();

}  // namespace roap::simt
