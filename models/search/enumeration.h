#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/programs/expression.h"
#include "models/search/identity.h"
#include "models/search/search_device.h"

namespace roap::search {

inline constexpr std::size_t kNoMemoryLimit = std::numeric_limits<std::size_t>::max();

/// Where an enumeration or a search stands.
struct SearchProgress {
  int operators = 0;         ///< of the formulas being made
  double share = 0;          ///< of this number of operators that is done, 0..1
  std::size_t formulas = 0;  ///< distinct formulas kept so far
};

struct EnumerationOptions {
  int variables = 3;
  int max_operators = 3;
  std::vector<programs::Operator> operators{programs::Operator::add, programs::Operator::sub, programs::Operator::mul};
  /// Formulas with the same values on these points [count, variables] count as the same. Empty: the same functions,
  /// decided by modular_identity(), or with min or max on generic points.
  std::vector<double> points{};
  std::size_t memory = kNoMemoryLimit;   ///< bytes that all tables may take
  std::size_t reserved_per_formula = 0;  ///< bytes that the caller will add to each formula, within the same limit
  std::function<void(const SearchProgress&)> progress{};
  /// Where candidates are made and compared; null: on the CPU. Needs operators that it supports, and no points.
  SearchDevice* device = nullptr;
};

/// All formulas over s1..sV with at most K operators, distinct, each with as few operators as can be, level by level in
/// a fixed order. One formula is an operator over two earlier ones: a few plain arrays, 40 to 60 bytes a formula.
class Enumeration {
 public:
  /// Throws UsageError unless 1 <= variables <= 8 and 0 <= max_operators <= 12. A level that does not fit into
  /// options.memory is dropped whole: see max_operators() and complete(). DeviceError when not even the symbols fit.
  explicit Enumeration(EnumerationOptions options);

  [[nodiscard]] int variables() const { return options_.variables; }
  [[nodiscard]] std::span<const programs::Operator> operators() const { return options_.operators; }
  /// Operators of the largest formulas that are here.
  [[nodiscard]] int max_operators() const { return static_cast<int>(level_begin_.size()) - 2; }
  /// False when memory ended the enumeration before options.max_operators.
  [[nodiscard]] bool complete() const { return max_operators() == options_.max_operators; }

  [[nodiscard]] std::size_t size() const { return op_.size(); }
  /// Index of the first formula of that many operators; for max_operators() + 1 the size.
  [[nodiscard]] std::size_t level_begin(int operators) const {
    return level_begin_[static_cast<std::size_t>(operators)];
  }
  [[nodiscard]] std::vector<std::size_t> counts_by_operators() const;

  /// The formulas with indices below variables() are the symbols; they have no operator and no arguments.
  [[nodiscard]] programs::Operator op(std::size_t formula) const { return op_[formula]; }
  [[nodiscard]] std::uint32_t left(std::size_t formula) const { return left_[formula]; }
  [[nodiscard]] std::uint32_t right(std::size_t formula) const { return right_[formula]; }
  /// All formulas with symbols [V, rows] and y [rows], as a device takes them.
  [[nodiscard]] SearchRows device_rows(std::span<const double> symbols, std::span<const double> y) const;
  [[nodiscard]] int operator_count(std::size_t formula) const;
  [[nodiscard]] programs::Expression expression(std::size_t formula) const;
  /// Values of all formulas at one point [variables].
  [[nodiscard]] std::vector<double> values(std::span<const double> point) const;
  /// Indices of the formulas that do not depend on the symbols, such as s1 - s1, in ascending order.
  [[nodiscard]] std::vector<std::size_t> constants() const;

  /// Candidates of one level: every binary operator over each formula of one range with each of another, or every unary
  /// operator over each formula of the first.
  struct Block {
    std::uint32_t left_begin = 0, left_end = 0, right_begin = 0, right_end = 0;
    bool unary = false;
    [[nodiscard]] double candidates() const {
      return static_cast<double>(left_end - left_begin) * (unary ? 1.0 : right_end - right_begin);
    }
  };
  /// The blocks of `operators` operators in their fixed order; needs all smaller formulas to be here.
  [[nodiscard]] std::vector<Block> blocks(int operators) const;
  /// A block in pieces that suit the device, in order.
  [[nodiscard]] std::vector<CandidateRange> ranges(const Block& block) const;
  /// Calls visit(op, left, right) for every candidate of the block with left in [begin, end), without the mirror images
  /// of commutative operators, until it returns false.
  template <class Visit>
  bool for_each_candidate(const Block& block, std::uint32_t begin, std::uint32_t end, Visit&& visit) const;

  /// The key that op(left, right) has or would have: candidates with the same key are the same. Safe to call from
  /// several threads.
  std::optional<Key> key(programs::Operator op, std::uint32_t left, std::uint32_t right) const {
    return identity_->key(op, left, right);
  }
  [[nodiscard]] bool contains(const Key& key) const { return slots_[slot_of(key)] != kFree; }
  /// Bytes of all tables now.
  [[nodiscard]] std::size_t bytes() const;

 private:
  static constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();
  bool add_level(int operators);
  bool add_block(const Block& block, std::uint32_t left);
  bool add_range(const CandidateRange& range);
  bool add(programs::Operator op, std::uint32_t left, std::uint32_t right, const Key& key);
  void append(programs::Operator op, std::uint32_t left, std::uint32_t right, const Key& key);
  bool grow();
  [[nodiscard]] std::size_t bytes_for(std::size_t capacity) const;
  void truncate(std::size_t count);
  void rebuild_slots(std::size_t capacity);
  [[nodiscard]] std::size_t slot_of(const Key& key) const;

  struct BinaryOperator {
    programs::Operator op;
    bool commutative;
  };

  EnumerationOptions options_;
  std::vector<programs::Operator> unary_;
  std::vector<BinaryOperator> binary_;
  std::unique_ptr<Identity> identity_;
  std::vector<programs::Operator> op_;
  std::vector<std::uint32_t> left_, right_;
  std::vector<Key> keys_;
  std::vector<std::uint32_t> slots_;  ///< hash table of formula indices, a power of two, at most half full
  std::vector<std::size_t> level_begin_;
  std::size_t capacity_ = 0;
};

template <class Visit>
bool Enumeration::for_each_candidate(const Block& block, std::uint32_t begin, std::uint32_t end, Visit&& visit) const {
  const bool same_level = block.left_begin == block.right_begin;
  const bool left_is_smaller = block.left_end <= block.right_begin;
  for (std::uint32_t left = begin; left < end; ++left) {
    if (block.unary) {
      for (const programs::Operator op : unary_) {
        if (!visit(op, left, left)) return false;
      }
      continue;
    }
    for (std::uint32_t right = block.right_begin; right < block.right_end; ++right) {
      const bool mirrored = left_is_smaller || (same_level && left > right);
      for (const BinaryOperator& binary : binary_) {
        if (mirrored && binary.commutative) continue;
        if (!visit(binary.op, left, right)) return false;
      }
    }
  }
  return true;
}

}  // namespace roap::search
