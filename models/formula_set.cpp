#include "models/formula_set.h"

#include <limits>

#include "kernels/common/error.h"

namespace roap {

namespace {

FormulaOperator posterior_operator(programs::Operator op) {
  switch (op) {
    case programs::Operator::add:
      return FormulaOperator::add;
    case programs::Operator::sub:
      return FormulaOperator::sub;
    case programs::Operator::mul:
      return FormulaOperator::mul;
    default:
      throw UsageError("the posterior over formulas knows the operators +, - and * only");
  }
}

FormulaGraph make_graph(const search::Enumeration& formulas, double penalty) {
  FormulaGraph graph;
  graph.symbols = formulas.variables();
  for (std::size_t i = 0; i < formulas.size(); ++i) {
    const bool symbol = i < static_cast<std::size_t>(formulas.variables());
    graph.op.push_back(symbol ? FormulaOperator::symbol : posterior_operator(formulas.op(i)));
    graph.left.push_back(static_cast<std::int32_t>(formulas.left(i)));
    graph.right.push_back(static_cast<std::int32_t>(formulas.right(i)));
    graph.penalty.push_back(static_cast<float>(penalty * formulas.operator_count(i)));
  }
  for (const std::size_t i : formulas.constants()) graph.penalty[i] = std::numeric_limits<float>::infinity();
  return graph;
}

}  // namespace

FormulaSet::FormulaSet(const Config::Search& search, int symbols)
    : formulas_({.variables = symbols, .max_operators = static_cast<int>(search.max_operators)}),
      graph_(std::make_shared<const FormulaGraph>(make_graph(formulas_, search.penalty))) {}

}  // namespace roap
