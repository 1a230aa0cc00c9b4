#pragma once

#include "kernels/common/parallel.h"
#include "kernels/point_mlp/point_mlp.h"
#include "kernels/point_mlp/point_mlp_isa.h"

// What both directions of point_mlp do before their tiles.

namespace roap::cpu {

/// Packs a matrix for the active instruction set.
inline void pack_point_mlp(const PanelSource& source, float* panels) {
  constexpr std::int64_t kGrain = 4;
  parallel_ranges(pieces_of(source.outputs, point_mlp_panel()), kGrain,
                  [&](std::int64_t begin, std::int64_t end) { point_mlp_pack(source, begin, end, panels); });
}

inline PointMlpLayers point_mlp_layers(const PointMlpDims& d, const PointMlpWeights<const float>& w,
                                       const float* panels3, const float* panels6) {
  return {d.in, d.hidden, d.features, w.w0, w.b0, w.gamma1, w.beta1, w.gamma4, w.beta4, panels3, panels6};
}

/// Writes the network's input [y; s of the group's columns] into one lane of x [in, kTileRows].
inline void gather_point_mlp_row(const PointMlpDims& d, const PointMlpInputs<float>& in, std::int64_t g, float y,
                                 std::int32_t pair, std::int64_t lane, float* x) {
  x[lane] = y;
  for (std::int64_t j = 1; j < d.in; ++j) {
    x[j * kTileRows + lane] = in.s[pair * d.symbols + in.columns[g * (d.in - 1) + j - 1]];
  }
}

}  // namespace roap::cpu
