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

std::vector<std::unique_ptr<Peer>> cpu_peers(const Op& op, const RunContext& context) {
  std::vector<std::unique_ptr<Peer>> peers;
  for (const auto make : {onednn_peer, peer_without_saving}) {
    if (std::unique_ptr<Peer> peer = make(op, context)) peers.push_back(std::move(peer));
  }
  return peers;
}

}  // namespace roap::bench
