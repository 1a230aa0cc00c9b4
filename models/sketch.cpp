#include "models/sketch.h"

#include <cmath>

#include "kernels/program_length/program_length_op.h"
#include "kernels/soft_exec/soft_exec_op.h"
#include "kernels/tree_exec/tree_exec_op.h"
#include "models/programs/discrete_program.h"

namespace roap {

int Sketch::logit_count() const {
  return std::visit([](const auto& layout) { return static_cast<int>(layout.count()); }, layout_);
}

std::vector<int> Sketch::group_sizes() const {
  return std::visit([](const auto& layout) { return layout.group_sizes(); }, layout_);
}

TensorId Sketch::execute(Graph& graph, const std::string& name, TensorId z, TensorId symbols) const {
  if (const auto* tree = std::get_if<TreeLayout>(&layout_)) return tree_exec(graph, name, z, symbols, *tree);
  return soft_exec(graph, name, z, symbols, std::get<StraightLineLayout>(layout_));
}

TensorId Sketch::length(Graph& graph, const std::string& name, TensorId z) const {
  return program_length(graph, name, z, layout_);
}

programs::Expression Sketch::decode(std::span<const float> logits) const {
  if (const auto* tree = std::get_if<TreeLayout>(&layout_)) {
    return programs::decode_tree(logits, tree->symbols, tree->depth).to_expression();
  }
  const auto& code = std::get<StraightLineLayout>(layout_);
  return programs::decode_straight_line(logits, code.symbols, code.lines).to_expression();
}

int Sketch::first_non_finite_line(std::span<const float> z, std::span<const float> symbols) const {
  if (std::holds_alternative<TreeLayout>(layout_)) return 0;
  const auto& layout = std::get<StraightLineLayout>(layout_);
  std::vector<float> values(symbols.begin(), symbols.end());
  for (int line = 0; line < layout.lines; ++line) {
    const float* op = z.data() + layout.operators(line);
    const float* left = z.data() + layout.left(line);
    const float* right = z.data() + layout.right(line);
    float a = 0;
    float b = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      a += left[i] * values[i];
      b += right[i] * values[i];
    }
    values.push_back(op[0] * (a + b) + op[1] * (a - b) + op[2] * (a * b) + op[3] * a);
    if (!std::isfinite(values.back())) return line + 1;
  }
  return 0;
}

}  // namespace roap
