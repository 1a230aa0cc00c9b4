#include "models/programs/equality.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "kernels/common/error.h"
#include "models/programs/modular.h"

namespace roap::programs {
namespace {

/// Values that differ by less, relative to the larger one, print alike or differ by rounding: no example to show.
constexpr double kVisible = 1e-4;

/// Lattices larger than this are not walked through: 10 levels of 5 variables.
constexpr double kLargestLattice = 1e5;
constexpr int kRandomExamples = 2000;
constexpr int kLargestRandomTenths = 20;

/// Looks for symbols, multiples of 1/10, at which two expressions visibly differ.
class CounterExampleSearch {
 public:
  CounterExampleSearch(const Expression& left, const Expression& right)
      : left_(left), right_(right), polynomials_(left.is_polynomial() && right.is_polynomial()) {}

  std::optional<CounterExample> run(std::uint64_t seed) {
    constexpr std::array kGrid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    constexpr std::array kCorners = {-10, 0, 10, 20};
    if (auto found = over_lattice(kGrid)) return found;
    if (auto found = over_lattice(kCorners)) return found;
    return over_random(seed);
  }

 private:
  std::optional<CounterExample> over_lattice(std::span<const int> levels) {
    const int variables = left_.variables();
    const double size = std::pow(static_cast<double>(levels.size()), variables);
    if (size > kLargestLattice) return std::nullopt;
    std::vector<int> tenths(variables);
    for (int index = 0; index < static_cast<int>(size); ++index) {
      int rest = index;
      for (int variable = variables - 1; variable >= 0; --variable) {
        tenths[variable] = levels[rest % levels.size()];
        rest /= static_cast<int>(levels.size());
      }
      if (auto found = at(tenths)) return found;
    }
    return std::nullopt;
  }

  std::optional<CounterExample> over_random(std::uint64_t seed) {
    SplitMix64 generator(seed);
    std::vector<int> tenths(left_.variables());
    for (int i = 0; i < kRandomExamples; ++i) {
      for (int& tenth : tenths) {
        tenth = static_cast<int>(generator.below(2 * kLargestRandomTenths + 1)) - kLargestRandomTenths;
      }
      if (auto found = at(tenths)) return found;
    }
    return std::nullopt;
  }

  /// The example at these symbols, if the values differ visibly (as doubles) and, polynomials, exactly (modulo a
  /// prime).
  std::optional<CounterExample> at(const std::vector<int>& tenths) {
    static constexpr Residue<0> kTenth = Residue<0>(10).inverse();
    CounterExample example;
    std::vector<Residue<0>> residues;
    for (const int tenth : tenths) {
      example.symbols.push_back(tenth / 10.0);
      residues.push_back(Residue<0>(tenth) * kTenth);
    }
    example.left = left_.evaluate(example.symbols);
    example.right = right_.evaluate(example.symbols);
    if (!std::isfinite(example.left) || !std::isfinite(example.right)) return std::nullopt;
    const double scale = std::max(std::abs(example.left), std::abs(example.right));
    if (std::abs(example.left - example.right) <= kVisible * scale) return std::nullopt;
    if (polynomials_ && evaluate<0>(left_, residues) == evaluate<0>(right_, residues)) return std::nullopt;
    return example;
  }

  const Expression& left_;
  const Expression& right_;
  bool polynomials_;
};

/// A random point among `points` where the expressions differ modulo kPrimes[Index].
template <int Index>
std::optional<ModularCounterExample> differ_modulo(const Expression& left, const Expression& right, int points,
                                                   SplitMix64& generator) {
  for (int i = 0; i < points; ++i) {
    const std::vector<Residue<Index>> point = random_point<Index>(left.variables(), generator);
    const Residue<Index> left_value = evaluate<Index>(left, point);
    const Residue<Index> right_value = evaluate<Index>(right, point);
    if (left_value == right_value) continue;
    ModularCounterExample example{kPrimes[Index], {}, left_value.value(), right_value.value()};
    for (const Residue<Index> symbol : point) example.symbols.push_back(symbol.value());
    return example;
  }
  return std::nullopt;
}

std::optional<ModularCounterExample> differ_at_random_points(const Expression& left, const Expression& right,
                                                             const EqualityOptions& options) {
  SplitMix64 generator(options.seed);
  if (auto found = differ_modulo<0>(left, right, options.points, generator)) return found;
  return differ_modulo<1>(left, right, options.points, generator);
}

Verdict different(Verdict::Method method, const Expression& left, const Expression& right,
                  const EqualityOptions& options, std::optional<ModularCounterExample> modular) {
  Verdict verdict{Verdict::Outcome::different, method, -std::numeric_limits<double>::infinity(), {}, {}};
  verdict.counter_example = CounterExampleSearch(left, right).run(options.seed);
  if (!verdict.counter_example) verdict.modular_counter_example = std::move(modular);
  return verdict;
}

}  // namespace

Verdict prove_equal(const Expression& left, const Expression& right, const EqualityOptions& options) {
  if (left.variables() != right.variables()) {
    throw ShapeError(fmt::format("cannot compare an expression over {} variables with one over {}", left.variables(),
                                 right.variables()));
  }
  if (!left.is_polynomial() || !right.is_polynomial()) {
    Verdict verdict = different(Verdict::Method::values, left, right, options, std::nullopt);
    if (!verdict.counter_example) verdict.outcome = Verdict::Outcome::undecided;
    return verdict;
  }
  if (options.expand) {
    const std::optional<Polynomial> a = expand(left, options.limits);
    const std::optional<Polynomial> b = a ? expand(right, options.limits) : std::nullopt;
    if (a && b) {
      constexpr auto kMethod = Verdict::Method::expansion;
      if (*a != *b) return different(kMethod, left, right, options, differ_at_random_points(left, right, options));
      return {Verdict::Outcome::proved_equal, kMethod, -std::numeric_limits<double>::infinity(), {}, {}};
    }
  }
  constexpr auto kMethod = Verdict::Method::random_points;
  if (auto found = differ_at_random_points(left, right, options)) {
    return different(kMethod, left, right, options, std::move(found));
  }
  const double log2_degree = std::log2(std::max(left.degree_bound(), right.degree_bound()));
  const double log2_error = std::min(0.0, options.points * (log2_degree - kLog2Prime));
  const auto outcome = log2_error < 0.0 ? Verdict::Outcome::proved_equal : Verdict::Outcome::undecided;
  return {outcome, kMethod, log2_error, {}, {}};
}

std::string Verdict::text() const {
  if (outcome == Outcome::undecided && method == Method::values) {
    return "undecided: equal at all points tried, but not only +, - and * occur";
  }
  if (outcome == Outcome::undecided)
    return "undecided: equal at random points, but the degree is too large to conclude";
  if (outcome == Outcome::proved_equal) {
    return method == Method::expansion
               ? "proved equal (polynomial identity)"
               : fmt::format("proved equal (random points modulo two primes, error below 2^{:.0f})",
                             std::ceil(log2_error));
  }
  if (counter_example) {
    return fmt::format("different: at s = ({:.6g}) {:.6g} against {:.6g}", fmt::join(counter_example->symbols, ", "),
                       counter_example->left, counter_example->right);
  }
  if (modular_counter_example) {
    return fmt::format("different: modulo {} at s = ({}) {} against {}", modular_counter_example->prime,
                       fmt::join(modular_counter_example->symbols, ", "), modular_counter_example->left,
                       modular_counter_example->right);
  }
  return "different (polynomial identity fails)";
}

}  // namespace roap::programs
