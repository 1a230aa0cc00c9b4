#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/graph.h"
#include "kernels/common/sketch_layout.h"
#include "models/programs/expression.h"

namespace roap {

/// The space of programs: straight-line code of L lines, or syntax trees of depth D, over V symbols.
class Sketch {
 public:
  static Sketch straight_line(int variables, int lines) { return Sketch(StraightLineLayout{variables, lines}); }
  static Sketch tree(int variables, int depth) { return Sketch(TreeLayout{variables, depth}); }

  /// P, the number of logits of a task.
  [[nodiscard]] int logit_count() const;
  /// Sizes of the categorical choices, in the order of the logits; they sum to logit_count().
  [[nodiscard]] std::vector<int> group_sizes() const;
  /// z [T, P], symbols [B, V] -> yhat [T, B].
  TensorId execute(Graph& graph, const std::string& name, TensorId z, TensorId symbols) const;
  /// z [T, P] -> expected length [T].
  TensorId length(Graph& graph, const std::string& name, TensorId z) const;
  /// The most likely program of P logits.
  [[nodiscard]] programs::Expression decode(std::span<const float> logits) const;
  /// The first line (1-based) of the relaxed straight-line program z whose value is not finite at
  /// `symbols`; 0 where all are finite (and for trees).
  [[nodiscard]] int first_non_finite_line(std::span<const float> z, std::span<const float> symbols) const;

 private:
  explicit Sketch(SketchLayout layout) : layout_(layout) {}
  SketchLayout layout_;
};

}  // namespace roap
