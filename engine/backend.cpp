#include "engine/backend.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/host_clock.h"
#include "engine/roofline.h"

namespace roap {

namespace {

class HostReadback : public Readback {
 public:
  explicit HostReadback(std::size_t bytes) : buffer_(bytes) {}
  void request(std::size_t offset, const void* device, std::size_t bytes) override {
    std::memcpy(buffer_.data() + offset, device, bytes);
  }
  const std::byte* wait() override { return buffer_.data(); }

 private:
  std::vector<std::byte> buffer_;
};

class HostTimeline : public Timeline {
 public:
  explicit HostTimeline(std::size_t points) : points_(points) {}
  void mark(std::size_t index) override { points_[index] = host_seconds(); }
  double seconds(std::size_t from, std::size_t to) override { return points_[to] - points_[from]; }

 private:
  std::vector<double> points_;
};

class HostBackend : public Backend {
 public:
  [[nodiscard]] std::string name() const override { return "cpu"; }

  std::byte* allocate(std::size_t bytes) override {
    // Anonymous pages are zero and take memory only once they are touched: a plan can be printed without paying for it.
    void* pages = mmap(nullptr, at_least_one(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
      throw DeviceError(
          fmt::format("cannot allocate {:.1f} MiB on the cpu: use fewer pairs per step or a smaller model",
                      static_cast<double>(bytes) / (1 << 20)));
    }
    return static_cast<std::byte*>(pages);
  }
  void release(std::byte* memory, std::size_t bytes) noexcept override { munmap(memory, at_least_one(bytes)); }
  void upload(void* device, const void* host, std::size_t bytes) override { copy(device, host, bytes); }
  void download(void* host, const void* device, std::size_t bytes) override { copy(host, device, bytes); }
  void fill(void* device, std::byte value, std::size_t bytes) override {
    std::fill_n(static_cast<std::byte*>(device), bytes, value);
  }
  void synchronize() override {}
  Ceilings ceilings() override { return measure_cpu_ceilings(); }
  std::unique_ptr<Readback> readback(std::size_t bytes) override { return std::make_unique<HostReadback>(bytes); }
  std::unique_ptr<Timeline> timeline(std::size_t points) override { return std::make_unique<HostTimeline>(points); }

 private:
  static std::size_t at_least_one(std::size_t bytes) { return std::max<std::size_t>(bytes, 1); }
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
};

Backend*& cuda_backend() {
  static Backend* backend = nullptr;
  return backend;
}

}  // namespace

Backend& backend_of(DeviceKind device) {
  static HostBackend host;
  if (device != DeviceKind::cuda) return host;
  if (cuda_backend() == nullptr) throw DeviceError("device cuda: not set up in this process");
  return *cuda_backend();
}

void register_cuda_backend(Backend* backend) { cuda_backend() = backend; }

bool has_cuda_backend() { return cuda_backend() != nullptr; }

}  // namespace roap
