#pragma once

#include <cstddef>
#include <span>

#include "engine/op.h"
#include "engine/tensor.h"

namespace roap {

/// Bytes of one element on the device (an f32 takes 8 on the double-precision reference, a bf16 is one only on CUDA).
std::size_t element_size(DeviceKind device, DType dtype);

/// Zero-filled memory of a device. Throws DeviceError when there is too little.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceKind device, std::size_t bytes);
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceBuffer();
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void swap(DeviceBuffer& other) noexcept;
  DeviceKind device_ = DeviceKind::cpu;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Copies host values to elements of a tensor of type f32 or bf16 on the device, and back, converting to what the
/// device stores for it.
void write_reals(DeviceKind device, DType dtype, void* destination, std::span<const float> values);
void write_reals(DeviceKind device, DType dtype, void* destination, std::span<const double> values);
void read_reals(DeviceKind device, DType dtype, const void* source, std::span<float> values);
void read_reals(DeviceKind device, DType dtype, const void* source, std::span<double> values);

/// The float nearest to x among those with 8 significant bits, as bits (ties to even), and back.
std::uint16_t to_bf16(float x);
float from_bf16(std::uint16_t bits);

/// Number of OpenMP threads of this process; 0 sets all cores. Returns the number in use.
int set_threads(int threads);
/// First thing in main: starts the program anew with idle threads that spin for 0.1 ms instead of 16 ms, unless the
/// environment says how to wait (OMP_WAIT_POLICY or GOMP_SPINCOUNT). libgomp reads that before main, so setting it is
/// not enough. A thread that spins beyond its time slice keeps the others from their work: beside ten other processes
/// on two cores a training step took 11 times as long; alone the difference is within 3 %, and never to spin costs 43
/// %. Returns where nothing is to be done or the system refuses.
void restart_with_short_waits(char** argv);
/// Peak resident memory of this process in bytes.
std::size_t peak_resident_bytes();
/// Processor time of this process in seconds, all threads together.
double processor_seconds();

}  // namespace roap
