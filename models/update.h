#pragma once

#include <string>

#include "engine/graph.h"

namespace roap {

/// Buffer that counts Adam's applied updates; saved with the optimizer's moments.
inline constexpr const char* kAdamStep = "adam.step";

struct UpdateParams {
  std::string first_network;  ///< weights whose names start so use the first learning rate; "": none
  double eps = 1e-5;
  double clip = 0;  ///< largest norm of the whole gradient; 0: no clipping
};

/// Appends Adam's update of all weights of the graph's store by their gradients, with learning rates `rates` [2],
/// unless the loss [1] or a gradient is not finite. All weights must have been declared. Returns the guard [2], of
/// gradient_guard.
TensorId append_update(Graph& graph, TensorId loss, TensorId rates, const UpdateParams& params);

}  // namespace roap
