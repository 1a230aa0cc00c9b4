#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/op.h"

namespace roap::bench {

/// Another implementation of what a node computes, on the node's own input buffers; it writes to memory of its own.
class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  /// On CUDA it returns before the work is done.
  virtual void run() = 0;
  /// Largest difference between its output and that of the node's last run, relative to the largest value.
  [[nodiscard]] virtual double difference() const = 0;
};

/// Largest difference, relative to the largest of ours; NaN where a difference is none.
double relative_difference(const float* ours, std::span<const float> theirs);

/// oneDNN's primitives one after the other, and our own kernel without one of its exact savings; null where there is
/// none.
std::unique_ptr<Peer> onednn_peer(const Op& op, const RunContext& context);
std::unique_ptr<Peer> peer_without_saving(const Op& op, const RunContext& context);

/// On CUDA: NVIDIA's library of the node's operator; null where this build has none.
std::unique_ptr<Peer> library_peer(const Op& op, const RunContext& context);

/// The peers of a node on a device, none where there is none; the context must stay where it is.
std::vector<std::unique_ptr<Peer>> peers_of(const Op& op, const RunContext& context, DeviceKind device);

}  // namespace roap::bench
