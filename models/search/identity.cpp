#include "models/search/identity.h"

#include <bit>
#include <cmath>

#include "models/programs/modular.h"
#include "models/programs/split_mix.h"

namespace roap::search {
namespace {

using programs::Operator;
using programs::Residue;
using programs::SplitMix64;

constexpr std::uint64_t kPointSeed = 0x1dea;

/// Values of all formulas at one point modulo one prime.
template <int Index>
class ResidueColumn {
 public:
  ResidueColumn(int variables, bool with_division) : with_division_(with_division) {
    SplitMix64 generator(kPointSeed + Index);
    symbols_ = programs::random_point<Index>(variables, generator);
  }

  [[nodiscard]] Residue<Index> symbol(int variable) const { return symbols_[static_cast<std::size_t>(variable)]; }

  /// Nothing for a division by zero.
  [[nodiscard]] std::optional<Residue<Index>> value(Operator op, std::uint32_t left, std::uint32_t right) const {
    if (op != Operator::div) return programs::apply(op, values_[left], values_[right]);
    if (values_[right] == Residue<Index>()) return std::nullopt;
    return values_[left] * inverses_[right];
  }

  void push(Residue<Index> value) {
    values_.push_back(value);
    // An inverse costs a hundred products: once per formula, not once per quotient.
    if (with_division_) inverses_.push_back(value.inverse());
  }
  void truncate(std::size_t count) {
    values_.resize(count);
    if (with_division_) inverses_.resize(count);
  }
  void reserve(std::size_t count) {
    values_.reserve(count);
    if (with_division_) inverses_.reserve(count);
  }

 private:
  bool with_division_;
  std::vector<Residue<Index>> symbols_, values_, inverses_;
};

class ModularIdentity : public Identity {
 public:
  ModularIdentity(int variables, bool with_division)
      : with_division_(with_division), first_(variables, with_division), second_(variables, with_division) {}

  [[nodiscard]] std::optional<Key> key(Operator op, std::uint32_t left, std::uint32_t right) const override {
    const auto first = first_.value(op, left, right);
    const auto second = second_.value(op, left, right);
    if (!first || !second) return std::nullopt;
    return Key{first->value(), second->value()};
  }
  [[nodiscard]] Key symbol_key(int variable) const override {
    return {first_.symbol(variable).value(), second_.symbol(variable).value()};
  }
  void push(Operator op, std::uint32_t left, std::uint32_t right) override {
    first_.push(first_.value(op, left, right).value());
    second_.push(second_.value(op, left, right).value());
  }
  void push_symbol(int variable) override {
    first_.push(first_.symbol(variable));
    second_.push(second_.symbol(variable));
  }
  void truncate(std::size_t count) override {
    first_.truncate(count);
    second_.truncate(count);
  }
  [[nodiscard]] std::size_t bytes_per_formula() const override {
    return (with_division_ ? 2 : 1) * 2 * sizeof(std::uint64_t);
  }
  void reserve(std::size_t count) override {
    first_.reserve(count);
    second_.reserve(count);
  }

 private:
  bool with_division_;
  ResidueColumn<0> first_;
  ResidueColumn<1> second_;
};

class ValueIdentity : public Identity {
 public:
  ValueIdentity(int variables, std::vector<double> points)
      : variables_(static_cast<std::size_t>(variables)),
        points_(std::move(points)),
        count_(points_.size() / variables_) {}

  [[nodiscard]] std::optional<Key> key(Operator op, std::uint32_t left, std::uint32_t right) const override {
    Key key = empty_key();
    const auto value = programs::info(op).value;
    for (std::size_t i = 0; i < count_; ++i) {
      const double x = value(values_[left * count_ + i], values_[right * count_ + i]);
      if (!std::isfinite(x)) return std::nullopt;
      add(key, x);
    }
    return key;
  }
  [[nodiscard]] Key symbol_key(int variable) const override {
    Key key = empty_key();
    for (std::size_t i = 0; i < count_; ++i) add(key, symbol(variable, i));
    return key;
  }
  void push(Operator op, std::uint32_t left, std::uint32_t right) override {
    const auto value = programs::info(op).value;
    for (std::size_t i = 0; i < count_; ++i) {
      values_.push_back(value(values_[left * count_ + i], values_[right * count_ + i]));
    }
  }
  void push_symbol(int variable) override {
    for (std::size_t i = 0; i < count_; ++i) values_.push_back(symbol(variable, i));
  }
  void truncate(std::size_t count) override { values_.resize(count * count_); }
  [[nodiscard]] std::size_t bytes_per_formula() const override { return count_ * sizeof(double); }
  void reserve(std::size_t count) override { values_.reserve(count * count_); }

 private:
  /// To 30 bits behind the point, or 30 significant bits: sums in another order agree, different formulas do not.
  static std::uint64_t rounded(double value) {
    constexpr int kBits = 30;
    const int exponent = std::max(0, std::ilogb(std::max(std::abs(value), 1.0)));
    const double quantum = std::ldexp(1.0, exponent - kBits);
    return std::bit_cast<std::uint64_t>(std::nearbyint(value / quantum) * quantum + 0.0);  // no negative zero
  }

  [[nodiscard]] Key empty_key() const { return {count_, ~count_}; }
  static void add(Key& key, double value) {
    const std::uint64_t word = rounded(value);
    key[0] = SplitMix64::mix(key[0] ^ word);
    key[1] = SplitMix64::mix(key[1] + std::rotl(word, 32));
  }
  [[nodiscard]] double symbol(int variable, std::size_t point) const {
    return points_[point * variables_ + static_cast<std::size_t>(variable)];
  }

  std::size_t variables_;
  std::vector<double> points_;
  std::size_t count_;
  std::vector<double> values_;
};

}  // namespace

std::unique_ptr<Identity> modular_identity(int variables, bool with_division) {
  return std::make_unique<ModularIdentity>(variables, with_division);
}

std::unique_ptr<Identity> value_identity(int variables, std::vector<double> points) {
  return std::make_unique<ValueIdentity>(variables, std::move(points));
}

std::vector<double> generic_points(int variables, int count) {
  SplitMix64 generator(kPointSeed);
  std::vector<double> points(static_cast<std::size_t>(variables) * static_cast<std::size_t>(count));
  // Between -2 and 2, with all bits random: no two formulas agree by accident.
  for (double& x : points) x = std::ldexp(static_cast<double>(generator.next() >> 11), -51) - 2.0;
  return points;
}

}  // namespace roap::search
