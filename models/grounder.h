#pragma once

#include <string>
#include <vector>

#include "engine/graph.h"
#include "kernels/batch_norm/batch_norm_op.h"
#include "kernels/conv2d/conv2d_op.h"

namespace roap {

/// The network that turns an image into a number.
struct GrounderConfig {
  std::string kind =
      "resnet-small";          ///< "resnet18" (He et al. 2016) or "resnet-small" (three stages of one basic block)
  std::string stem = "cifar";  ///< resnet18: "imagenet" (7x7/2 and max pool) or "cifar" (3x3/1, no pool)
  int width = 16;              ///< resnet-small: channels of the first stage
};

struct Grounder {
  TensorId symbols;  ///< [n, 1]
  std::vector<BatchNormUpdate>
      updates;  ///< train mode: running statistics to update once the step is known to be finite
};

/// Appends the grounder to the graph: images [n, h, w, c] (f32, or bf16 for bf16 activations), at least 8x8 with 1 or 3
/// channels, -> one number each. Weights are "grounder." + torchvision's names. ShapeError for images that are too
/// small, UsageError for an unknown kind or stem. In training, convolutions whose output has at least `moments_from`
/// bytes find the statistics of the BatchNorm behind them (conv2d_with_moments).
Grounder build_grounder(Graph& graph, const GrounderConfig& config, TensorId images, bool train,
                        double moments_from = kNoConv2dMoments);

}  // namespace roap
