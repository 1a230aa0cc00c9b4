#include "engine/device.h"

#include <fmt/format.h>
#include <omp.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>

namespace roap {

std::size_t element_size(DeviceKind device, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return device == DeviceKind::reference_f64 ? 8 : 4;
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

DeviceBuffer::DeviceBuffer(std::size_t bytes) : size_(bytes) {
  // Anonymous pages are zero and take memory only once they are touched: a plan can be printed without paying for it.
  void* pages =
      mmap(nullptr, std::max<std::size_t>(bytes, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    throw DeviceError(fmt::format("cannot allocate {:.1f} MiB on the cpu: use fewer pairs per step or a smaller model",
                                  static_cast<double>(bytes) / (1 << 20)));
  }
  data_ = {static_cast<std::byte*>(pages), Unmap{std::max<std::size_t>(bytes, 1)}};
}

void DeviceBuffer::Unmap::operator()(std::byte* data) const { munmap(data, bytes); }

namespace {

template <class T>
void write_as(DeviceKind device, void* destination, std::span<const T> values) {
  if (device == DeviceKind::reference_f64) {
    std::copy(values.begin(), values.end(), static_cast<double*>(destination));
  } else {
    std::transform(values.begin(), values.end(), static_cast<float*>(destination),
                   [](T x) { return static_cast<float>(x); });
  }
}

template <class T>
void read_as(DeviceKind device, const void* source, std::span<T> values) {
  if (device == DeviceKind::reference_f64) {
    const auto* data = static_cast<const double*>(source);
    std::transform(data, data + values.size(), values.begin(), [](double x) { return static_cast<T>(x); });
  } else {
    const auto* data = static_cast<const float*>(source);
    std::copy(data, data + values.size(), values.begin());
  }
}
}  // namespace

void write_reals(DeviceKind device, void* destination, std::span<const float> values) {
  write_as(device, destination, values);
}
void write_reals(DeviceKind device, void* destination, std::span<const double> values) {
  write_as(device, destination, values);
}
void read_reals(DeviceKind device, const void* source, std::span<float> values) { read_as(device, source, values); }
void read_reals(DeviceKind device, const void* source, std::span<double> values) { read_as(device, source, values); }

int set_threads(int threads) {
  omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
  return omp_get_max_threads();
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace roap
