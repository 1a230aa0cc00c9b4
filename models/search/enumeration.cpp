#include "models/search/enumeration.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/common/error.h"
#include "models/programs/split_mix.h"

namespace roap::search {

using programs::Expression;
using programs::Operator;

namespace {

constexpr int kLargestVariables = 8;
constexpr int kLargestMaxOperators = 12;
constexpr std::size_t kFirstCapacity = 1 << 10;
constexpr int kGenericPoints = 24;
constexpr double kProgressEvery = 1 << 16;  // candidates

bool has(std::span<const Operator> operators, Operator op) { return std::ranges::count(operators, op) > 0; }

void require_device_keys(const EnumerationOptions& options) {
  if (!options.points.empty()) throw UsageError("a search by values on given points runs on the CPU only");
  for (const Operator op : options.operators) {
    if (!SearchDevice::supports(op)) {
      throw UsageError(fmt::format("operator {} is searched on the CPU only; leave it out or use --device cpu",
                                   programs::info(op).name));
    }
  }
}

std::unique_ptr<Identity> make_identity(const EnumerationOptions& options) {
  if (!options.points.empty()) return value_identity(options.variables, options.points);
  if (has(options.operators, Operator::min) || has(options.operators, Operator::max)) {
    return value_identity(options.variables, generic_points(options.variables, kGenericPoints));
  }
  return modular_identity(options.variables, has(options.operators, Operator::div));
}

}  // namespace

Enumeration::Enumeration(EnumerationOptions options) : options_(std::move(options)) {
  if (options_.variables < 1 || options_.variables > kLargestVariables || options_.max_operators < 0 ||
      options_.max_operators > kLargestMaxOperators) {
    throw UsageError(
        fmt::format("formulas over {} symbols with up to {} operators: choose 1 to {} symbols and 0 to {} operators",
                    options_.variables, options_.max_operators, kLargestVariables, kLargestMaxOperators));
  }
  for (const Operator op : options_.operators) {
    if (programs::info(op).arity() == 1) {
      unary_.push_back(op);
    } else {
      binary_.push_back({op, programs::info(op).commutative});
    }
  }
  if (options_.device != nullptr) require_device_keys(options_);
  identity_ = make_identity(options_);
  if (!grow()) {
    throw DeviceError(fmt::format("{} bytes of memory are too few for any formulas; at least {} are needed",
                                  options_.memory, bytes_for(kFirstCapacity)));
  }
  level_begin_.push_back(0);
  for (int variable = 0; variable < options_.variables; ++variable) {
    // On given points two symbols can be the same; each stays, because formulas name it.
    identity_->push_symbol(variable);
    append(Operator::noop, static_cast<std::uint32_t>(variable), static_cast<std::uint32_t>(variable),
           identity_->symbol_key(variable));
  }
  level_begin_.push_back(size());
  if (options_.device != nullptr) {
    options_.device->truncate(0);
    options_.device->keep(keys_);
  }
  for (int operators = 1; operators <= options_.max_operators; ++operators) {
    if (!add_level(operators)) {
      truncate(level_begin_.back());
      break;
    }
    level_begin_.push_back(size());
  }
}

bool Enumeration::add_level(int operators) {
  const std::vector<Block> list = blocks(operators);
  double total = 0;
  double done = 0;
  double reported = 0;
  for (const Block& block : list) total += block.candidates();
  for (const Block& block : list) {
    const auto report = [&](double candidates) {
      done += candidates;
      if (options_.progress && done - reported >= kProgressEvery) {
        options_.progress({operators, done / total, size()});
        reported = done;
      }
    };
    if (options_.device != nullptr) {
      for (const CandidateRange& range : ranges(block)) {
        if (!add_range(range)) return false;
        report(block.candidates() * range.left_count / (block.left_end - block.left_begin));
      }
      continue;
    }
    for (std::uint32_t left = block.left_begin; left < block.left_end; ++left) {
      if (!add_block(block, left)) return false;
      report(block.candidates() / (block.left_end - block.left_begin));
    }
  }
  return true;
}

/// The block's candidates with that left argument.
bool Enumeration::add_block(const Block& block, std::uint32_t left) {
  return for_each_candidate(block, left, left + 1, [&](Operator op, std::uint32_t a, std::uint32_t b) {
    const std::optional<Key> key = identity_->key(op, a, b);
    return !key || contains(*key) || add(op, a, b, *key);
  });
}

bool Enumeration::add_range(const CandidateRange& range) {
  if (options_.device->choose_new(range) == 0) return true;
  const std::size_t before = size();
  for (const NewFormula& formula : options_.device->chosen()) {
    if (!add(formula.op, formula.left, formula.right, formula.key)) return false;
  }
  options_.device->keep(std::span(keys_).subspan(before));
  return true;
}

bool Enumeration::add(Operator op, std::uint32_t left, std::uint32_t right, const Key& key) {
  if (size() == capacity_ && !grow()) return false;
  identity_->push(op, left, right);
  append(op, left, right, key);
  return true;
}

void Enumeration::append(Operator op, std::uint32_t left, std::uint32_t right, const Key& key) {
  slots_[slot_of(key)] = static_cast<std::uint32_t>(size());
  op_.push_back(op);
  left_.push_back(left);
  right_.push_back(right);
  keys_.push_back(key);
}

std::size_t Enumeration::bytes_for(std::size_t capacity) const {
  const std::size_t per_formula = sizeof(Operator) + 2 * sizeof(std::uint32_t) + sizeof(Key) +
                                  identity_->bytes_per_formula() + options_.reserved_per_formula;
  return capacity * per_formula + std::bit_ceil(2 * capacity) * sizeof(std::uint32_t);
}

/// Half as much room again, or as much as memory allows: while an array moves, its old and its new copy exist.
bool Enumeration::grow() {
  const std::size_t largest_array = std::max(sizeof(Key), identity_->bytes_per_formula());
  const auto fits = [&](std::size_t capacity) {
    return capacity < kFree && bytes_for(capacity) + capacity_ * largest_array <= options_.memory;
  };
  std::size_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ + capacity_ / 2;
  constexpr std::size_t kWorthwhile = 64;  // a capacity only 1/64 larger is not worth moving everything for
  while (!fits(capacity) && capacity_ > 0 && capacity > capacity_ + capacity_ / kWorthwhile) {
    capacity -= (capacity - capacity_ + 1) / 2;
  }
  if (capacity <= capacity_ || !fits(capacity)) return false;
  identity_->reserve(capacity);
  op_.reserve(capacity);
  left_.reserve(capacity);
  right_.reserve(capacity);
  keys_.reserve(capacity);
  capacity_ = capacity;
  rebuild_slots(capacity);
  return true;
}

void Enumeration::rebuild_slots(std::size_t capacity) {
  const std::size_t slots = std::bit_ceil(2 * capacity);
  if (slots != slots_.size()) {
    slots_ = {};  // the old table is gone before the new one comes
    slots_.resize(slots);
  }
  std::ranges::fill(slots_, kFree);
  for (std::size_t i = 0; i < keys_.size(); ++i) slots_[slot_of(keys_[i])] = static_cast<std::uint32_t>(i);
}

/// The slot that holds the key, or the free one where it belongs.
std::size_t Enumeration::slot_of(const Key& key) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = programs::SplitMix64::mix(key[0] ^ key[1]) & mask;
  while (slots_[slot] != kFree && keys_[slots_[slot]] != key) slot = (slot + 1) & mask;
  return slot;
}

void Enumeration::truncate(std::size_t count) {
  op_.resize(count);
  left_.resize(count);
  right_.resize(count);
  keys_.resize(count);
  identity_->truncate(count);
  if (options_.device != nullptr) options_.device->truncate(count);
  rebuild_slots(capacity_);
}

std::size_t Enumeration::bytes() const { return bytes_for(capacity_) - capacity_ * options_.reserved_per_formula; }

std::vector<std::size_t> Enumeration::counts_by_operators() const {
  std::vector<std::size_t> counts;
  for (int k = 0; k <= max_operators(); ++k) counts.push_back(level_begin(k + 1) - level_begin(k));
  return counts;
}

int Enumeration::operator_count(std::size_t formula) const {
  return static_cast<int>(std::ranges::upper_bound(level_begin_, formula) - level_begin_.begin()) - 1;
}

Expression Enumeration::expression(std::size_t formula) const {
  if (formula < static_cast<std::size_t>(variables())) {
    return Expression::variable(variables(), static_cast<int>(formula));
  }
  const Operator op = op_[formula];
  if (programs::info(op).arity() == 1) return Expression::unary(op, expression(left_[formula]));
  return Expression::combine(op, expression(left_[formula]), expression(right_[formula]));
}

std::vector<double> Enumeration::values(std::span<const double> point) const {
  std::vector<double> values(point.begin(), point.end());
  values.reserve(size());
  for (std::size_t i = values.size(); i < size(); ++i) {
    values.push_back(programs::info(op_[i]).value(values[left_[i]], values[right_[i]]));
  }
  return values;
}

std::vector<std::size_t> Enumeration::constants() const {
  constexpr int kPoints = 3;
  constexpr double kRounding = 1e-9;
  const std::vector<double> points = generic_points(variables(), kPoints);
  const auto dimension = static_cast<std::size_t>(variables());
  const std::vector<double> first = values(std::span(points).first(dimension));
  std::vector<bool> constant(size(), true);
  for (std::size_t p = 1; p < kPoints; ++p) {
    const std::vector<double> other = values(std::span(points).subspan(p * dimension, dimension));
    for (std::size_t i = 0; i < size(); ++i) {
      const double scale = std::max(1.0, std::abs(first[i]));
      if (!(std::abs(other[i] - first[i]) <= kRounding * scale)) constant[i] = false;
    }
  }
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < size(); ++i) {
    if (constant[i]) indices.push_back(i);
  }
  return indices;
}

std::vector<Enumeration::Block> Enumeration::blocks(int operators) const {
  const auto level = [&](int k) {
    return std::pair{static_cast<std::uint32_t>(level_begin(k)), static_cast<std::uint32_t>(level_begin(k + 1))};
  };
  std::vector<Block> list;
  if (!unary_.empty()) {
    const auto [begin, end] = level(operators - 1);
    list.push_back({begin, end, 0, 0, true});
  }
  // The larger argument first on the left: s1 + s2 + s3 needs no parentheses.
  for (int left_operators = operators - 1; left_operators >= 0; --left_operators) {
    const auto [left_begin, left_end] = level(left_operators);
    const auto [right_begin, right_end] = level(operators - 1 - left_operators);
    list.push_back({left_begin, left_end, right_begin, right_end});
  }
  return list;
}

std::vector<CandidateRange> Enumeration::ranges(const Block& block) const {
  CandidateRange whole;
  whole.left_begin = block.left_begin;
  whole.unary = block.unary;
  if (block.unary) {
    for (const Operator op : unary_) whole.add(op, false);
  } else {
    whole.right_begin = block.right_begin;
    whole.right_count = block.right_end - block.right_begin;
    whole.left_first = block.left_end <= block.right_begin;
    whole.same_level = block.left_begin == block.right_begin;
    for (const BinaryOperator& binary : binary_) whole.add(binary.op, binary.commutative);
  }
  const std::uint64_t per_left = std::uint64_t{whole.right_count} * whole.operator_count;
  std::vector<CandidateRange> pieces;
  if (per_left == 0) return pieces;
  const std::uint64_t lefts = std::max<std::uint64_t>(1, options_.device->candidates_at_once() / per_left);
  for (std::uint64_t left = block.left_begin; left < block.left_end; left += lefts) {
    pieces.push_back(whole);
    pieces.back().left_begin = static_cast<std::uint32_t>(left);
    pieces.back().left_count = static_cast<std::uint32_t>(std::min<std::uint64_t>(lefts, block.left_end - left));
  }
  return pieces;
}

SearchRows Enumeration::device_rows(std::span<const double> symbols, std::span<const double> y) const {
  return {op_, left_, right_, level_begin_, variables(), symbols, y};
}

}  // namespace roap::search
