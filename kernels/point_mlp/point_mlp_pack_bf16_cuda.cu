#include "kernels/common/column_sum.cuh"
#include "kernels/common/convert.cuh"
#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

// Weights in the order in which the tensor-core kernels read them, once per call.

namespace roap::cuda {

namespace {

constexpr int kThreads = kColumnSumThreads, kWarps = kThreads / kWarpSize;

/// Element (input k, output n) = source[k * input_stride + n * output_stride], to be divided into blocks by outputs or
/// by inputs, each of them a matrix of PointMlpBf16Weights.
struct Bf16Matrix {
  const float* source;
  std::int64_t input_stride, output_stride;
  int inputs, outputs, blocks;
  bool by_inputs;  ///< blocks divide the inputs
  bool centred;    ///< subtract from each input its mean over outputs
  int index;       ///< of the first block
};
struct Bf16Matrices {
  Bf16Matrix of[3];
  int count = 0;
};

/// One slice's half of 32 inputs of matrix m, all outputs.
__device__ void pack_inputs(const Bf16Matrix& m, int width, int slices, bool by_place, __nv_bfloat16* matrices) {
  ROAP_SHARED(mean_of_input, float[kColumnSumColumns]);
  const int half = static_cast<int>(blockIdx.x) % (2 * slices), block = static_cast<int>(blockIdx.x) / (2 * slices);
  if (block >= m.blocks) return;
  const int k = half * kColumnSumColumns + column_of_sum();  // within the block
  const int input = k + (m.by_inputs ? block * width : 0), first_output = m.by_inputs ? 0 : block * width;
  const bool inside = input < m.inputs && k < width;
  const auto source = [&](std::int64_t output) {
    return inside ? m.source[input * m.input_stride + output * m.output_stride] : 0.0f;
  };
  float mean = 0;
  if (m.centred) {
    const float sum = column_sum(m.outputs, source);
    if (threadIdx.x < kColumnSumColumns) mean_of_input[threadIdx.x] = sum / static_cast<float>(m.outputs);
    __syncthreads();
    mean = mean_of_input[column_of_sum()];
  }
  constexpr int kDepth = kPointMlpSliceDepth;
  const int input_place = (by_place ? point_mlp_place(k) : k) % kDepth;
  __nv_bfloat16* slice = matrices + (static_cast<std::int64_t>(m.index + block) * slices + k / kDepth) * width * kDepth;
  for (int n = static_cast<int>(threadIdx.x) / kColumnSumColumns; n < width; n += kColumnSumLanes) {
    const float value = inside && first_output + n < m.outputs ? source(first_output + n) - mean : 0.0f;
    const int place = by_place ? point_mlp_place(n) : n;
    slice[place * kDepth + ((input_place / 8 ^ place % 8) << 3) + input_place % 8] = from_float<__nv_bfloat16>(value);
  }
}

/// Sum of value(0) ... value(count - 1) by a warp.
template <class Value>
__device__ float sum_of_warp(int count, const Value& value) {
  float sum = 0;
  for (int i = lane_index(); i < count; i += kWarpSize) sum += value(i);
  return warp_sum(sum);
}

/// Everything but the matrices, by one block.
__device__ void pack_vectors(const PointMlpDims& d, const PointMlpWeights<const float>& w, int width,
                             int feature_blocks, const PointMlpBf16Weights& packed) {
  ROAP_SHARED(means, float[kPointMlpMostInputs + 2]);  // of the columns of w0, of b0 and of b3
  const int in = static_cast<int>(d.in), hidden = static_cast<int>(d.hidden), features = static_cast<int>(d.features);
  const auto column = [&](int j, int row) { return j < in ? w.w0[row * in + j] : j == in ? w.b0[row] : w.b3[row]; };
  for (int j = warp_index(); j < in + 2; j += kWarps) {
    const float sum = sum_of_warp(hidden, [&](int row) { return column(j, row); });
    if (lane_index() == 0) means[j] = sum / static_cast<float>(hidden);
  }
  __syncthreads();
  const auto centred = [&](int j, int row) { return column(j, row) - means[j]; };
  for (int pair = warp_index(); pair < (in + 1) * (in + 1); pair += kWarps) {
    const float sum =
        sum_of_warp(hidden, [&](int row) { return centred(pair / (in + 1), row) * centred(pair % (in + 1), row); });
    if (lane_index() == 0) packed.gram[pair] = sum / static_cast<float>(hidden);
  }
  for (int c = static_cast<int>(threadIdx.x); c < width; c += kThreads) {
    const bool inside = c < hidden;
    for (int j = 0; j <= in; ++j) {
      packed.centred[j * width + c] = inside ? centred(j, c) : 0.0f;
      packed.first[j * width + c] = inside ? w.gamma1[c] * centred(j, c) : 0.0f;
    }
    packed.first[(in + 1) * width + c] = inside ? w.beta1[c] : 0.0f;
    packed.vectors[c] = inside ? centred(in + 1, c) : 0.0f;
    packed.vectors[width + c] = inside ? w.gamma4[c] : 0.0f;
    packed.vectors[2 * width + c] = inside ? w.beta4[c] : 0.0f;
    packed.vectors[3 * width + c] = inside ? w.gamma1[c] : 0.0f;
  }
  for (int f = static_cast<int>(threadIdx.x); f < feature_blocks * width; f += kThreads) {
    packed.b6[f] = f < features ? w.b6[f] : 0.0f;
  }
}

/// Computes  PointMlpBf16Weights
/// Shapes    as there
/// Mapping   blockIdx.y is the matrix, a block owns 32 of its inputs; the last one, and one block of it, is for vectors
/// Memory    every weight is read once, or twice where means are subtracted (L2), and written once
/// Numerics  f32, rounded to bf16 at the end
__global__ void __launch_bounds__(kThreads)
    point_mlp_pack_bf16_kernel(PointMlpDims d, PointMlpWeights<const float> w, Bf16Matrices matrices, int width,
                               int feature_blocks, PointMlpBf16Weights packed) {
  const int slices = (width + kPointMlpSliceDepth - 1) / kPointMlpSliceDepth;
  if (static_cast<int>(blockIdx.y) < matrices.count) {
    pack_inputs(matrices.of[blockIdx.y], width, slices, packed.by_place, packed.matrices);
  } else if (blockIdx.x == 0) {
    pack_vectors(d, w, width, feature_blocks, packed);
  }
}

std::int64_t slices_of(int width) { return pieces_of(width, kPointMlpSliceDepth); }

}  // namespace

PointMlpBf16Weights take_point_mlp_bf16_weights(const PointMlpDims& d, bool backward, WorkspaceCutter& workspace) {
  const PointMlpWidth sizes(d);
  const std::int64_t width = sizes.width, matrices = 1 + sizes.feature_blocks + (backward ? 1 : 0);
  PointMlpBf16Weights w{};
  w.first = workspace.take<float>((d.in + 2) * width);
  w.gram = workspace.take<float>((d.in + 1) * (d.in + 1));
  w.centred = workspace.take<float>((d.in + 1) * width);
  w.vectors = workspace.take<float>(4 * width);
  w.b6 = workspace.take<float>(sizes.feature_blocks * width);
  w.matrices = workspace.take<Bf16>(matrices * slices_of(sizes.width) * width * kPointMlpSliceDepth);
  return w;
}

void pack_point_mlp_bf16(const PointMlpDims& d, const PointMlpWeights<const float>& w, bool backward,
                         const PointMlpBf16Weights& packed, Stream stream) {
  const PointMlpWidth sizes(d);
  const int hidden = static_cast<int>(d.hidden), features = static_cast<int>(d.features), blocks = sizes.feature_blocks;
  Bf16Matrices matrices;
  const auto add = [&](const Bf16Matrix& m) { matrices.of[matrices.count++] = m; };
  add({w.w3, 1, hidden, hidden, hidden, 1, false, true, 0});
  if (backward) {
    add({w.w6, hidden, 1, features, hidden, blocks, true, false, 1});
    add({w.w3, hidden, 1, hidden, hidden, 1, false, false, 1 + blocks});
  } else {
    add({w.w6, 1, hidden, hidden, features, blocks, false, false, 1});
  }
  const auto groups = static_cast<unsigned>(blocks * 2 * slices_of(sizes.width));
  launch("point_mlp_pack_bf16", {.grid = {groups, static_cast<unsigned>(matrices.count + 1)}, .block = kThreads},
         stream, point_mlp_pack_bf16_kernel, d, w, matrices, sizes.width, blocks, packed);
}

}  // namespace roap::cuda
