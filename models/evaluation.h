#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/data/benchmark.h"
#include "models/generalisation.h"
#include "models/metrics.h"
#include "models/model.h"
#include "models/programs/equality.h"
#include "models/programs/simplify.h"

namespace roap {

/// What became of one task.
struct TaskResult {
  /// Argmax of the synthesised logits, or the decided formula; none where the method predicts y by an MLP.
  std::optional<programs::Expression> program{};
  std::optional<programs::SimplifiedFormula> formula{};  ///< the same polynomial, readable
  std::string name{};                                    ///< empty where tasks are numbered
  std::optional<std::string> gold{};                     ///< hidden formula, where it is known
  int gold_operators = 0;
  /// Equals y on all test pairs, on gold symbols (the paper's criterion)? Unknown where these are.
  std::optional<bool> solved{};
  std::optional<programs::Verdict> verdict{};  ///< against the gold formula, where it is known
  Loss test_loss;                              ///< of the task's program (or MLP) and grounder together, on test pairs
  std::vector<std::string> ties{};             ///< method marginal: formulas that explain the training pairs as well
};

/// All on the test set, unless it says otherwise; what needs a hidden truth that is not known is left out. Synthesised
/// programs are discretised by argmax; method marginal decides its formulas on pairs of training images.
struct Evaluation {
  std::optional<int> solved, solved_exact;
  std::optional<SymbolMetrics> train, test;
  Loss test_loss;                                            ///< mean over tasks
  std::optional<Loss> test_loss_solved, test_loss_unsolved;  ///< over those tasks, where there are any
  /// The same on training pairs, of programs that are discretised on those pairs: what runs are chosen by.
  Loss train_loss;
  std::optional<Generalisation> generalisation;  ///< where it was asked for and formulas are left
  std::optional<double> program_length;          ///< mean operators of the discrete programs, dead lines dropped
  std::optional<double> formula_length;          ///< mean operators of the simplified formulas
  /// Method hybrid: tasks that the synthesizer's own programs solve.
  std::optional<int> synthesised_solved;
  std::vector<TaskResult> tasks;

  /// Of the training images.
  [[nodiscard]] std::string gauge_text() const;
  /// Has the run found the symbols? The paper's criterion is weak: symbols guessed at their mean have a loss of 0.0825.
  [[nodiscard]] std::optional<bool> run_success() const;
  /// Is the nearest level right on 90 % of the training images?
  [[nodiscard]] std::optional<bool> run_success_strict() const;
};

struct EvaluationOptions {
  int pairs = 1000;           ///< test pairs
  int train_pairs = 1000;     ///< training pairs that train_loss is measured on
  int decision_pairs = 2048;  ///< training pairs that decide the formulas of method marginal
  int max_images = 10000;     ///< symbols are measured on at most that many images of a split
  std::uint64_t seed = 0;     ///< of the pairs
  bool verdicts = true;       ///< prove or refute each program; without it solved_exact stays 0
  int new_tasks = 0;          ///< that generalisation is measured on; 0: not measured
};

/// `pool` is what the benchmark's tasks were drawn from.
Evaluation evaluate(Model& model, const Benchmark& benchmark, const search::FormulaPool& pool,
                    const EvaluationOptions& options = {});

/// Symbols of the training images, at most `max_images` of them; nothing where it is not known what they stand for.
std::optional<SymbolMetrics> measure_training_symbols(Model& model, const Benchmark& benchmark,
                                                      int max_images = EvaluationOptions{}.max_images);
/// Their gauge, or "not known".
std::string gauge_text(const std::optional<SymbolMetrics>& training_symbols);

/// Logits [T, P] decided from `pairs` pairs: the mean of the logits synthesised from consecutive sets of the training
/// step's size. y [T, pairs], symbols [pairs, V].
std::vector<float> decide_logits(Model& model, int pairs, std::span<const float> y, std::span<const float> symbols);

}  // namespace roap
