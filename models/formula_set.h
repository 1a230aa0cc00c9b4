#pragma once

#include <memory>

#include "kernels/formula_posterior/formula_posterior.h"
#include "models/config.h"
#include "models/search/enumeration.h"

namespace roap {

/// The formulas that the exact posterior weighs: all that [search] allows, whatever the tasks are.
class FormulaSet {
 public:
  FormulaSet(const Config::Search& search, int symbols);

  [[nodiscard]] const search::Enumeration& formulas() const { return formulas_; }
  /// The same formulas for formula_posterior, in the same order; constants are no candidates.
  [[nodiscard]] std::shared_ptr<const FormulaGraph> graph() const { return graph_; }

 private:
  search::Enumeration formulas_;
  std::shared_ptr<const FormulaGraph> graph_;
};

}  // namespace roap
