#include <algorithm>

#include "bench/peers/peer.h"
#include "engine/cuda_library.h"
#include "engine/device.h"

// NVIDIA's libraries (cuDNN, cuBLASLt), where the build has them.

namespace roap::bench {

namespace {

class LibraryPeer : public Peer {
 public:
  LibraryPeer(const CudaLibrary& library, const Op& op, const RunContext& ours)
      : name_(library.name), ours_(ours), node_(library.prepare(op, ours)) {
    const Specs& specs = ours.output_specs();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const bool wanted = ours.out<void>(i) != nullptr;
      memory_.push_back(wanted ? DeviceBuffer(DeviceKind::cuda, bytes_of(specs[i])) : DeviceBuffer());
      outputs_.push_back(memory_.back().data());
    }
    workspace_ = DeviceBuffer(DeviceKind::cuda, std::max<std::size_t>(1, node_->workspace_bytes()));
  }
  [[nodiscard]] std::string name() const override { return name_; }
  void run() override { node_->run(ours_, outputs_, workspace_.data()); }
  [[nodiscard]] double difference() const override {
    double difference = 0;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i] != nullptr) difference = std::max(difference, difference_of(i));
    }
    return difference;
  }

 private:
  static std::size_t bytes_of(const TensorSpec& spec) {
    return static_cast<std::size_t>(spec.shape.count()) * element_size(DeviceKind::cuda, spec.dtype);
  }
  [[nodiscard]] double difference_of(std::size_t output) const {
    const TensorSpec& spec = ours_.output_specs()[output];
    std::vector<float> ours(static_cast<std::size_t>(spec.shape.count())), theirs(ours.size());
    read_reals(DeviceKind::cuda, spec.dtype, ours_.out<void>(output), std::span<float>(ours));
    read_reals(DeviceKind::cuda, spec.dtype, outputs_[output], std::span<float>(theirs));
    return relative_difference(ours.data(), theirs);
  }

  std::string name_;
  const RunContext& ours_;
  std::unique_ptr<LibraryNode> node_;
  std::vector<DeviceBuffer> memory_;
  std::vector<void*> outputs_;
  DeviceBuffer workspace_;
};

}  // namespace

std::unique_ptr<Peer> library_peer(const Op& op, const RunContext& context) {
  const CudaLibrary* library = find_cuda_library(op.type());
  return library != nullptr ? std::make_unique<LibraryPeer>(*library, op, context) : nullptr;
}

}  // namespace roap::bench
