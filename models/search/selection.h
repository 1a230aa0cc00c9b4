#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace roap::search {

double mean(std::span<const double> values);

/// What rounding can leave of an error when y has that variance.
double rounding_error(double variance);

/// Could the formula be as likely as the best one? The test of Vuong (1989) for two models with normal errors, each
/// with its own variance: the mean over the rows of the log-likelihood ratio is compared with two of its standard
/// errors. It needs no guess of the noise: an exact formula beats one that is nearly right, and among noisy ones only
/// the rows' evidence counts. Squared errors of the same rows; errors below rounding count as rounding.
bool within_noise(std::span<const double> squared_errors, std::span<const double> best, double variance);

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

/// The formula to believe in: among those within noise of the best the one with the fewest operators, then with the
/// smallest error, then the first. There is at least one candidate; `variance` is that of y.
Selection select_formula(std::span<const Candidate> candidates, double variance);

}  // namespace roap::search
