#include "kernels/point_mlp/point_mlp_pack.h"

// Computes: the weights of layers 0 to 3 as the kernels read them. Numerics: a LayerNorm takes the mean over the units
// away from its input, so it is taken from every column of w0 and from b0 once, here.

namespace roap::cpu {

namespace {

void pad_centred(const float* in, std::int64_t in_stride, std::int64_t count, std::int64_t stride, double* out) {
  double mean = 0;
  for (std::int64_t k = 0; k < count; ++k) mean += in[k * in_stride] / static_cast<double>(count);
  for (std::int64_t k = 0; k < count; ++k) out[k] = in[k * in_stride] - mean;
  std::fill(out + count, out + stride, 0.0);
}

}  // namespace

void pad_point_mlp_row(const float* in, std::int64_t in_stride, std::int64_t count, std::int64_t stride, float* out) {
  for (std::int64_t k = 0; k < count; ++k) out[k] = in[k * in_stride];
  std::fill(out + count, out + stride, 0.0f);
}

PointMlpPacked take_point_mlp_packed(const PointMlpDims& d, WorkspaceCutter& workspace) {
  PointMlpPacked packed;
  packed.stride = round_up(d.hidden, 32);
  packed.exact_columns = workspace.take<double>(d.in * packed.stride);
  packed.exact_bias = workspace.take<double>(packed.stride);
  packed.columns = workspace.take<float>(d.in * packed.stride);
  packed.units = workspace.take<float>(d.hidden * packed.stride);
  for (float** array : {&packed.gamma_direction, &packed.gamma1, &packed.beta1, &packed.b3}) {
    *array = workspace.take<float>(packed.stride);
  }
  return packed;
}

PointMlpLayers pack_point_mlp(const PointMlpDims& d, const PointMlpWeights<const float>& w,
                              const PointMlpPacked& packed) {
  const std::int64_t stride = packed.stride;
  for (std::int64_t j = 0; j < d.in; ++j) {
    pad_centred(w.w0 + j, d.in, d.hidden, stride, packed.exact_columns + j * stride);
  }
  pad_centred(w.b0, 1, d.hidden, stride, packed.exact_bias);
  std::transform(packed.exact_columns, packed.exact_columns + d.in * stride, packed.columns,
                 [](double value) { return static_cast<float>(value); });
  pad_point_mlp_row(w.gamma1, 1, d.hidden, stride, packed.gamma1);
  pad_point_mlp_row(w.beta1, 1, d.hidden, stride, packed.beta1);
  pad_point_mlp_row(w.b3, 1, d.hidden, stride, packed.b3);
  for (std::int64_t k = 0; k < stride; ++k) packed.gamma_direction[k] = packed.gamma1[k] * packed.columns[k];
  constexpr std::int64_t kUnitGrain = 16;
  parallel_ranges(d.hidden, kUnitGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k)
      pad_point_mlp_row(w.w3 + k, d.hidden, d.hidden, stride, packed.units + k * stride);
  });
  return {d.in,
          d.hidden,
          d.features,
          stride,
          packed.exact_columns,
          packed.exact_bias,
          packed.columns,
          packed.gamma_direction,
          packed.gamma1,
          packed.beta1,
          packed.units,
          packed.b3,
          w.gamma4,
          w.beta4,
          nullptr};
}

}  // namespace roap::cpu
