#include "models/programs/expression.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/common/error.h"

namespace roap::programs {
namespace {

void check_nodes(int variables, const std::vector<Node>& nodes) {
  if (nodes.empty()) throw ShapeError("expression without nodes: it needs at least one variable");
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    const Node& node = nodes[i];
    if (node.is_leaf() && node.variable >= variables) {
      throw ShapeError(fmt::format("expression node {} is variable s{}, but there are only {} variables", i,
                                   node.variable + 1, variables));
    }
    const bool earlier = node.left >= 0 && node.left < i && node.right >= 0 && node.right < i;
    if (!node.is_leaf() && !earlier) {
      throw ShapeError(fmt::format("expression node {} takes nodes {} and {}: arguments must be earlier nodes", i,
                                   node.left, node.right));
    }
  }
}

/// For every node the node that holds its value once no-ops are skipped and leaves of a variable are shared.
std::vector<int> representatives(int variables, const std::vector<Node>& nodes) {
  std::vector<int> same_as(nodes.size());
  std::vector<int> leaf_of(variables, -1);
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    const Node& node = nodes[i];
    same_as[i] = i;
    if (node.is_leaf()) {
      int& leaf = leaf_of[node.variable];
      if (leaf < 0) leaf = i;
      same_as[i] = leaf;
    } else if (node.op == Operator::noop) {
      same_as[i] = same_as[node.left];
    }
  }
  return same_as;
}

}  // namespace

Expression::Expression(int variables, const std::vector<Node>& nodes) : variables_(variables) {
  check_nodes(variables, nodes);
  const std::vector<int> same_as = representatives(variables, nodes);
  std::vector<bool> live(nodes.size(), false);
  live[same_as.back()] = true;
  for (int i = static_cast<int>(nodes.size()) - 1; i >= 0; --i) {
    if (!live[i] || nodes[i].is_leaf()) continue;
    live[same_as[nodes[i].left]] = true;
    live[same_as[nodes[i].right]] = true;
  }
  std::vector<int> position(nodes.size(), -1);
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    if (!live[i]) continue;
    position[i] = static_cast<int>(nodes_.size());
    const Node& node = nodes[i];
    nodes_.push_back(node.is_leaf()
                         ? Node::leaf(node.variable)
                         : Node::inner(node.op, position[same_as[node.left]], position[same_as[node.right]]));
  }
}

Expression Expression::variable(int variables, int index) { return {variables, {Node::leaf(index)}}; }

Expression Expression::combine(Operator op, const Expression& left, const Expression& right) {
  if (left.variables_ != right.variables_) {
    throw ShapeError(fmt::format("cannot combine an expression over {} variables with one over {}", left.variables_,
                                 right.variables_));
  }
  std::vector<Node> nodes = left.nodes_;
  const int offset = static_cast<int>(nodes.size());
  for (const Node& node : right.nodes_) {
    nodes.push_back(node.is_leaf() ? node : Node::inner(node.op, node.left + offset, node.right + offset));
  }
  nodes.push_back(Node::inner(op, offset - 1, static_cast<int>(nodes.size()) - 1));
  return {left.variables_, nodes};
}

Expression Expression::unary(Operator op, const Expression& argument) {
  std::vector<Node> nodes = argument.nodes_;
  const int last = static_cast<int>(nodes.size()) - 1;
  nodes.push_back(Node::inner(op, last, last));
  return {argument.variables_, nodes};
}

double Expression::evaluate(std::span<const double> symbols) const {
  if (static_cast<int>(symbols.size()) != variables_) {
    throw ShapeError(
        fmt::format("an expression over {} variables was evaluated at {} symbols", variables_, symbols.size()));
  }
  return fold<double>([&](int variable) { return symbols[variable]; },
                      [](Operator op, double left, double right) { return info(op).value(left, right); });
}

std::vector<double> Expression::evaluate_rows(std::span<const double> columns, std::size_t rows) const {
  if (columns.size() != rows * static_cast<std::size_t>(variables_)) {
    throw ShapeError(fmt::format("an expression over {} variables was evaluated at {} rows of {} numbers", variables_,
                                 rows, columns.size()));
  }
  using Column = std::vector<double>;
  return fold<Column>(
      [&](int variable) {
        const auto column = columns.subspan(static_cast<std::size_t>(variable) * rows, rows);
        return Column(column.begin(), column.end());
      },
      [](Operator op, const Column& left, const Column& right) {
        Column values(left.size());
        const auto value = info(op).value;
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(left[i], right[i]);
        return values;
      });
}

std::size_t Expression::operator_count() const {
  return std::ranges::count_if(nodes_, [](const Node& node) { return !node.is_leaf(); });
}

double Expression::tree_operator_count() const {
  return fold<double>(
      [](int) { return 0.0; },
      [](Operator op, double left, double right) { return 1.0 + left + (info(op).arity() == 1 ? 0.0 : right); });
}

bool Expression::is_polynomial() const {
  return std::ranges::all_of(nodes_, [](const Node& node) { return node.is_leaf() || info(node.op).ring; });
}

double Expression::degree_bound() const {
  return fold<double>([](int) { return 1.0; },
                      [](Operator op, double left, double right) {
                        const bool product = op == Operator::mul || op == Operator::square;
                        return product ? left + right : std::max(left, right);
                      });
}

}  // namespace roap::programs
