#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/programs/operators.h"

namespace roap::programs {

/// " + ", " - ", " * " or " / ".
std::string infix(Operator op);

/// One node of an Expression: a variable, or an operator over two earlier nodes (a unary operator has the same one
/// twice).
struct Node {
  int variable = -1;  ///< 0-based; -1 for an operator
  Operator op = Operator::noop;
  int left = -1;
  int right = -1;

  static Node leaf(int variable) { return {.variable = variable}; }
  static Node inner(Operator op, int left, int right) { return {-1, op, left, right}; }
  [[nodiscard]] bool is_leaf() const { return variable >= 0; }
  bool operator==(const Node&) const = default;
};

/// A formula over s1..sV: an immutable directed acyclic graph in topological order whose
/// last node is the output. Every node is live, none is a no-op, and every variable has at most one leaf; operators are
/// kept as they were given, so that operator_count() is the length of the program the expression came from.
class Expression {
 public:
  /// `nodes` are in topological order, the last one is the output; no-ops and dead nodes are dropped.
  /// Throws ShapeError when a node refers to a later node or to a variable outside 0..variables-1.
  Expression(int variables, const std::vector<Node>& nodes);

  static Expression variable(int variables, int index);
  /// left op right; throws ShapeError when the two are over different numbers of variables.
  static Expression combine(Operator op, const Expression& left, const Expression& right);
  static Expression unary(Operator op, const Expression& argument);

  [[nodiscard]] int variables() const { return variables_; }
  [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }

  /// Value at `symbols`, of size variables() (else ShapeError); follows IEEE 754 on overflow.
  [[nodiscard]] double evaluate(std::span<const double> symbols) const;
  /// Values at `rows` points given as columns [variables, rows].
  [[nodiscard]] std::vector<double> evaluate_rows(std::span<const double> columns, std::size_t rows) const;
  /// Operators of the graph: a value used twice counts once.
  [[nodiscard]] std::size_t operator_count() const;
  /// Operators after expansion to a tree: a value used twice counts twice. Infinite beyond the range of double.
  [[nodiscard]] double tree_operator_count() const;
  /// Are all operators made of +, - and *?
  [[nodiscard]] bool is_polynomial() const;
  /// An upper bound of the polynomial's total degree. Infinite beyond the range of double.
  [[nodiscard]] double degree_bound() const;
  /// Number of operators that text() prints.
  [[nodiscard]] double printed_operator_count() const;
  /// Infix notation with as few parentheses as the associativity of + and * over the reals allows, "(s1 + s2) * s3".
  /// A formula too large for a tree prints its graph instead: "v1 = s1 + s2; v2 = v1 * v1; v2".
  [[nodiscard]] std::string text() const;

  /// Values of all nodes, bottom-up: `leaf(variable)` gives a leaf's value, `inner(op, left, right)` an operator's.
  template <class Value, class Leaf, class Inner>
  std::vector<Value> fold_all(Leaf leaf, Inner inner) const {
    std::vector<Value> values;
    values.reserve(nodes_.size());
    for (const Node& node : nodes_) {
      values.push_back(node.is_leaf() ? leaf(node.variable) : inner(node.op, values[node.left], values[node.right]));
    }
    return values;
  }

  /// The output's value of fold_all.
  template <class Value, class Leaf, class Inner>
  Value fold(Leaf leaf, Inner inner) const {
    return std::move(fold_all<Value>(leaf, inner).back());
  }

  /// Structural equality; prove_equal() decides whether two expressions are the same polynomial.
  bool operator==(const Expression&) const = default;

 private:
  int variables_;
  std::vector<Node> nodes_;
};

/// Reads infix notation over s1..sV with the operators of operators.h and parentheses; the inverse of
/// Expression::text() for formulas that it prints as a tree. Throws UsageError, saying at which character, when the
/// text is no such formula.
Expression parse_expression(std::string_view text, int variables);

}  // namespace roap::programs
