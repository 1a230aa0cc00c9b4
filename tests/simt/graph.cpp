#include <cstdint>

#include "tests/simt/runtime.h"
#include "tests/simt/stream.h"

// Capture of streams, and graphs.

using roap::simt::returned;
using roap::simt::sticky_error;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (reinterpret_cast<std::uintptr_t>(stream) <= 2) return returned(cudaErrorStreamCaptureUnsupported);
  if (stream->capture != nullptr) return returned(cudaErrorIllegalState);
  stream->capture = std::make_shared<roap::simt::Capture>();
  stream->capture->origin = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (stream->capture == nullptr) return returned(cudaErrorIllegalState);
  const std::shared_ptr<roap::simt::Capture> capture = stream->capture;
  if (capture->origin != stream) return returned(cudaErrorStreamCaptureUnmatched);
  roap::simt::leave_capture(*capture);
  capture->origin = nullptr;
  if (!capture->valid) return returned(cudaErrorStreamCaptureInvalidated);
  *graph = capture->graph.release();
  return returned(cudaSuccess);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = !roap::simt::capturing(stream) ? cudaStreamCaptureStatusNone
            : stream->capture->valid       ? cudaStreamCaptureStatusActive
                                           : cudaStreamCaptureStatusInvalidated;
  return returned(cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  *executable = new CUgraphExec_st{graph->operations};
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return returned(cudaSuccess); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return roap::simt::issue(stream, [operations = executable->operations] {
    for (const auto& operation : operations) {
      if (const cudaError_t error = operation(); error != cudaSuccess) return error;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return returned(cudaSuccess);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return returned(cudaSuccess);
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, void*, std::size_t* count) {
  *count = graph->operations.size();
  return returned(cudaSuccess);
}

}  // extern "C"
