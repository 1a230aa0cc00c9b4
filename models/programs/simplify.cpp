#include "models/programs/simplify.h"

#include <array>
#include <map>
#include <vector>

#include "models/programs/modular.h"

namespace roap::programs {
namespace {

constexpr int kPoints = 3;
constexpr std::uint64_t kSeed = 0xf1d0;

/// Values of a polynomial at kPoints random points modulo each prime.
using Fingerprint = std::array<std::uint64_t, 2 * kPoints>;

/// Writes entry `slot` of every node's fingerprint.
template <int Index>
void fingerprint_nodes(const Expression& expression, SplitMix64& generator, int slot,
                       std::vector<Fingerprint>& fingerprints) {
  const auto point = random_point<Index>(expression.variables(), generator);
  const auto values =
      expression.fold_all<Residue<Index>>([&](int variable) { return point[variable]; }, apply<Residue<Index>>);
  for (std::size_t i = 0; i < values.size(); ++i) fingerprints[i][slot] = values[i].value();
}

std::vector<Fingerprint> fingerprint_nodes(const Expression& expression) {
  std::vector<Fingerprint> fingerprints(expression.nodes().size());
  SplitMix64 generator(kSeed);
  for (int point = 0; point < kPoints; ++point) {
    fingerprint_nodes<0>(expression, generator, 2 * point, fingerprints);
    fingerprint_nodes<1>(expression, generator, 2 * point + 1, fingerprints);
  }
  return fingerprints;
}

bool is_zero(const Expression& expression) { return fingerprint_nodes(expression).back() == Fingerprint{}; }

/// Merging never adds operators to the graph, but may to the tree: the value computed first can be the longer one.
Expression shorter_graph(const Expression& expression) {
  Expression merged = merge_equal_values(expression);
  return merged.printed_operator_count() <= expression.printed_operator_count() ? merged : expression;
}

SimplifiedFormula zero(int variables) {
  const Expression symbol = Expression::variable(variables, 0);
  return {"0", 0.0, Expression::combine(Operator::sub, symbol, symbol), Polynomial()};
}

SimplifiedFormula as_printed(Expression expression, std::optional<Polynomial> polynomial) {
  return {expression.text(), expression.printed_operator_count(), std::move(expression), std::move(polynomial)};
}

}  // namespace

Expression merge_equal_values(const Expression& expression) {
  const std::vector<Fingerprint> fingerprints = fingerprint_nodes(expression);
  std::map<Fingerprint, int> first_with;
  std::vector<Node> nodes;
  std::vector<int> position;
  for (std::size_t i = 0; i < fingerprints.size(); ++i) {
    const auto [entry, is_new] = first_with.try_emplace(fingerprints[i], static_cast<int>(nodes.size()));
    if (is_new) {
      const Node& node = expression.nodes()[i];
      nodes.push_back(node.is_leaf() ? node : Node::inner(node.op, position[node.left], position[node.right]));
    }
    position.push_back(entry->second);
  }
  // The output is the last node: name it by a no-op, which the constructor drops.
  nodes.push_back(Node::inner(Operator::noop, position.back(), position.back()));
  return {expression.variables(), nodes};
}

SimplifiedFormula simplify(const Expression& expression, const SmallestFormula& smallest,
                           const ExpansionLimits& limits) {
  if (!expression.is_polynomial()) return as_printed(expression, std::nullopt);
  if (is_zero(expression)) return zero(expression.variables());
  Expression graph = shorter_graph(expression);
  std::optional<Polynomial> polynomial = expand(expression, limits);
  // Large values that cancel are gone from the graph.
  if (!polynomial) polynomial = expand(graph, limits);
  if (!polynomial) return as_printed(std::move(graph), std::nullopt);
  if (smallest) {
    if (std::optional<Expression> known = smallest(*polynomial)) return as_printed(*std::move(known), polynomial);
  }
  if (graph.printed_operator_count() < polynomial->operator_count()) return as_printed(std::move(graph), polynomial);
  return {polynomial->text(), polynomial->operator_count(), std::move(graph), polynomial};
}

}  // namespace roap::programs
