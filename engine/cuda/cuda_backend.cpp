#include "engine/cuda/cuda_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/common/check_cuda.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define ROAP_NVTX 1
#endif

namespace roap::cuda {

namespace {

using GraphHandle = Handle<cudaGraph_t, cudaGraphDestroy>;
using GraphExecHandle = Handle<cudaGraphExec_t, cudaGraphExecDestroy>;

class CudaRecording : public Recording {
 public:
  CudaRecording(GraphExecHandle graph, cudaStream_t stream) : graph_(std::move(graph)), stream_(stream) {}
  void replay() override { check_cuda(cudaGraphLaunch(graph_.get(), stream_), "replay the recorded step"); }

 private:
  GraphExecHandle graph_;
  cudaStream_t stream_;
};

class CudaReadback : public Readback {
 public:
  CudaReadback(std::size_t bytes, cudaStream_t stream)
      : memory_(allocate_pinned(bytes)), done_(make_event(cudaEventDisableTiming)), stream_(stream) {}
  void request(std::size_t offset, const void* device, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(memory_.get() + offset, device, bytes, cudaMemcpyDeviceToHost, stream_),
               "copy results to the host");
    check_cuda(cudaEventRecord(done_.get(), stream_), "mark the end of a copy");
  }
  const std::byte* wait() override {
    check_cuda(cudaEventSynchronize(done_.get()), "wait for results");
    return memory_.get();
  }

 private:
  PinnedMemory memory_;
  EventHandle done_;
  cudaStream_t stream_;
};

class CudaTimeline : public Timeline {
 public:
  CudaTimeline(std::size_t points, cudaStream_t stream) : stream_(stream) {
    for (std::size_t i = 0; i < points; ++i) events_.push_back(make_event(cudaEventDefault));
  }
  void mark(std::size_t index) override { check_cuda(cudaEventRecord(events_[index].get(), stream_), "mark a time"); }
  double seconds(std::size_t from, std::size_t to) override {
    check_cuda(cudaEventSynchronize(events_[to].get()), "wait for a time");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, events_[from].get(), events_[to].get()), "read a time");
    return 1e-3 * milliseconds;
  }

 private:
  std::vector<EventHandle> events_;
  cudaStream_t stream_;
};

}  // namespace

PinnedMemory allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  check_cuda(cudaMallocHost(&memory, std::max<std::size_t>(bytes, 1)), "allocate pinned host memory");
  return PinnedMemory(static_cast<std::byte*>(memory));
}

EventHandle make_event(unsigned flags) {
  EventHandle event;
  check_cuda(cudaEventCreateWithFlags(event.address(), flags), "create an event");
  return event;
}

UploadRing::UploadRing() : memory_(allocate_pinned(kSlots * kSlotBytes)) {
  for (EventHandle& event : done_) event = make_event(cudaEventDisableTiming);
}

void UploadRing::upload(void* device, const void* host, std::size_t bytes, cudaStream_t stream) {
  for (std::size_t done = 0; done < bytes; done += kSlotBytes) {
    const std::size_t part = std::min(kSlotBytes, bytes - done);
    std::byte* slot = memory_.get() + next_ * kSlotBytes;
    check_cuda(cudaEventSynchronize(done_[next_].get()), "wait for an earlier upload");
    std::memcpy(slot, static_cast<const std::byte*>(host) + done, part);
    check_cuda(cudaMemcpyAsync(static_cast<std::byte*>(device) + done, slot, part, cudaMemcpyHostToDevice, stream),
               "copy to the device");
    check_cuda(cudaEventRecord(done_[next_].get(), stream), "mark the end of an upload");
    next_ = (next_ + 1) % kSlots;
  }
}

CudaBackend::CudaBackend(int index, std::string name, const Ceilings& ceilings)
    : name_(std::move(name)), ceilings_(ceilings), stream_([index] {
        check_cuda(cudaSetDevice(index), fmt::format("use CUDA device {}", index));
        StreamHandle stream;
        check_cuda(cudaStreamCreateWithFlags(stream.address(), cudaStreamNonBlocking), "create a stream");
        return stream;
      }()) {}

std::byte* CudaBackend::allocate(std::size_t bytes) {
  void* memory = nullptr;
  const std::size_t at_least_one = std::max<std::size_t>(bytes, 1);
  const cudaError_t status = cudaMalloc(&memory, at_least_one);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    constexpr double kMiB = 1 << 20;
    throw DeviceError(fmt::format(
        "{}: cannot allocate {:.1f} MiB, {:.1f} MiB are free: use fewer pairs per step (train.pairs_per_step) or a "
        "smaller model, or end other programs on the device",
        name_, static_cast<double>(bytes) / kMiB, static_cast<double>(free_bytes()) / kMiB));
  }
  check_cuda(status, "allocate device memory");
  fill(memory, std::byte{0}, at_least_one);
  return static_cast<std::byte*>(memory);
}

void CudaBackend::release(std::byte* memory, std::size_t /*bytes*/) noexcept { cudaFree(memory); }

void CudaBackend::upload(void* device, const void* host, std::size_t bytes) {
  constexpr std::size_t kMostThroughRing = 16 * UploadRing::kSlotBytes;
  if (bytes <= kMostThroughRing) return ring_.upload(device, host, bytes, stream());
  check_cuda(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream()), "copy to the device");
  synchronize();
}

void CudaBackend::download(void* host, const void* device, std::size_t bytes) {
  if (bytes > 0) {
    check_cuda(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()), "copy from the device");
  }
  synchronize();
}

void CudaBackend::fill(void* device, std::byte value, std::size_t bytes) {
  check_cuda(cudaMemsetAsync(device, static_cast<int>(value), bytes, stream()), "fill device memory");
}

void CudaBackend::synchronize() { check_cuda(cudaStreamSynchronize(stream()), "run what was issued"); }

std::size_t CudaBackend::free_bytes() const {
  std::size_t free = 0;
  std::size_t total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "ask for free device memory");
  return free;
}

std::unique_ptr<Recording> CudaBackend::record(const std::function<void()>& issue) {
  check_cuda(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "start recording a step");
  GraphHandle graph;
  try {
    issue();
  } catch (...) {
    cudaStreamEndCapture(stream(), graph.address());
    throw;
  }
  check_cuda(cudaStreamEndCapture(stream(), graph.address()), "end recording a step");
  GraphExecHandle executable;
  check_cuda(cudaGraphInstantiate(executable.address(), graph.get(), 0), "prepare the recorded step");
  return std::make_unique<CudaRecording>(std::move(executable), stream());
}

std::unique_ptr<Readback> CudaBackend::readback(std::size_t bytes) {
  return std::make_unique<CudaReadback>(bytes, stream());
}

std::unique_ptr<Timeline> CudaBackend::timeline(std::size_t points) {
  return std::make_unique<CudaTimeline>(points, stream());
}

#ifdef ROAP_NVTX
void CudaBackend::begin_range(const char* name) { nvtxRangePushA(name); }
void CudaBackend::end_range() { nvtxRangePop(); }
#else
void CudaBackend::begin_range(const char* /*name*/) {}
void CudaBackend::end_range() {}
#endif

}  // namespace roap::cuda
