#include "tests/simt/stream.h"

#include <algorithm>

#include "tests/simt/runtime.h"
#include "tests/simt/scheduler.h"

// Streams and events.

namespace roap::simt {

namespace {

std::vector<CUstream_st*>& streams() {
  static auto& all = *new std::vector<CUstream_st*>();  // streams may be destroyed by static objects
  return all;
}

/// The default stream, by any of its names.
bool is_legacy(cudaStream_t stream) { return reinterpret_cast<std::uintptr_t>(stream) <= 2; }

bool exists(cudaStream_t stream) {
  return is_legacy(stream) || std::find(streams().begin(), streams().end(), stream) != streams().end();
}

}  // namespace

bool capturing() {
  return std::any_of(streams().begin(), streams().end(), [](const CUstream_st* s) { return s->capture != nullptr; });
}
bool capturing(cudaStream_t stream) { return !is_legacy(stream) && exists(stream) && stream->capture != nullptr; }

void invalidate_captures() {
  for (CUstream_st* stream : streams()) {
    if (stream->capture != nullptr) stream->capture->valid = false;
  }
}

void leave_capture(const Capture& capture) {
  for (CUstream_st* stream : streams()) {
    if (stream->capture.get() == &capture) stream->capture.reset();
  }
}

cudaError_t issue(cudaStream_t stream, std::function<cudaError_t()> operation) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (scheduler().running()) return returned(cudaErrorNotSupported);  // from inside a kernel
  if (!exists(stream)) return returned(cudaErrorInvalidResourceHandle);
  if (is_legacy(stream)) {
    if (!capturing()) return returned(operation());
    invalidate_captures();
    return returned(cudaErrorStreamCaptureImplicit);
  }
  if (stream->capture == nullptr) return returned(operation());
  if (!stream->capture->valid) return returned(cudaErrorStreamCaptureInvalidated);
  stream->capture->graph->operations.push_back(std::move(operation));
  return cudaSuccess;
}

namespace {

/// A call that waits for work to be done: all of it is, unless it is only being recorded.
cudaError_t synchronize() {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (!capturing()) return cudaSuccess;
  invalidate_captures();
  return returned(cudaErrorStreamCaptureUnsupported);
}

cudaError_t create_stream(cudaStream_t* stream) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  *stream = new CUstream_st();
  streams().push_back(*stream);
  return cudaSuccess;
}

}  // namespace
}  // namespace roap::simt

using roap::simt::returned;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return roap::simt::create_stream(stream); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return roap::simt::create_stream(stream); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  return roap::simt::create_stream(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  auto& all = roap::simt::streams();
  const auto found = std::find(all.begin(), all.end(), stream);
  if (found == all.end()) return returned(cudaErrorInvalidResourceHandle);
  all.erase(found);
  delete stream;
  return returned(cudaSuccess);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!roap::simt::exists(stream)) return returned(cudaErrorInvalidResourceHandle);
  if (!roap::simt::is_legacy(stream) && stream->capture == nullptr) return returned(cudaSuccess);
  return roap::simt::synchronize();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
cudaError_t cudaDeviceSynchronize() { return roap::simt::synchronize(); }

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st();
  (*event)->timing = (flags & cudaEventDisableTiming) == 0;
  return returned(cudaSuccess);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return returned(cudaSuccess);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->capture = roap::simt::capturing(stream) ? stream->capture : nullptr;
  if (event->capture != nullptr) return returned(cudaSuccess);  // a dependency, not an operation of the graph
  return roap::simt::issue(stream, [event] {
    event->time = std::chrono::steady_clock::now();
    event->recorded = true;
    return cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->capture != nullptr && roap::simt::capturing() ? roap::simt::synchronize() : returned(cudaSuccess);
}
cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  if (!begin->recorded || !end->recorded || !begin->timing || !end->timing) {
    return returned(cudaErrorInvalidResourceHandle);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return returned(cudaSuccess);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!roap::simt::exists(stream)) return returned(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr && event->capture->origin != nullptr) {
    if (roap::simt::is_legacy(stream)) return returned(cudaErrorStreamCaptureImplicit);
    stream->capture = event->capture;  // the stream joins the capture
  }
  return returned(cudaSuccess);
}

}  // extern "C"
