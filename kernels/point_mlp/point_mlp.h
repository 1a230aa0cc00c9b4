#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/product_math.h"

// A PointNet branch (Qi et al. 2017), fused: one network on every element of a set, then the maximum over the set. Here
// the sets are the tasks and the elements the pairs of the batch. Row (t, i) of group g is x = [y[t, i]; s[i, columns
// of g]] and
//   z1 = w0 x + b0;  a1 = relu(layer_norm(z1; gamma1, beta1))
//   z2 = w3 a1 + b3; a2 = relu(layer_norm(z2; gamma4, beta4))
//   z3 = w6 a2 + b6
//   h[t, g * features + f] = max over i of z3(t, g, i)[f];  index = the pair i that wins, the lowest one in a tie.
// All groups share the network. Gradients flow through the winning rows only.

namespace roap {

inline constexpr float kPointMlpEpsilon = 1e-5f;  // of both LayerNorms

struct PointMlpDims {
  std::int64_t tasks = 0, pairs = 0;
  std::int64_t symbols = 0;  ///< columns of s; 0 without s
  std::int64_t groups = 0;   ///< pooled blocks of h
  std::int64_t in = 0;       ///< inputs of the network: 1 + symbol columns of a group
  std::int64_t hidden = 0, features = 0;

  [[nodiscard]] std::int64_t cells() const { return tasks * pairs; }
};

/// The weights (or their gradients) under the names of an nn.Sequential: Linear 0, LayerNorm 1, Linear 3, LayerNorm 4,
/// Linear 6.
template <class T>
struct PointMlpWeights {
  T* w0;      ///< [hidden, in]
  T* b0;      ///< [hidden]
  T* gamma1;  ///< [hidden]
  T* beta1;   ///< [hidden]
  T* w3;      ///< [hidden, hidden]
  T* b3;      ///< [hidden]
  T* gamma4;  ///< [hidden]
  T* beta4;   ///< [hidden]
  T* w6;      ///< [features, hidden]
  T* b6;      ///< [features]
};

/// What both directions read. columns [groups, in - 1]: symbol columns of each group.
template <class T>
struct PointMlpInputs {
  const T* y;  ///< [tasks, pairs]
  const T* s;  ///< [pairs, symbols]; null where in = 1
  const std::int32_t* columns;
  PointMlpWeights<const T> w;
};

struct PointMlpOptions {
  ProductMath math = ProductMath::f32;  ///< of layers 3 and 6; everything else is f32
  /// Rows with bitwise equal inputs are computed once (on CUDA forward and without symbols only); false is for
  /// measuring what that saves. h and index are the same bits either way where the same kernels multiply, gradients up
  /// to the order of their sums.
  bool share_rows = true;
  std::int32_t most_shared_rows = 16384;  ///< on CUDA; where more are distinct, every row is computed
  bool warpgroups = true;                 ///< products by warpgroups where the card and the sizes allow it
};

namespace cpu {

/// Scratch memory in bytes, to be passed 64-byte aligned as `workspace`.
std::size_t point_mlp_forward_workspace(const PointMlpDims& d);
std::size_t point_mlp_backward_workspace(const PointMlpDims& d);

/// Rows that the last run with this workspace computed, of all groups together: distinct inputs, or distinct winners.
std::int64_t point_mlp_forward_rows(const PointMlpDims& d, std::byte* workspace);
std::int64_t point_mlp_backward_rows(const PointMlpDims& d, std::byte* workspace);

/// -> h [tasks, groups * features], index [tasks, groups * features].
void point_mlp_forward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in, float* h,
                       std::int32_t* index, std::byte* workspace);
/// dh, index [tasks, groups * features] -> ds [pairs, symbols] (added when `accumulate`) and dw; null pointers are
/// skipped.
void point_mlp_backward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                        const float* dh, const std::int32_t* index, float* ds, bool accumulate,
                        const PointMlpWeights<float>& dw, std::byte* workspace);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device; `columns` of the inputs stays on the host.
std::size_t point_mlp_forward_workspace(const PointMlpDims& d, const PointMlpOptions& options);
std::size_t point_mlp_backward_workspace(const PointMlpDims& d, const PointMlpOptions& options);
void point_mlp_forward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in, float* h,
                       std::int32_t* index, std::byte* workspace, Stream stream);
/// Where, in device memory, the last run with this workspace counted distinct rows (or counting stopped, above
/// most_shared_rows); null where it did not look for any.
const std::int32_t* point_mlp_forward_rows(const PointMlpDims& d, const PointMlpOptions& options, std::byte* workspace);
void point_mlp_backward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                        const float* dh, const std::int32_t* index, float* ds, bool accumulate,
                        const PointMlpWeights<float>& dw, std::byte* workspace, Stream stream);

}  // namespace cuda
}  // namespace roap
