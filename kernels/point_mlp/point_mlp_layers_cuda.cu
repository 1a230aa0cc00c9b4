#include "kernels/common/column_sum.cuh"
#include "kernels/common/launch.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/linear/linear.h"
#include "kernels/point_max/point_max.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

// Networks too large for the fused kernels, layer by layer: every activation goes through memory, and the backward pass
// takes all rows. Sets are computed in chunks, so that memory does not grow with their number.

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// Computes  x: the inputs of the network, row by row
/// Shapes    PointMlpRows -> x [sets of the chunk * pairs, in]
/// Mapping   a thread gathers one input
/// Memory    x is written once, coalesced
/// Numerics  exact
__global__ void __launch_bounds__(kThreads)
    point_mlp_gather_rows_kernel(PointMlpRows inputs, std::int64_t first_set, std::int64_t rows, float* x) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= rows * inputs.d.in) return;
  const std::int64_t row = i / inputs.d.in;
  const PointMlpSet elements(inputs, static_cast<int>(first_set + row / inputs.d.pairs));
  x[i] = elements.input(static_cast<int>(row % inputs.d.pairs), static_cast<int>(i % inputs.d.in));
}

/// Computes  out (+)= x
/// Shapes    x, out [count]
/// Mapping   a thread adds one element
/// Memory    bound by bandwidth
/// Numerics  f32
__global__ void __launch_bounds__(kThreads)
    point_mlp_add_kernel(std::int64_t count, const float* x, float* out, bool accumulate) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) out[i] = accumulate ? out[i] + x[i] : x[i];
}

/// Computes  ds[pair, symbol] (+)= sum of dx over the sets of a chunk
/// Shapes    dx [sets of the chunk * pairs, in], ds [pairs, symbols]
/// Mapping   a block owns 32 pairs of a symbol
/// Memory    dx is read once per symbol
/// Numerics  f32, in the fixed order of column_sum over sets
__global__ void __launch_bounds__(kColumnSumThreads)
    point_mlp_add_symbols_kernel(PointMlpRows inputs, std::int64_t first_set, std::int64_t sets, const float* dx,
                                 float* ds, bool accumulate) {
  const PointMlpDims& d = inputs.d;
  const std::int64_t pair = static_cast<std::int64_t>(blockIdx.x) * kColumnSumColumns + column_of_sum();
  const auto symbol = static_cast<std::int32_t>(blockIdx.y);
  const float sum = column_sum(sets, [&](std::int64_t set) {
    const std::int32_t* seen = inputs.columns + (first_set + set) % d.groups * (d.in - 1);
    float share = 0;
    for (std::int64_t j = 1; j < d.in; ++j) {
      if (seen[j - 1] == symbol && pair < d.pairs) share += dx[(set * d.pairs + pair) * d.in + j];
    }
    return share;
  });
  if (threadIdx.x >= kColumnSumColumns || pair >= d.pairs) return;
  float& target = ds[pair * d.symbols + symbol];
  target = accumulate ? target + sum : sum;
}

/// Arrays for a chunk of sets.
struct Layers {
  std::int64_t sets, rows;  // of a chunk
  ProductMath math;         // of layers 3 and 6
  PointMlpRows inputs;
  float *x, *z1, *a1, *z2, *a2, *z3, *mean1, *rstd1, *mean2, *rstd2;
  float *da, *dz, *norm_sums, *weight_sums;  // backward: gradients of activations, and of one weight of the chunk
};

Layers lay_out(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in, bool backward,
               WorkspaceCutter& workspace) {
  constexpr std::int64_t kRows = 8192;
  Layers l{};
  l.math = options.math;
  l.sets = std::clamp<std::int64_t>(kRows / d.pairs, 1, d.tasks * d.groups);
  l.rows = l.sets * d.pairs;
  l.inputs = take_point_mlp_rows(d, in, workspace);
  l.x = workspace.take<float>(l.rows * d.in);
  for (float** activation : {&l.z1, &l.a1, &l.z2, &l.a2}) *activation = workspace.take<float>(l.rows * d.hidden);
  l.z3 = workspace.take<float>(l.rows * d.features);
  for (float** statistic : {&l.mean1, &l.rstd1, &l.mean2, &l.rstd2}) *statistic = workspace.take<float>(l.rows);
  if (!backward) return l;
  const std::int64_t widest = std::max(d.hidden, d.in);
  l.da = workspace.take<float>(l.rows * widest);
  l.dz = workspace.take<float>(l.rows * widest);
  const auto norm_bytes = static_cast<std::int64_t>(layer_norm_backward_workspace({l.rows, d.hidden, true}));
  l.norm_sums = workspace.take<float>(norm_bytes / static_cast<std::int64_t>(sizeof(float)));
  l.weight_sums = workspace.take<float>(std::max({d.hidden, d.features, d.in}) * (d.hidden + 1));
  return l;
}

unsigned blocks_of(std::int64_t count) { return static_cast<unsigned>(pieces_of(count, kThreads)); }

/// The network up to a2 for rows of sets [first, first + rows / pairs).
void hidden_layers(const Layers& l, const PointMlpWeights<const float>& w, std::int64_t first, std::int64_t rows,
                   Stream stream) {
  const PointMlpDims& d = l.inputs.d;
  launch("point_mlp_gather_rows", {.grid = blocks_of(rows * d.in), .block = kThreads}, stream,
         point_mlp_gather_rows_kernel, l.inputs, first, rows, l.x);
  const LayerNormDims norm{rows, d.hidden, true, kPointMlpEpsilon};
  linear_forward({rows, d.in, d.hidden}, ProductMath::f32, l.x, w.w0, w.b0, l.z1, stream);
  layer_norm_forward(norm, l.z1, w.gamma1, w.beta1, l.a1, l.mean1, l.rstd1, stream);
  linear_forward({rows, d.hidden, d.hidden}, l.math, l.a1, w.w3, w.b3, l.z2, stream);
  layer_norm_forward(norm, l.z2, w.gamma4, w.beta4, l.a2, l.mean2, l.rstd2, stream);
}

/// Adds gradients of weights, chunk after chunk.
class WeightAdder {
 public:
  WeightAdder(const Layers& l, bool accumulate, Stream stream) : l_(l), accumulate_(accumulate), stream_(stream) {}
  void linear(const LinearDims& d, ProductMath math, const float* dy, const float* x, float* dw, float* db) const {
    if (dw == nullptr && db == nullptr) return;
    float* bias = l_.weight_sums + d.out * d.in;
    linear_backward_weight(d, math, dy, x, l_.weight_sums, db != nullptr ? bias : nullptr, stream_);
    add(d.out * d.in, l_.weight_sums, dw);
    add(d.out, bias, db);
  }
  /// Also computes dz.
  void layer_norm(const LayerNormDims& d, const float* a, const float* z, const float* gamma, const float* mean,
                  const float* rstd, float* dgamma, float* dbeta) const {
    float* beta = l_.weight_sums + d.columns;
    layer_norm_backward(d, l_.da, a, z, gamma, mean, rstd, l_.dz, false, dgamma != nullptr ? l_.weight_sums : nullptr,
                        dbeta != nullptr ? beta : nullptr, l_.norm_sums, stream_);
    add(d.columns, l_.weight_sums, dgamma);
    add(d.columns, beta, dbeta);
  }

 private:
  void add(std::int64_t count, const float* x, float* out) const {
    if (out == nullptr) return;
    launch("point_mlp_add", {.grid = blocks_of(count), .block = kThreads}, stream_, point_mlp_add_kernel, count, x, out,
           accumulate_);
  }
  const Layers& l_;
  bool accumulate_;
  Stream stream_;
};

void backward_chunk(const Layers& l, const PointMlpWeights<const float>& w, const float* dh, const std::int32_t* index,
                    std::int64_t rows, const PointMlpWeights<float>& dw, bool want_symbols, const WeightAdder& add,
                    Stream stream) {
  const PointMlpDims& d = l.inputs.d;
  const LayerNormDims norm{rows, d.hidden, true, kPointMlpEpsilon};
  const LinearDims hidden{rows, d.hidden, d.hidden}, output{rows, d.hidden, d.features}, input{rows, d.in, d.hidden};
  point_max_backward({rows / d.pairs, d.pairs, d.features}, dh, index, l.z3, false, stream);
  add.linear(output, l.math, l.z3, l.a2, dw.w6, dw.b6);
  linear_backward_data(output, l.math, l.z3, w.w6, l.da, false, stream);
  add.layer_norm(norm, l.a2, l.z2, w.gamma4, l.mean2, l.rstd2, dw.gamma4, dw.beta4);
  add.linear(hidden, l.math, l.dz, l.a1, dw.w3, dw.b3);
  linear_backward_data(hidden, l.math, l.dz, w.w3, l.da, false, stream);
  add.layer_norm(norm, l.a1, l.z1, w.gamma1, l.mean1, l.rstd1, dw.gamma1, dw.beta1);
  add.linear(input, ProductMath::f32, l.dz, l.x, dw.w0, dw.b0);
  if (want_symbols) linear_backward_data(input, ProductMath::f32, l.dz, w.w0, l.da, false, stream);
}

}  // namespace

std::size_t point_mlp_layers_forward_workspace(const PointMlpDims& d) {
  WorkspaceCutter workspace(nullptr);
  lay_out(d, {}, {}, false, workspace);
  return workspace.bytes();
}
std::size_t point_mlp_layers_backward_workspace(const PointMlpDims& d) {
  WorkspaceCutter workspace(nullptr);
  lay_out(d, {}, {}, true, workspace);
  return workspace.bytes();
}

void point_mlp_layers_forward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                              float* h, std::int32_t* index, std::byte* workspace, Stream stream) {
  WorkspaceCutter cutter(workspace);
  const Layers l = lay_out(d, options, in, false, cutter);
  copy_point_mlp_columns(l.inputs, in.columns, stream);
  for (std::int64_t set = 0; set < d.tasks * d.groups; set += l.sets) {
    const std::int64_t sets = std::min(l.sets, d.tasks * d.groups - set), rows = sets * d.pairs;
    hidden_layers(l, in.w, set, rows, stream);
    linear_forward({rows, d.hidden, d.features}, l.math, l.a2, in.w.w6, in.w.b6, l.z3, stream);
    point_max_forward({sets, d.pairs, d.features}, l.z3, h + set * d.features, index + set * d.features, stream);
  }
}

void point_mlp_layers_backward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                               const float* dh, const std::int32_t* index, float* ds, bool accumulate,
                               const PointMlpWeights<float>& dw, std::byte* workspace, Stream stream) {
  WorkspaceCutter cutter(workspace);
  const Layers l = lay_out(d, options, in, true, cutter);
  copy_point_mlp_columns(l.inputs, in.columns, stream);
  for (std::int64_t set = 0; set < d.tasks * d.groups; set += l.sets) {
    const std::int64_t sets = std::min(l.sets, d.tasks * d.groups - set), rows = sets * d.pairs;
    hidden_layers(l, in.w, set, rows, stream);
    backward_chunk(l, in.w, dh + set * d.features, index + set * d.features, rows, dw, ds != nullptr,
                   WeightAdder(l, set > 0, stream), stream);
    if (ds == nullptr) continue;
    launch("point_mlp_add_symbols",
           {.grid = {column_sum_blocks(d.pairs), static_cast<unsigned>(d.symbols)}, .block = kColumnSumThreads}, stream,
           point_mlp_add_symbols_kernel, l.inputs, set, sets, l.da, ds, accumulate || set > 0);
  }
}

}  // namespace roap::cuda
