#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace roap::search {

/// A formula that was evaluated on rows with known y.
struct Candidate {
  int operators = 0;
  std::vector<double> squared_errors;  ///< (formula - y)^2 of each row

  [[nodiscard]] double mean_error() const;
};

struct Selection {
  std::size_t best = 0;    ///< the candidate with the smallest mean error
  std::size_t chosen = 0;  ///< the smallest candidate that is within noise of it
  /// Candidates as small as the chosen one, no better or worse beyond noise: the rows cannot tell them apart.
  std::vector<std::size_t> ties{};
};

/// The formula to believe in. A candidate is within noise of the best when its errors exceed the best one's by less, in
/// the mean over the rows, than kNoise standard errors of that mean, or by no more than rounding leaves of `scale`, the
/// variance of y. Among those within noise the one with the fewest operators is chosen, then the one with the smallest
/// error, then the first. There is at least one candidate; all have the same number of rows.
Selection select_formula(std::span<const Candidate> candidates, double scale);

}  // namespace roap::search
