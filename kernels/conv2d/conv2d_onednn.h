#pragma once

#include <omp.h>

#include <cstddef>
#include <dnnl.hpp>

#include "kernels/common/one_thread.h"
#include "kernels/conv2d/conv2d.h"

// What both plans share: the oneDNN engine, one-threaded scopes, and live weights.

namespace roap::cpu {

inline const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

inline dnnl::stream& onednn_stream() {
  static dnnl::stream stream(onednn_engine());
  return stream;
}

/// The live taps of weights in another layout (a primitive's own, or plain), and the way there and back.
class LiveWeights {
 public:
  LiveWeights(const Conv2dDims& dims, const dnnl::memory::desc& layout);
  [[nodiscard]] std::size_t bytes() const { return live_.get_desc().get_size(); }
  /// w [co, rows, columns, ci] -> live, in the layout.
  void gather(const float* w, std::byte* live);
  /// live -> w [co, rows, columns, ci]; dead taps that it holds become zero.
  void scatter(std::byte* live, float* w);

 private:
  dnnl::memory weights_, live_;
  std::size_t weight_bytes_;
  bool all_live_;
  dnnl::reorder gather_, scatter_;
};

inline std::size_t align_workspace(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace roap::cpu
