#include "engine/device.h"

#include <omp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <utility>
#include <vector>

#include "engine/backend.h"

namespace roap {

std::size_t element_size(DeviceKind device, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return device == DeviceKind::reference_f64 ? 8 : 4;
    case DType::bf16:
      return device == DeviceKind::cuda ? 2 : element_size(device, DType::f32);
    case DType::i32:
    case DType::u32:
      return 4;
    case DType::u8:
      return 1;
    case DType::none:
      break;
  }
  return 0;
}

DeviceBuffer::DeviceBuffer(DeviceKind device, std::size_t bytes)
    : device_(device), data_(backend_of(device).allocate(bytes)), size_(bytes) {}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) backend_of(device_).release(data_, size_);
}

void DeviceBuffer::swap(DeviceBuffer& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
}

std::uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  constexpr std::uint32_t kQuiet = 0x0040;
  if (std::isnan(x)) return static_cast<std::uint16_t>((bits >> 16) | kQuiet);
  const std::uint32_t half = 0x7fff + ((bits >> 16) & 1);  // round to nearest, ties to even
  return static_cast<std::uint16_t>((bits + half) >> 16);
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

namespace {

/// Calls use(a value-initialised element of what the device stores for a tensor of that type).
template <class Use>
void with_storage(DeviceKind device, DType dtype, Use&& use) {
  if (device == DeviceKind::reference_f64) return use(double{});
  if (device == DeviceKind::cuda && dtype == DType::bf16) return use(std::uint16_t{});
  use(float{});
}

template <class Stored, class T>
Stored store_as(T x) {
  if constexpr (std::is_same_v<Stored, std::uint16_t>) return to_bf16(static_cast<float>(x));
  return static_cast<Stored>(x);
}

template <class T, class Stored>
T load_as(Stored x) {
  if constexpr (std::is_same_v<Stored, std::uint16_t>) return static_cast<T>(from_bf16(x));
  return static_cast<T>(x);
}

template <class T>
void write_as(DeviceKind device, DType dtype, void* destination, std::span<const T> values) {
  with_storage(device, dtype, [&]<class Stored>(Stored /*element*/) {
    if constexpr (std::is_same_v<Stored, T>)
      return backend_of(device).upload(destination, values.data(), values.size_bytes());
    std::vector<Stored> stored(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) stored[i] = store_as<Stored>(values[i]);
    backend_of(device).upload(destination, stored.data(), stored.size() * sizeof(Stored));
  });
}

template <class T>
void read_as(DeviceKind device, DType dtype, const void* source, std::span<T> values) {
  with_storage(device, dtype, [&]<class Stored>(Stored /*element*/) {
    if constexpr (std::is_same_v<Stored, T>)
      return backend_of(device).download(values.data(), source, values.size_bytes());
    std::vector<Stored> stored(values.size());
    backend_of(device).download(stored.data(), source, stored.size() * sizeof(Stored));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = load_as<T>(stored[i]);
  });
}

}  // namespace

void write_reals(DeviceKind device, DType dtype, void* destination, std::span<const float> values) {
  write_as(device, dtype, destination, values);
}
void write_reals(DeviceKind device, DType dtype, void* destination, std::span<const double> values) {
  write_as(device, dtype, destination, values);
}
void read_reals(DeviceKind device, DType dtype, const void* source, std::span<float> values) {
  read_as(device, dtype, source, values);
}
void read_reals(DeviceKind device, DType dtype, const void* source, std::span<double> values) {
  read_as(device, dtype, source, values);
}

int set_threads(int threads) {
  omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
  return omp_get_max_threads();
}

void restart_with_short_waits(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  std::array<char, 4096> program{};
  const ssize_t length = ::readlink("/proc/self/exe", program.data(), program.size() - 1);
  if (length <= 0 || ::setenv("GOMP_SPINCOUNT", "2000", 1) != 0) return;
  ::execv(program.data(), argv);
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace roap
