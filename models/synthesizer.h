#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/common/product_math.h"

namespace roap {

/// The amortised program synthesizer: PointNets over the set of (symbols, y) pairs of a task, then an MLP.
struct SynthesizerConfig {
  int width = 256;        ///< hidden and feature width of all MLPs
  double input_gain = 1;  ///< of the set networks' first layers, see point_mlp
  /// Standard deviation of the logits' initial bias, the same for all tasks, so that lines which no program needs yet
  /// start as different expressions that programs can take up; 0: initialised like the other layers.
  double logit_spread = 0;
  int logit_count = 0;                  ///< P, see kernels/common/sketch_layout.h
  ProductMath math = ProductMath::f32;  ///< how the CUDA device multiplies
};

/// y [T, B], symbols [B, V] -> logits [T, P]. With h_out = max_i MLP_out(y_i), h_rel[j] = max_i MLP_rel([y_i; s_ij])
/// and h_io = max_i MLP_io([y_i; s_i]): logits = MLP_prog([h_out; h_io; h_rel[1..V]]). Weights are
/// synthesizer.{mlp_out,mlp_rel,mlp_io,mlp_prog}.{0,1,3,4,6}.{weight,bias}.
TensorId build_synthesizer(Graph& graph, const SynthesizerConfig& config, TensorId y, TensorId symbols);

}  // namespace roap
