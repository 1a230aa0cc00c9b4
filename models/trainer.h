#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "engine/executor.h"
#include "models/data/pair_source.h"
#include "models/formula_set.h"
#include "models/gauge_search.h"
#include "models/model.h"

namespace roap {

/// The best of the runs that were screened so far.
struct BestRun {
  std::uint64_t run = 0;
  double loss = 0;
  ParameterSnapshot parameters;
};

/// The part of a run's state that is not in the ParameterStore.
struct TrainerState {
  std::uint64_t step = 0;          ///< next step to submit, 0-based; counts the steps of all runs
  std::uint64_t run = 0;           ///< which of train.runs; equal to their number once the best one was chosen
  std::uint64_t random_epoch = 0;  ///< incremented by every rollback, so that it goes on with fresh random numbers
  std::uint64_t skipped_steps = 0;
  std::uint64_t skips_in_a_row = 0;
  double smooth_loss = std::numeric_limits<double>::infinity();  ///< mean over about 100 steps; infinite at first
  std::shared_ptr<const BestRun> best;                           ///< while runs are screened
};

struct StepReport {
  std::uint64_t step = 0;  ///< steps done, this one included
  double loss = 0;
  double mean_error = 0;  ///< mean over tasks of the normalised squared error
  double gradient_norm = 0;
  double mean_length = 0;
  double sharpness = 0, temperature = 0, rate = 0;
  AffineMap gauge;  ///< applied to the symbols after the step
  bool skipped = false;
  std::string diagnosis;  ///< of a skipped step: the task and line that overflowed
};

/// Runs training steps. Methods with programs: images -> symbols -> logits -> Gumbel-softmax -> soft execution -> loss,
/// and back. Method marginal: images -> symbols -> exact posterior over all formulas -> loss, and back. Method hybrid:
/// the grounder as with marginal, and programs on its symbols, whose loss does not reach it. Methods mlp-disjoint and
/// mlp-onehot: images -> symbols -> MLP -> loss, and back. Sees a PairSource only:
/// gold symbols and formulas cannot be reached from here.
class Trainer {
 public:
  struct Options {
    bool keep_everything = false;  ///< every tensor stays readable after a step (traces)
  };
  Trainer(Model& model, const PairSource& source, Options options);
  Trainer(Model& model, const PairSource& source) : Trainer(model, source, Options{}) {}

  /// One step. A non-finite one leaves weights, statistics and optimizer untouched and is reported as skipped.
  StepReport step();
  /// The two halves of a step: a device with a stream of its own works on submitted steps while the host goes on. At
  /// most kMostInFlight steps may wait for collect(), which gives the report of the oldest one.
  void submit();
  StepReport collect();
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  static constexpr std::size_t kMostInFlight = 2;

  /// Of all runs together.
  [[nodiscard]] std::uint64_t total_steps() const { return all_steps_; }

  /// Where one of several runs (train.runs) ends: end_run() must be called before the next step, with none in flight.
  [[nodiscard]] bool at_run_end() const;
  /// Remembers the run if it has the least loss so far and starts the next one; after the last one the best goes on.
  struct RunEnd {
    double loss = 0;                      ///< of the run that ended
    std::shared_ptr<const BestRun> best;  ///< of all so far
    bool chosen = false;                  ///< the best one is what goes on
  };
  RunEnd end_run();
  [[nodiscard]] const TrainerState& state() const { return state_; }
  /// No step may be in flight.
  void restore(const TrainerState& state) { state_ = state; }

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] Executor& executor() { return *executor_; }
  /// Nodes before this one only compute; guard, Adam and statistics follow.
  [[nodiscard]] std::size_t first_update_node() const { return first_update_node_; }

  /// Learning rates of grounder and synthesizer, sharpness, lambda, floor of the profiled loss and temperature of the
  /// posterior at a step.
  struct Schedule {
    double grounder_rate = 0, rate = 0, sharpness = 0, lambda = 0, loss_floor = 0, temperature = 0;
  };
  [[nodiscard]] Schedule schedule(std::uint64_t step) const;
  /// How far its own run is at a step of the present run.
  [[nodiscard]] std::uint64_t step_of_run(std::uint64_t step) const;
  /// Names of the step's tensors in graph(); absent where the method has none.
  struct Tensors {
    TensorId images, pair_key, augmentation_key, pixels, y, sigma, sharpness, gumbel_key, lambda, loss_floor, rates;
    TensorId temperature, search_floor;
    TensorId symbols, logits, z, yhat, length, loss, program_loss, loss_gradient, program_loss_gradient, error,
        evidence, guard;
  };
  [[nodiscard]] const Tensors& tensors() const { return t_; }
  /// Words of the Gumbel noise at a step.
  [[nodiscard]] RandomKey gumbel_key(std::uint64_t step) const;

 private:
  void build();
  void append_programs(TensorId symbols);
  void append_loss(const std::string& name, std::int64_t samples);
  void append_posterior();
  void append_update(const std::vector<struct BatchNormUpdate>& statistics);
  void write_inputs(std::uint64_t step);
  void request_report(Readback& readback) const;
  /// Why that step was not finite.
  std::string diagnose(std::uint64_t step);
  [[nodiscard]] std::string diagnose_tensors() const;
  AffineMap regauge(std::uint64_t step);
  [[nodiscard]] RandomKey key(RandomStream stream, std::uint64_t step) const;

  Model& model_;
  const PairSource& source_;
  Options options_;
  Graph graph_;
  Tensors t_;
  std::unique_ptr<Executor> executor_;
  std::size_t first_update_node_ = 0;
  std::uint64_t runs_ = 1, run_steps_ = 0, screening_steps_ = 0, all_steps_ = 0;
  TrainerState state_;
  std::unique_ptr<PairStream> pairs_;
  std::array<std::unique_ptr<Readback>, kMostInFlight> readbacks_;  ///< of step n: n mod kMostInFlight
  struct Submitted {
    std::uint64_t step;
    AffineMap gauge;
  };
  std::deque<Submitted> in_flight_;            ///< not collected yet, oldest first
  std::unique_ptr<FormulaSet> formulas_;       ///< of the posterior and of re-gauging
  std::unique_ptr<GaugeSearch> gauge_search_;  ///< where train.regauge is on
};

}  // namespace roap
