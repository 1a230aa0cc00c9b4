#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/op.h"

namespace roap {

/// What a device can do at most, per second.
struct Ceilings {
  double bytes = 0;      ///< memory traffic, reads and writes together
  double f32_flop = 0;   ///< on vector units
  double bf16_flop = 0;  ///< on tensor cores; 0 where there are none
};

/// Launches of a whole run, recorded once and replayed as one (a CUDA graph).
class Recording {
 public:
  Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  virtual ~Recording() = default;
  /// Issues everything again, with the same pointers.
  virtual void replay() = 0;
};

/// Copies of small results to the host that later work does not wait for.
class Readback {
 public:
  Readback() = default;
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;
  virtual ~Readback() = default;
  /// Asks for the copy of `bytes` bytes to `offset` of the buffer; done before the next wait() returns.
  virtual void request(std::size_t offset, const void* device, std::size_t bytes) = 0;
  /// Waits for what was requested and gives the buffer.
  virtual const std::byte* wait() = 0;
};

/// Points in time on the device.
class Timeline {
 public:
  Timeline() = default;
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;
  virtual ~Timeline() = default;
  /// Marks the end of what was issued so far as point number `index`.
  virtual void mark(std::size_t index) = 0;
  /// Seconds between two marked points; waits for them.
  virtual double seconds(std::size_t from, std::size_t to) = 0;
};

/// Memory and execution of one kind of device. Work is issued in order, on one stream where the device has its own; a
/// function may return before the work is done unless it says otherwise.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// "cpu", "NVIDIA H100 80GB HBM3"
  [[nodiscard]] virtual std::string name() const = 0;
  /// Zero-filled memory aligned to 256 bytes. Throws DeviceError when there is too little.
  virtual std::byte* allocate(std::size_t bytes) = 0;
  virtual void release(std::byte* memory, std::size_t bytes) noexcept = 0;
  /// Copies to the device; `host` may be reused on return.
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  /// Copies to the host and waits for all work before it.
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  virtual void fill(void* device, std::byte value, std::size_t bytes) = 0;
  virtual void synchronize() = 0;
  /// The stream of a CUDA device, else null.
  [[nodiscard]] virtual CUstream_st* stream() const { return nullptr; }
  /// CPU: measured by the call, in a second or two. CUDA: the card's peaks by its clocks.
  virtual Ceilings ceilings() = 0;
  /// Bytes that can still be allocated; 0 where nobody knows.
  [[nodiscard]] virtual std::size_t free_bytes() const { return 0; }

  /// Records what `issue` issues, without running it; null where the device cannot.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& issue) { return nullptr; }
  virtual std::unique_ptr<Readback> readback(std::size_t bytes) = 0;
  virtual std::unique_ptr<Timeline> timeline(std::size_t points) = 0;
  /// Names the work issued between the two calls, for profilers. `name` must outlive the process's trace.
  virtual void begin_range(const char* name) {}
  virtual void end_range() {}
};

/// The device's backend; throws DeviceError where this program has none. cpu and the references share the host's.
Backend& backend_of(DeviceKind device);
/// Makes `backend` the one of DeviceKind::cuda; null removes it. It must outlive all its users.
void register_cuda_backend(Backend* backend);
[[nodiscard]] bool has_cuda_backend();

}  // namespace roap
