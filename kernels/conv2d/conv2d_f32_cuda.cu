#include <algorithm>

#include "kernels/common/f32_product.cuh"
#include "kernels/common/launch.h"
#include "kernels/conv2d/conv2d_cuda.h"

// Convolutions in f32 on CUDA cores. A tile's rows are images at one position, so that taps which meet padding are left
// out.

namespace roap::cuda {

namespace {

using P = F32Product;

/// Computes  result[n, r, o] (+)= sum over taps and i of source[n, source of (r, tap), i] weights[o, tap, i]
/// Shapes    source [images, sources, depth], weights as PackedWeights, result [images, results, channels]; any sizes
/// Mapping   a block owns 64 images at one position by 64 channels, a thread 4 x 4 of them
/// Memory    source once per used tap and 64 channels, weights once per 64 images and position (both L2), result once
/// Numerics  f32: taps, then channels, ascending
/// Limits    a row of a source map has fewer than 2^31 elements
__global__ void __launch_bounds__(P::kThreads)
    conv2d_f32_kernel(ConvProduct p, PackedWeights layout, const float* source, const float* weights, float* result,
                      bool accumulate) {
  const int first_channel = static_cast<int>(blockIdx.y % p.channel_blocks) * P::kTile;
  const int first_image = static_cast<int>(blockIdx.y / p.channel_blocks) * P::kTile;
  const int column = static_cast<int>(blockIdx.x) % p.x.results, row = static_cast<int>(blockIdx.x) / p.x.results;
  const std::int64_t image_size = static_cast<std::int64_t>(p.y.sources) * p.x.sources * p.depth;
  F32Sums sums = {};
  for (int ky = 0; ky < p.y.taps; ++ky) {
    const int from_row = p.y.source(row, ky);
    if (from_row < 0) continue;
    for (int kx = 0; kx < p.x.taps; ++kx) {
      const int from_column = p.x.source(column, kx);
      if (from_column < 0) continue;
      // Forward, neighbouring taps read neighbouring positions: one long row of the map and, so packed, of the weights.
      const int taps = p.x.transposed ? 1 : min(p.x.taps - kx, p.x.sources - from_column);
      const int depth = taps * p.depth;
      const float* from = source + (static_cast<std::int64_t>(from_row) * p.x.sources + from_column) * p.depth;
      const float* w = weights + (ky * p.x.taps + kx) * layout.tap_stride;
      add_f32_products<ReadAlong::k, ReadAlong::k>(
          sums, depth,
          [&](int n, int k) {
            return first_image + n < p.images && k < depth ? from[(first_image + n) * image_size + k] : 0.0f;
          },
          [&](int o, int k) {
            return first_channel + o < p.channels && k < depth ? w[(first_channel + o) * layout.row_stride + k] : 0.0f;
          });
      kx += taps - 1;
    }
  }
  for_each_f32_sum(sums, [&](int n, int o, float sum) {
    if (first_image + n >= p.images || first_channel + o >= p.channels) return;
    const std::int64_t position =
        ((first_image + n) * static_cast<std::int64_t>(p.y.results) + row) * p.x.results + column;
    float& target = result[position * p.channels + first_channel + o];
    target = accumulate ? target + sum : sum;
  });
}

/// Computes  parts[split][o][tap, i] = sum over the split's images n and positions r of dy[n, r, o] x[n, source of
///           (r, tap), i]
/// Shapes    dy [images, results, outputs], x [images, sources, inputs], parts [splits][outputs][taps inputs]; any
///           sizes
/// Mapping   a block owns 64 outputs by 64 columns (tap, i) of one split, a thread 4 x 4 of them
/// Memory    dy once per 64 columns, x once per 64 outputs and used tap (L2), parts once
/// Numerics  f32: positions, then images, ascending
/// Limits    as above; positions that no column's tap uses are left out
__global__ void __launch_bounds__(P::kThreads)
    conv2d_f32_weight_kernel(ConvWeight p, int images_per_split, const float* dy, const float* x, float* parts) {
  const int columns = p.y.taps * p.x.taps * p.inputs;
  const int first_column = static_cast<int>(blockIdx.x) * P::kTile,
            first_output = static_cast<int>(blockIdx.y) * P::kTile;
  const int last_column = min(first_column + P::kTile, columns) - 1;
  const int first_image = static_cast<int>(blockIdx.z) * images_per_split;
  const int images = min(images_per_split, p.images - first_image);
  const std::int64_t dy_image = static_cast<std::int64_t>(p.y.results) * p.x.results * p.outputs;
  const std::int64_t x_image = static_cast<std::int64_t>(p.y.sources) * p.x.sources * p.inputs;
  const auto source_of = [&](int row, int column, int tap) {
    const int y = p.y.source(row, tap / p.x.taps), x_source = p.x.source(column, tap % p.x.taps);
    return y < 0 || x_source < 0 ? -1 : y * p.x.sources + x_source;
  };
  F32Sums sums = {};
  for (int row = 0; row < p.y.results; ++row) {
    for (int column = 0; column < p.x.results; ++column) {
      bool used = false;
      for (int tap = first_column / p.inputs; tap <= last_column / p.inputs; ++tap) {
        used = used || source_of(row, column, tap) >= 0;
      }
      if (!used) continue;
      const float* of_dy = dy + first_image * dy_image + (row * p.x.results + column) * p.outputs + first_output;
      add_f32_products<ReadAlong::rows, ReadAlong::rows>(
          sums, images,
          [&](int o, int n) { return first_output + o < p.outputs && n < images ? of_dy[n * dy_image + o] : 0.0f; },
          [&](int j, int n) {
            const int at = first_column + j, tap = at / p.inputs;
            const int source = at < columns ? source_of(row, column, tap) : -1;
            return source >= 0 && n < images
                       ? x[(first_image + n) * x_image + static_cast<std::int64_t>(source) * p.inputs + at % p.inputs]
                       : 0.0f;
          });
    }
  }
  float* part = parts + blockIdx.z * p.parts.split_stride;
  for_each_f32_sum(sums, [&](int o, int j, float sum) {
    if (first_output + o >= p.outputs || first_column + j >= columns) return;
    part[(first_output + o) * p.parts.o_stride + first_column + j] = sum;
  });
}

/// Forward and backward data. Workspace: packed weights, where w is not laid out as the products read it.
class F32ProductPlan : public Conv2dPlan {
 public:
  F32ProductPlan(Conv2dPass pass, const Conv2dDims& d)
      : product_(conv_product(pass, d, {P::kTile, 1, 1, true})),
        weights_(packed_live_taps(d, product_.y.transposed, 1)),
        in_place_(pass == Conv2dPass::forward && live_window(d) == stored_window(d)) {
    static_assert(P::kTile == kProductColumns);
    if (!product_.y.transposed) {  // taps of an output channel side by side
      weights_.tap_stride = weights_.depth;
      weights_.row_stride = weights_.tap_stride * weights_.taps_y * weights_.taps_x;
    }
  }
  [[nodiscard]] std::size_t workspace_bytes() const override {
    return in_place_ ? 0 : sizeof(float) * weights_.elements();
  }
  void run(const void* a, const void* b, void* result, bool accumulate, std::byte* workspace,
           Stream stream) const override {
    auto* packed = reinterpret_cast<float*>(workspace);
    const auto* w = static_cast<const float*>(b);
    if (!in_place_) pack_weights(weights_, w, packed, stream);
    const unsigned tiles = product_.channel_blocks * f32_product_tiles(product_.images);
    const auto positions = static_cast<unsigned>(product_.y.results * product_.x.results);
    launch(product_.y.transposed ? "conv2d_f32_backward_data" : "conv2d_f32_forward",
           {.grid = {positions, tiles}, .block = P::kThreads}, stream, conv2d_f32_kernel, product_, weights_,
           static_cast<const float*>(a), in_place_ ? w : packed, static_cast<float*>(result), accumulate);
  }

 private:
  ConvProduct product_;
  PackedWeights weights_;
  bool in_place_;
};

/// Backward weight. Workspace: the parts.
class F32WeightPlan : public Conv2dPlan {
 public:
  explicit F32WeightPlan(const Conv2dDims& d) : dims_(d), weight_(conv_weight(d, 1, {16, 1, 1}, 1)) {
    constexpr int kBlocks = 528, kFewestImages = 16;  // four blocks for each multiprocessor of an H100
    const int columns = weight_.y.taps * weight_.x.taps * weight_.inputs;
    tiles_ = {f32_product_tiles(columns), f32_product_tiles(weight_.outputs)};
    const int splits = std::max(1, kBlocks / static_cast<int>(tiles_.x * tiles_.y));
    images_per_split_ = std::max(kFewestImages, (weight_.images + splits - 1) / splits);
    weight_.parts = live_weight_parts(d, (weight_.images + images_per_split_ - 1) / images_per_split_);
  }
  [[nodiscard]] std::size_t workspace_bytes() const override { return sizeof(float) * weight_.parts.elements(); }
  void run(const void* a, const void* b, void* result, bool /*accumulate*/, std::byte* workspace,
           Stream stream) const override {
    auto* parts = reinterpret_cast<float*>(workspace);
    launch("conv2d_f32_backward_weight",
           {.grid = {tiles_.x, tiles_.y, static_cast<unsigned>(weight_.parts.splits)}, .block = P::kThreads}, stream,
           conv2d_f32_weight_kernel, weight_, images_per_split_, static_cast<const float*>(a),
           static_cast<const float*>(b), parts);
    add_weight_parts(dims_, weight_.parts, parts, {{static_cast<float*>(result)}}, stream);
  }

 private:
  Conv2dDims dims_;
  ConvWeight weight_;
  dim3 tiles_;
  int images_per_split_ = 0;
};

}  // namespace

template <>
std::unique_ptr<Conv2dPlan> conv2d_plan<float>(Conv2dPass pass, const Conv2dDims& d, int /*members*/) {
  if (pass == Conv2dPass::backward_weight) return std::make_unique<F32WeightPlan>(d);
  return std::make_unique<F32ProductPlan>(pass, d);
}

}  // namespace roap::cuda
