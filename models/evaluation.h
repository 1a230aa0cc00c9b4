#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/data/benchmark.h"
#include "models/model.h"
#include "models/programs/equality.h"
#include "models/programs/simplify.h"

namespace roap {

/// What became of one task.
struct TaskResult {
  programs::Expression program;         ///< argmax of the synthesised logits, or the decided formula
  programs::SimplifiedFormula formula;  ///< the same polynomial, readable
  std::string gold{};                   ///< hidden formula
  int gold_operators = 0;
  bool solved = false;              ///< equals y on all test pairs, on gold symbols (the paper's criterion)
  programs::Verdict verdict{};      ///< against the gold polynomial
  double test_loss = 0;             ///< mean squared error of program o grounder on test pairs
  double test_loss_normalised = 0;  ///< divided by sigma^2
  std::vector<std::string> ties{};  ///< method marginal: formulas that explain the training pairs as well
};

/// Least squares fit gold = a * symbol + b: symbols can be right up to such a map that the programs absorb.
struct Gauge {
  double a = 1, b = 0;
  double loss = 0;  ///< symbolic loss after the map
};

/// Quality of the symbols on the images of one split.
struct SymbolMetrics {
  double loss = 0;             ///< mean of (g(x) - k/10)^2 over images
  double class_mean_loss = 0;  ///< the same for the mean symbol of each class
  double right = 0;            ///< share of images whose nearest level k/10 is the right one
  int images = 0;
  Gauge gauge;

  /// "right", "right up to s -> 0.71 s + 0.02", or "not identified".
  [[nodiscard]] std::string gauge_text() const;
};

/// All on the test set. Synthesised programs are discretised by argmax; method marginal decides its formulas on pairs
/// of training images.
struct Evaluation {
  int solved = 0, solved_exact = 0;
  SymbolMetrics train, test;
  double test_loss = 0, test_loss_normalised = 0;  ///< means over tasks
  double program_length = 0;                       ///< mean operators of the discrete programs, dead lines dropped
  double formula_length = 0;                       ///< mean operators of the simplified formulas
  /// Method hybrid: tasks that the synthesizer's own programs solve.
  std::optional<int> synthesised_solved;
  std::vector<TaskResult> tasks;

  /// Of the training images.
  [[nodiscard]] std::string gauge_text() const { return train.gauge_text(); }
};

struct EvaluationOptions {
  int pairs = 1000;           ///< test pairs
  int decision_pairs = 2048;  ///< training pairs that decide the formulas of method marginal
  int max_images = 10000;     ///< symbols are measured on at most that many images of a split
  std::uint64_t seed = 0;     ///< of the test pairs
  bool verdicts = true;       ///< prove or refute each program; without it solved_exact stays 0
};

Evaluation evaluate(Model& model, const Benchmark& benchmark, const search::FormulaPool& pool,
                    const EvaluationOptions& options = {});

/// Symbols of the training images, at most `max_images` of them.
SymbolMetrics measure_training_symbols(Model& model, const Benchmark& benchmark,
                                       int max_images = EvaluationOptions{}.max_images);

/// Logits [T, P] decided from `pairs` pairs: the mean of the logits synthesised from consecutive sets of the training
/// step's size. y [T, pairs], symbols [pairs, V].
std::vector<float> decide_logits(Model& model, int pairs, std::span<const float> y, std::span<const float> symbols);

}  // namespace roap
