#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/program_length/program_length.h"

// The definition of program_length: both sketches as one list of values, each with its weights over all values, in
// float or double. A tree's nodes run from the leaves up, a straight-line program's lines downwards.

namespace roap::reference {

/// One line or inner node: where its operator weights are and which values its arguments mix with which weights. An
/// index of kOne means the constant weight 1 (the child of a tree node).
struct LengthNode {
  static constexpr std::int64_t kOne = -1;
  struct Term {
    std::size_t value;
    std::int64_t weight;
  };
  std::int64_t operators = 0;
  std::size_t value = 0;
  std::vector<Term> left, right;
};

struct LengthProgram {
  std::size_t values = 0;
  std::vector<LengthNode> nodes;  ///< in order of execution; the last is the output
};

inline LengthProgram length_program(const StraightLineLayout& layout) {
  LengthProgram program{static_cast<std::size_t>(layout.symbols + layout.lines), {}};
  for (int line = 0; line < layout.lines; ++line) {
    LengthNode node{layout.operators(line), static_cast<std::size_t>(layout.choices(line)), {}, {}};
    for (int i = 0; i < layout.choices(line); ++i) {
      node.left.push_back({static_cast<std::size_t>(i), layout.left(line) + i});
      node.right.push_back({static_cast<std::size_t>(i), layout.right(line) + i});
    }
    program.nodes.push_back(std::move(node));
  }
  return program;
}

inline LengthProgram length_program(const TreeLayout& layout) {
  LengthProgram program{static_cast<std::size_t>(layout.nodes()), {}};
  for (int i = layout.inner_nodes() - 1; i >= 0; --i) {
    const std::size_t value = static_cast<std::size_t>(i);
    program.nodes.push_back(
        {layout.operators(i), value, {{2 * value + 1, LengthNode::kOne}}, {{2 * value + 2, LengthNode::kOne}}});
  }
  return program;
}

template <class Real>
Real argument_length(const std::vector<LengthNode::Term>& terms, const Real* z, const std::vector<Real>& lengths) {
  Real sum{0};
  for (const auto& term : terms)
    sum += (term.weight == LengthNode::kOne ? Real{1} : z[term.weight]) * lengths[term.value];
  return sum;
}

/// Lengths of all values of one task; symbols and leaves have 0.
template <class Real>
std::vector<Real> value_lengths(const LengthProgram& program, const Real* z) {
  std::vector<Real> lengths(program.values, Real{0});
  for (const LengthNode& node : program.nodes) {
    const Real* o = z + node.operators;
    const Real a = argument_length(node.left, z, lengths), b = argument_length(node.right, z, lengths);
    lengths[node.value] = (o[0] + o[1] + o[2]) * (1 + a + b) + o[3] * a;
  }
  return lengths;
}

template <class Layout, class Real>
void program_length_forward(const Layout& layout, std::int64_t tasks, const Real* z, Real* length) {
  const LengthProgram program = length_program(layout);
  for (std::int64_t t = 0; t < tasks; ++t) {
    length[t] = value_lengths(program, z + t * layout.count())[program.nodes.back().value];
  }
}

template <class Layout, class Real>
void program_length_backward(const Layout& layout, std::int64_t tasks, const Real* dlength, const Real* z, Real* dz,
                             bool accumulate) {
  const LengthProgram program = length_program(layout);
  if (!accumulate) std::fill_n(dz, tasks * layout.count(), Real{0});
  for (std::int64_t t = 0; t < tasks; ++t, z += layout.count(), dz += layout.count()) {
    const std::vector<Real> lengths = value_lengths(program, z);
    std::vector<Real> gradients(program.values, Real{0});
    gradients[program.nodes.back().value] = dlength[t];
    const auto pass = [&](const std::vector<LengthNode::Term>& terms, Real d) {
      for (const auto& [value, weight] : terms) {
        gradients[value] += d * (weight == LengthNode::kOne ? Real{1} : z[weight]);
        if (weight != LengthNode::kOne) dz[weight] += d * lengths[value];
      }
    };
    for (auto node = program.nodes.rbegin(); node != program.nodes.rend(); ++node) {
      const Real* o = z + node->operators;
      const Real g = gradients[node->value];
      const Real a = argument_length(node->left, z, lengths), b = argument_length(node->right, z, lengths);
      for (int k = 0; k < 3; ++k) dz[node->operators + k] += g * (1 + a + b);
      dz[node->operators + 3] += g * a;
      pass(node->left, g * (o[0] + o[1] + o[2] + o[3]));
      pass(node->right, g * (o[0] + o[1] + o[2]));
    }
  }
}

}  // namespace roap::reference
