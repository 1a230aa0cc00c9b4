#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "models/programs/operators.h"
#include "models/search/identity.h"

namespace roap::search {

/// op(left, right) of an enumeration's formulas; a symbol is noop(v, v).
struct TriedFormula {
  double error = 0;  ///< sum of squared errors
  programs::Operator op = programs::Operator::noop;
  std::uint32_t left = 0, right = 0;
  Key key{};
};

/// The best formulas of one task and one size, distinct, by error and then in the order they came.
class BestList {
 public:
  static constexpr std::size_t kLength = 32;

  /// An error that is not below this does not enter.
  [[nodiscard]] double bound() const {
    return list_.size() < kLength ? std::numeric_limits<double>::infinity() : list_.back().error;
  }

  void add(const TriedFormula& formula) {
    if (!(formula.error < bound())) return;
    if (std::ranges::find(list_, formula.key, &TriedFormula::key) != list_.end()) return;
    if (list_.size() == kLength) list_.pop_back();
    list_.insert(std::ranges::upper_bound(list_, formula.error, {}, &TriedFormula::error), formula);
  }

  [[nodiscard]] const std::vector<TriedFormula>& formulas() const { return list_; }

 private:
  std::vector<TriedFormula> list_;
};

}  // namespace roap::search
