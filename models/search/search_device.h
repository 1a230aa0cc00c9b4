#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/programs/operators.h"
#include "models/search/best_list.h"
#include "models/search/identity.h"

namespace roap::search {

/// op(left, right) over all left arguments of one range with all right ones of another, in the order of
/// Enumeration::for_each_candidate: left by left, right by right, operator by operator.
struct CandidateRange {
  std::uint32_t left_begin = 0, left_count = 0, right_begin = 0, right_count = 1;
  bool unary = false;       ///< one argument, right_count is 1
  bool left_first = false;  ///< left arguments come before all right ones, where commutative operators are mirrored
  bool same_level = false;  ///< both ranges are of one level, where they are mirrored for left > right
  std::uint32_t operator_count = 0;
  std::uint64_t operators = 0;    ///< eight bits for each
  std::uint32_t commutative = 0;  ///< a bit for each

  void add(programs::Operator op, bool is_commutative) {
    operators |= static_cast<std::uint64_t>(op) << (8 * operator_count);
    commutative |= static_cast<std::uint32_t>(is_commutative) << operator_count;
    ++operator_count;
  }
  [[nodiscard]] std::uint64_t count() const { return std::uint64_t{left_count} * right_count * operator_count; }
  /// Those that are no mirror images.
  [[nodiscard]] std::uint64_t distinct_count() const {
    const std::uint64_t pairs = std::uint64_t{left_count} * right_count;
    // In one level the left argument number i of all has i mirrored right ones.
    const std::uint64_t first = left_begin - right_begin;
    const std::uint64_t mirrored = left_first   ? pairs
                                   : same_level ? left_count * first + std::uint64_t{left_count} * (left_count - 1) / 2
                                                : 0;
    return count() - mirrored * static_cast<std::uint64_t>(std::popcount(commutative));
  }
};

/// A formula that no kept one equals: op(left, right).
struct NewFormula {
  programs::Operator op = programs::Operator::noop;
  std::uint32_t left = 0, right = 0;
  Key key{};
};

/// Rows of one task among the rows of all.
struct RowSegment {
  std::size_t begin = 0, end = 0;
};

/// Arrays of an enumeration, for all of its formulas, and the rows they are tried on.
struct SearchRows {
  std::span<const programs::Operator> op;
  std::span<const std::uint32_t> left, right;
  std::span<const std::size_t> level_begin;  ///< [levels + 1]
  int variables = 0;
  std::span<const double> symbols;  ///< [V, rows]
  std::span<const double> y;        ///< [rows]
};

/// Evaluates, compares and scores candidates in place of the CPU, with the same formulas in the same order. It keeps
/// the keys of an enumeration's formulas, which are their values modulo two primes (modular_identity()). One search at
/// a time. Every function throws DeviceError when the device has too little memory.
class SearchDevice {
 public:
  SearchDevice() = default;
  SearchDevice(const SearchDevice&) = delete;
  SearchDevice& operator=(const SearchDevice&) = delete;
  virtual ~SearchDevice() = default;

  /// Can it compute keys of that operator? Those of +, - and * can be.
  [[nodiscard]] static bool supports(programs::Operator op) { return programs::info(op).ring; }
  /// About as many candidates as choose_new() should get; a range with one left argument may have more.
  [[nodiscard]] std::uint64_t candidates_at_once() const { return candidates_at_once_; }
  void set_candidates_at_once(std::uint64_t count) { candidates_at_once_ = count; }

  /// Keeps the formulas with these keys as the next indices.
  virtual void keep(std::span<const Key> keys) = 0;
  /// Keeps the first `count` formulas only.
  virtual void truncate(std::size_t count) = 0;
  /// Makes the candidates of a range and chooses those that equal no kept formula and no earlier candidate of the
  /// range. Returns how many.
  virtual std::size_t choose_new(const CandidateRange& range) = 0;
  /// Chooses kept formulas [begin, end), each as noop(k, k).
  virtual void choose_kept(std::uint32_t begin, std::uint32_t end) = 0;
  /// What choose_new() chose, in order.
  virtual std::vector<NewFormula> chosen() = 0;

  /// Values of all kept formulas on these rows, from now on those of best().
  virtual void set_rows(const SearchRows& rows) = 0;
  /// The `count` chosen formulas with the smallest sums of squared errors below `bound`, by error, then in their order.
  virtual std::vector<TriedFormula> best(const RowSegment& rows, double bound, std::size_t count) = 0;

 private:
  std::uint64_t candidates_at_once_ = std::uint64_t{1} << 22;
};

}  // namespace roap::search
