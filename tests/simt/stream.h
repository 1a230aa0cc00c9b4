#pragma once

#include <cuda_runtime.h>

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

// Streams, events and graphs of the emulator. Operations of a stream run when they are issued; a capture records them
// in the order in which they are issued, and a graph runs them in that order.

struct CUgraph_st {
  std::vector<std::function<cudaError_t()>> operations;
};

struct CUgraphExec_st {
  std::vector<std::function<cudaError_t()>> operations;
};

namespace roap::simt {

/// Streams that record into one graph: the one where the capture began, and those that waited for its events.
struct Capture {
  std::unique_ptr<CUgraph_st> graph = std::make_unique<CUgraph_st>();
  cudaStream_t origin = nullptr;
  bool valid = true;
};

/// Ends the capture for all of its streams.
void leave_capture(const Capture& capture);

}  // namespace roap::simt

struct CUstream_st {
  std::shared_ptr<roap::simt::Capture> capture;  ///< null when not captured
};

struct CUevent_st {
  std::chrono::steady_clock::time_point time{};
  bool recorded = false;
  bool timing = true;
  std::shared_ptr<roap::simt::Capture> capture;  ///< that it was last recorded in
};
