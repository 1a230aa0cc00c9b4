#include <algorithm>

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/common/convert.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/shared.h"
#include "kernels/common/sizes.h"
#include "kernels/common/workspace.h"
#include "kernels/conv2d/conv2d_cuda.h"

// The way of weights to the products' layout and of their gradient back, and the plans.

namespace roap::cuda {

namespace {

constexpr int kPackTile = 32, kPackLines = 8;

/// Computes  packed[tap][row][k] = w of the tap's output and input channel, 0 where w has none
/// Shapes    w [co, kh, kw, ci], packed as PackedWeights says
/// Mapping   a block owns 32 rows by 32 k of one tap
/// Memory    the packed taps of w once, packed once; a tile is turned in shared memory, so that both are coalesced
/// Numerics  one rounding to T
template <class T>
__global__ void __launch_bounds__(kPackTile* kPackLines)
    conv2d_pack_kernel(PackedWeights p, const float* w, T* packed) {
  ROAP_SHARED(tile, float[kPackTile][kPackTile + 1]);
  const int lane = static_cast<int>(threadIdx.x) % kPackTile, line = static_cast<int>(threadIdx.x) / kPackTile;
  const int first_k = static_cast<int>(blockIdx.x) * kPackTile, first_row = static_cast<int>(blockIdx.y) * kPackTile;
  const int tap = static_cast<int>(blockIdx.z);
  const int ky = p.first_tap_y + tap / p.taps_x, kx = p.first_tap_x + tap % p.taps_x;
  const bool stored = ky >= 0 && ky < p.kh && kx >= 0 && kx < p.kw;
  const int outputs = p.transposed ? p.depth : p.rows, inputs = p.transposed ? p.rows : p.depth;
  const int first_output = p.transposed ? first_k : first_row, input = (p.transposed ? first_row : first_k) + lane;
#pragma unroll
  for (int j = line; j < kPackTile; j += kPackLines) {
    const std::int64_t from = (static_cast<std::int64_t>(first_output + j) * p.kh + ky) * p.kw + kx;
    const bool inside = stored && first_output + j < outputs && input < inputs;
    tile[j][lane] = inside ? w[from * inputs + input] : 0.0f;
  }
  __syncthreads();
  T* to = packed + tap * p.tap_stride + first_row * p.row_stride + first_k + lane;
#pragma unroll
  for (int j = line; j < kPackTile; j += kPackLines) {
    if (first_row + j >= p.rows_padded || first_k + lane >= p.depth_padded) continue;
    to[j * p.row_stride] = from_float<T>(p.transposed ? tile[lane][j] : tile[j][lane]);
  }
}

constexpr int kAddThreads = 256;

/// Computes  dw[o, ky, kx, i] = sum over splits of parts[split, o, tap, i], 0 for taps without parts
/// Shapes    parts as WeightParts says, dw [co, rows, columns, ci]
/// Mapping   a thread owns one element, neighbours along i: grid (elements of an output, outputs, convolutions)
/// Memory    parts once, dw once
/// Numerics  splits in ascending order
template <class T>
__global__ void __launch_bounds__(kAddThreads)
    conv2d_add_parts_kernel(int rows, int columns, int inputs, WeightParts p, const T* all_parts,
                            const __grid_constant__ WeightGradients gradients) {
  const int e = static_cast<int>(blockIdx.x) * kAddThreads + static_cast<int>(threadIdx.x),
            o = static_cast<int>(blockIdx.y);
  const int count = rows * columns * inputs;
  if (e >= count) return;
  const T* parts = all_parts + blockIdx.z * p.splits * p.split_stride;
  const int tap = e / inputs, i = e % inputs;
  const int ky = tap / columns - p.first_tap_y, kx = tap % columns - p.first_tap_x;
  float sum = 0;
  if (ky >= 0 && ky < p.taps_y && kx >= 0 && kx < p.taps_x) {
    const T* part = parts + o * p.o_stride + ky * p.ky_stride + kx * p.kx_stride + i;
#pragma unroll 16
    for (int split = 0; split < p.splits; ++split) sum += to_float(part[split * p.split_stride]);
  }
  gradients.dw[blockIdx.z][static_cast<std::int64_t>(o) * count + e] = sum;
}

int padded(std::int64_t size, int tile) { return static_cast<int>(round_up(size, tile)); }

}  // namespace

PackedWeights packed_live_taps(const Conv2dDims& d, bool transposed, int tile) {
  const TapWindow live = live_in_stored(d), stored = stored_window(d);
  PackedWeights p;
  p.rows = static_cast<int>(transposed ? d.ci : d.co);
  p.depth = static_cast<int>(transposed ? d.co : d.ci);
  p.rows_padded = padded(p.rows, tile);
  p.depth_padded = padded(p.depth, tile);
  p.taps_y = static_cast<int>(live.rows);
  p.taps_x = static_cast<int>(live.columns);
  p.first_tap_y = static_cast<int>(live.first_row);
  p.first_tap_x = static_cast<int>(live.first_column);
  p.kh = static_cast<int>(stored.rows);
  p.kw = static_cast<int>(stored.columns);
  p.row_stride = p.depth_padded;
  p.tap_stride = p.row_stride * p.rows_padded;
  p.transposed = transposed;
  return p;
}

template <class T>
void pack_weights(const PackedWeights& p, const float* w, T* packed, Stream stream) {
  const auto tiles = [](int size) { return static_cast<unsigned>((size + kPackTile - 1) / kPackTile); };
  const dim3 grid(tiles(p.depth_padded), tiles(p.rows_padded), static_cast<unsigned>(p.taps_y * p.taps_x));
  launch("conv2d_pack", {.grid = grid, .block = kPackTile * kPackLines}, stream, conv2d_pack_kernel<T>, p, w, packed);
}

template void pack_weights<float>(const PackedWeights&, const float*, float*, Stream);
template void pack_weights<Bf16>(const PackedWeights&, const float*, Bf16*, Stream);

WeightParts live_weight_parts(const Conv2dDims& d, int splits) {
  const TapWindow live = live_in_stored(d);
  WeightParts p;
  p.splits = splits;
  p.taps_y = static_cast<int>(live.rows);
  p.taps_x = static_cast<int>(live.columns);
  p.first_tap_y = static_cast<int>(live.first_row);
  p.first_tap_x = static_cast<int>(live.first_column);
  p.kx_stride = d.ci;
  p.ky_stride = live.columns * p.kx_stride;
  p.o_stride = live.rows * p.ky_stride;
  p.split_stride = d.co * p.o_stride;
  return p;
}

template <class T>
void add_weight_parts(const Conv2dDims& d, const WeightParts& p, const T* parts, const WeightGradients& gradients,
                      Stream stream) {
  const TapWindow stored = stored_window(d);
  const auto blocks = static_cast<unsigned>((stored.count() * d.ci + kAddThreads - 1) / kAddThreads);
  launch(
      "conv2d_add_parts",
      {.grid = {blocks, static_cast<unsigned>(d.co), static_cast<unsigned>(gradients.members)}, .block = kAddThreads},
      stream, conv2d_add_parts_kernel<T>, static_cast<int>(stored.rows), static_cast<int>(stored.columns),
      static_cast<int>(d.ci), p, parts, gradients);
}

template void add_weight_parts<float>(const Conv2dDims&, const WeightParts&, const float*, const WeightGradients&,
                                      Stream);
template void add_weight_parts<Bf16>(const Conv2dDims&, const WeightParts&, const Bf16*, const WeightGradients&,
                                     Stream);

namespace {

/// The way from the moments of parts of a result to those of all.
class MomentParts {
 public:
  MomentParts(const Conv2dDims& d, int parts) : dims_{d.output_rows(), d.co}, parts_(parts) {}
  ConvMoments take(WorkspaceCutter& workspace) const {
    return {workspace.take<float>(2 * parts_ * dims_.channels), workspace.take<float>(parts_)};
  }
  void combine(const ConvMoments& moments, float* mean, float* variance, Stream stream) const {
    batch_norm_combine(dims_, parts_, moments.moments, moments.rows, mean, variance, stream);
  }

 private:
  BatchNormDims dims_;
  int parts_;
};

/// Forward and backward data in bf16. Workspace: packed weights, and moments where the plan is made for them.
class ProductPlan : public Conv2dMomentsPlan {
 public:
  ProductPlan(Conv2dPass pass, const Conv2dDims& d, bool moments)
      : product_(conv_product(pass, d, conv_has_warpgroups())),
        weights_(packed_live_taps(d, product_.y.transposed, kProductDepth)),
        parts_(d, moments ? product_.parts() : 0) {}
  [[nodiscard]] std::size_t workspace_bytes() const override {
    WorkspaceCutter workspace(nullptr);
    lay_out(workspace);
    return workspace.bytes();
  }
  void run(const void* a, const void* b, void* result, bool accumulate, std::byte* workspace,
           Stream stream) const override {
    WorkspaceCutter cutter(workspace);
    multiply(a, b, result, accumulate, {lay_out(cutter).weights, {}}, stream);
  }
  void run_with_moments(const void* x, const void* w, void* y, float* mean, float* variance, std::byte* workspace,
                        Stream stream) const override {
    WorkspaceCutter cutter(workspace);
    const Layout layout = lay_out(cutter);
    multiply(x, w, y, false, layout, stream);
    parts_.combine(layout.moments, mean, variance, stream);
  }

 private:
  struct Layout {
    Bf16* weights;
    ConvMoments moments;
  };
  Layout lay_out(WorkspaceCutter& workspace) const {
    auto* weights = workspace.take<Bf16>(static_cast<std::int64_t>(weights_.elements()));
    return {weights, parts_.take(workspace)};
  }
  void multiply(const void* a, const void* b, void* result, bool accumulate, const Layout& layout,
                Stream stream) const {
    pack_weights(weights_, static_cast<const float*>(b), layout.weights, stream);
    conv_product_run(product_, static_cast<const Bf16*>(a), layout.weights, static_cast<Bf16*>(result), accumulate,
                     stream, layout.moments);
  }

  ConvProduct product_;
  PackedWeights weights_;
  MomentParts parts_;
};

/// Backward weight in bf16. Workspace: the parts.
class WeightPlan : public Conv2dPlan {
 public:
  WeightPlan(const Conv2dDims& d, int members) : dims_(d), weight_(conv_weight(d, members, conv_has_warpgroups())) {}
  [[nodiscard]] std::size_t workspace_bytes() const override {
    return sizeof(float) * weight_.parts.elements() * static_cast<std::size_t>(weight_.members);
  }
  void run(const void* a, const void* b, void* result, bool /*accumulate*/, std::byte* workspace,
           Stream stream) const override {
    const Conv2dMember member{a, b, static_cast<float*>(result)};
    run_members({&member, 1}, workspace, stream);
  }
  void run_members(std::span<const Conv2dMember> members, std::byte* workspace, Stream stream) const override {
    auto* parts = reinterpret_cast<float*>(workspace);
    WeightOperands operands;
    WeightGradients gradients{.members = weight_.members};
    for (std::size_t i = 0; i < members.size(); ++i) {
      operands.dy[i] = static_cast<const Bf16*>(members[i].dy);
      operands.x[i] = static_cast<const Bf16*>(members[i].x);
      gradients.dw[i] = members[i].dw;
    }
    conv_weight_run(weight_, operands, parts, stream);
    add_weight_parts(dims_, weight_.parts, parts, gradients, stream);
  }

 private:
  Conv2dDims dims_;
  ConvWeight weight_;
};

/// Forward in bf16 for few input channels. Workspace: moments where the plan is made for them.
class StemPlan : public Conv2dMomentsPlan {
 public:
  StemPlan(const Conv2dDims& d, bool moments)
      : dims_(d), stem_(conv_stem(d, false)), parts_(d, moments ? stem_.splits() : 0) {}
  [[nodiscard]] std::size_t workspace_bytes() const override {
    WorkspaceCutter workspace(nullptr);
    parts_.take(workspace);
    return workspace.bytes();
  }
  void run(const void* a, const void* b, void* result, bool /*accumulate*/, std::byte* /*workspace*/,
           Stream stream) const override {
    conv_stem_forward(dims_, stem_, static_cast<const Bf16*>(a), static_cast<const float*>(b),
                      static_cast<Bf16*>(result), stream);
  }
  void run_with_moments(const void* x, const void* w, void* y, float* mean, float* variance, std::byte* workspace,
                        Stream stream) const override {
    WorkspaceCutter cutter(workspace);
    const ConvMoments moments = parts_.take(cutter);
    conv_stem_forward(dims_, stem_, static_cast<const Bf16*>(x), static_cast<const float*>(w), static_cast<Bf16*>(y),
                      stream, moments);
    parts_.combine(moments, mean, variance, stream);
  }

 private:
  Conv2dDims dims_;
  ConvStem stem_;
  MomentParts parts_;
};

/// Backward weight in bf16 for few input channels. Workspace: the parts.
class StemWeightPlan : public Conv2dPlan {
 public:
  explicit StemWeightPlan(const Conv2dDims& d)
      : dims_(d), stem_(conv_stem(d, true)), parts_(conv_stem_parts(d, stem_)) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return sizeof(float) * parts_.elements(); }
  void run(const void* a, const void* b, void* result, bool /*accumulate*/, std::byte* workspace,
           Stream stream) const override {
    auto* parts = reinterpret_cast<float*>(workspace);
    conv_stem_weight(stem_, static_cast<const Bf16*>(a), static_cast<const Bf16*>(b), parts, stream);
    add_weight_parts(dims_, parts_, parts, {{static_cast<float*>(result)}}, stream);
  }

 private:
  Conv2dDims dims_;
  ConvStem stem_;
  WeightParts parts_;
};

}  // namespace

std::unique_ptr<Conv2dMomentsPlan> conv2d_moments_plan(const Conv2dDims& d) {
  if (conv_stem_fits(d, false)) return std::make_unique<StemPlan>(d, true);
  return std::make_unique<ProductPlan>(Conv2dPass::forward, d, true);
}

template <>
std::unique_ptr<Conv2dPlan> conv2d_plan<Bf16>(Conv2dPass pass, const Conv2dDims& d, int members) {
  if (pass == Conv2dPass::forward && conv_stem_fits(d, false)) return std::make_unique<StemPlan>(d, false);
  if (pass == Conv2dPass::backward_weight) {
    if (conv_stem_fits(d, true)) return std::make_unique<StemWeightPlan>(d);
    return std::make_unique<WeightPlan>(d, members);
  }
  return std::make_unique<ProductPlan>(pass, d, false);
}

}  // namespace roap::cuda
