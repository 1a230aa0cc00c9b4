#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/programs/expression.h"

namespace roap {

enum class Split { train, test };

/// The hidden truth of a benchmark, as far as it is known: for metrics only. Training code holds a PairSource, from
/// which no Gold can be made. Of measured data formulas or labels or both can be missing.
class Gold {
 public:
  struct Task {
    programs::Expression formula;
    int operators = 0;
  };
  Gold(std::vector<Task> tasks, std::vector<std::uint8_t> train_labels, std::vector<std::uint8_t> test_labels,
       int symbols)
      : tasks_(std::move(tasks)), labels_{std::move(train_labels), std::move(test_labels)}, symbols_(symbols) {}

  /// Of every task, or none where formulas are not known.
  [[nodiscard]] const std::vector<Task>& tasks() const { return tasks_; }
  /// Is it known what the images stand for?
  [[nodiscard]] bool has_labels() const { return !labels_[0].empty(); }
  [[nodiscard]] int symbols() const { return symbols_; }
  /// Of the images of a split: 0..9.
  [[nodiscard]] std::span<const std::uint8_t> labels(Split split) const {
    return labels_[split == Split::train ? 0 : 1];
  }
  /// The integer k in 1..10 behind an image; the symbol is k / 10.
  [[nodiscard]] int symbol_of(Split split, std::int32_t image) const {
    return labels(split)[static_cast<std::size_t>(image)] + 1;
  }
  [[nodiscard]] std::size_t image_count(Split split) const { return labels(split).size(); }

 private:
  std::vector<Task> tasks_;
  std::vector<std::uint8_t> labels_[2];
  int symbols_;
};

}  // namespace roap
