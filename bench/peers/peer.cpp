#include "bench/peers/peer.h"

#include <algorithm>
#include <cmath>

namespace roap::bench {

double relative_difference(const float* ours, std::span<const float> theirs) {
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double distance = std::abs(static_cast<double>(ours[i]) - theirs[i]);
    if (std::isnan(distance)) return distance;
    difference = std::max(difference, distance);
    largest = std::max(largest, std::abs(static_cast<double>(ours[i])));
  }
  return largest > 0 ? difference / largest : difference;
}

std::vector<std::unique_ptr<Peer>> peers_of(const Op& op, const RunContext& context, DeviceKind device) {
  std::vector<std::unique_ptr<Peer>> peers;
  using Make = std::unique_ptr<Peer> (*)(const Op&, const RunContext&);
  const std::vector<Make> makers = device == DeviceKind::cuda ? std::vector<Make>{library_peer}
                                                              : std::vector<Make>{onednn_peer, peer_without_saving};
  for (const Make make : makers) {
    if (std::unique_ptr<Peer> peer = make(op, context)) peers.push_back(std::move(peer));
  }
  return peers;
}

}  // namespace roap::bench
