#pragma once

#include <algorithm>

#include "kernels/common/parallel.h"
#include "kernels/point_mlp/point_mlp.h"
#include "kernels/point_mlp/point_mlp_isa.h"
#include "kernels/point_mlp/point_mlp_workspace.h"

// What both directions of point_mlp do before their rows.

namespace roap::cpu {

/// The network's weights in the order in which the kernels read them.
struct PointMlpPacked {
  std::int64_t stride = 0;
  double *exact_columns = nullptr, *exact_bias = nullptr;
  float *columns = nullptr, *gamma_direction = nullptr, *gamma1 = nullptr, *beta1 = nullptr, *units = nullptr,
        *b3 = nullptr;
};

/// out[k] = in[k * in_stride], then zeros up to `stride`.
void pad_point_mlp_row(const float* in, std::int64_t in_stride, std::int64_t count, std::int64_t stride, float* out);

PointMlpPacked take_point_mlp_packed(const PointMlpDims& d, WorkspaceCutter& workspace);
/// Fills it; the layers' panels6 stay null.
PointMlpLayers pack_point_mlp(const PointMlpDims& d, const PointMlpWeights<const float>& w,
                              const PointMlpPacked& packed);

/// How the kernels look up the rows of group g.
inline PointMlpRowInputs point_mlp_row_inputs(const PointMlpDims& d, const PointMlpInputs<float>& in,
                                              const PointMlpRows& rows, std::int64_t g) {
  return {rows.y, rows.pair, in.s, in.columns + g * (d.in - 1), d.symbols};
}

}  // namespace roap::cpu
