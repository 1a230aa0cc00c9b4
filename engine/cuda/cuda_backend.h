#pragma once

#include <cuda_runtime.h>

#include <array>
#include <memory>
#include <string>

#include "engine/backend.h"
#include "kernels/common/handle.h"

namespace roap::cuda {

using StreamHandle = Handle<cudaStream_t, cudaStreamDestroy>;
using EventHandle = Handle<cudaEvent_t, cudaEventDestroy>;

/// Pinned host memory.
struct FreePinned {
  void operator()(std::byte* memory) const { cudaFreeHost(memory); }
};
using PinnedMemory = std::unique_ptr<std::byte, FreePinned>;
PinnedMemory allocate_pinned(std::size_t bytes);
EventHandle make_event(unsigned flags);

/// Small uploads go through slots of pinned memory, so that the host need not wait for the device; a slot is used again
/// once its copy is done.
class UploadRing {
 public:
  static constexpr std::size_t kSlotBytes = 64 * 1024;
  UploadRing();
  void upload(void* device, const void* host, std::size_t bytes, cudaStream_t stream);

 private:
  static constexpr std::size_t kSlots = 32;
  PinnedMemory memory_;
  std::array<EventHandle, kSlots> done_;
  std::size_t next_ = 0;
};

/// One card. Everything runs on one stream.
class CudaBackend : public Backend {
 public:
  /// Makes the card the process's current device.
  CudaBackend(int index, std::string name, const Ceilings& ceilings);

  [[nodiscard]] std::string name() const override { return name_; }
  std::byte* allocate(std::size_t bytes) override;
  void release(std::byte* memory, std::size_t bytes) noexcept override;
  void upload(void* device, const void* host, std::size_t bytes) override;
  void download(void* host, const void* device, std::size_t bytes) override;
  void fill(void* device, std::byte value, std::size_t bytes) override;
  void synchronize() override;
  Ceilings ceilings() override { return ceilings_; }
  [[nodiscard]] CUstream_st* stream() const override { return stream_.get(); }
  [[nodiscard]] std::size_t free_bytes() const override;
  std::unique_ptr<Recording> record(const std::function<void()>& issue) override;
  std::unique_ptr<Readback> readback(std::size_t bytes) override;
  std::unique_ptr<Timeline> timeline(std::size_t points) override;
  void begin_range(const char* name) override;
  void end_range() override;

 private:
  std::string name_;
  Ceilings ceilings_;
  StreamHandle stream_;
  UploadRing ring_;
};

}  // namespace roap::cuda
