#include "models/evaluation.h"

#include <algorithm>

#include "kernels/common/parallel.h"
#include "models/columns.h"
#include "models/decision.h"

namespace roap {

namespace {

/// Evenly spread indices of at most `limit` images.
std::vector<std::int32_t> image_sample(std::size_t images, int limit) {
  const std::size_t count = std::min(images, static_cast<std::size_t>(limit));
  std::vector<std::int32_t> index(count);
  for (std::size_t i = 0; i < count; ++i) index[i] = static_cast<std::int32_t>(i * images / count);
  return index;
}

std::optional<SymbolMetrics> measure_symbols(Model& model, const ImageSet& images, const Gold& gold, Split split,
                                             int limit) {
  if (!gold.has_labels()) return std::nullopt;
  const std::vector<std::int32_t> index = image_sample(gold.image_count(split), limit);
  std::vector<int> k;
  for (const std::int32_t image : index) k.push_back(gold.symbol_of(split, image));
  return symbol_metrics(model.ground(images.pixels, images.count, index), k);
}

/// Pairs of a split with both kinds of symbols.
struct Pairs {
  int count = 0;
  std::vector<float> y;            ///< [T, count]
  std::vector<float> symbols;      ///< [count, V], the grounder's
  std::vector<double> gold;        ///< [count, V], or none where they are not known
  std::span<const float> sigma{};  ///< [T]

  [[nodiscard]] std::span<const float> targets(std::size_t task) const {
    return std::span(y).subspan(task * static_cast<std::size_t>(count), static_cast<std::size_t>(count));
  }
};

Pairs draw_pairs(Model& model, const PairSource& source, const Gold& gold, Split split, int count, std::uint64_t seed) {
  Pairs pairs{count,
              std::vector<float>(static_cast<std::size_t>(count) * static_cast<std::size_t>(source.tasks())),
              {},
              {},
              source.sigma()};
  std::vector<std::int32_t> images(static_cast<std::size_t>(count * source.symbols()));
  source.draw(random_key(seed, RandomStream::evaluation_pairs, split == Split::test ? 0 : 1), count, images, pairs.y);
  pairs.symbols = model.ground(source.images().pixels, source.images().count, images);
  if (!gold.has_labels()) return pairs;
  for (const std::int32_t image : images) pairs.gold.push_back(gold.symbol_of(split, image) / 10.0);
  return pairs;
}

struct Program {
  programs::Expression expression;
  std::vector<std::string> ties{};
};

/// Every task's program by the argmax of its logits.
std::vector<Program> synthesised_programs(Model& model, const Pairs& pairs) {
  std::vector<Program> programs;
  const std::vector<float> logits = decide_logits(model, pairs.count, pairs.y, pairs.symbols);
  const std::size_t count = static_cast<std::size_t>(model.sketch().logit_count());
  for (std::size_t begin = 0; begin < logits.size(); begin += count) {
    programs.push_back({model.sketch().decode(std::span(logits).subspan(begin, count))});
  }
  return programs;
}

std::vector<Program> decided_programs(Model& model, const PairSource& training, int pairs) {
  const FormulaSet formulas(model.config().search, model.problem().symbols);
  DecisionOptions options;
  options.pairs = pairs;
  std::vector<Program> programs;
  for (DecidedFormula& formula : decide_formulas(model, training, formulas, options)) {
    programs.push_back({std::move(formula.expression), std::move(formula.ties)});
  }
  return programs;
}

/// What the model says y is: of each task, of each pair.
using Predictions = std::vector<std::vector<double>>;

Predictions run_programs(std::span<const Program> programs, std::span<const double> symbols, std::size_t variables) {
  const std::size_t pairs = symbols.size() / variables;
  const std::vector<double> columns = to_columns(symbols, variables);
  Predictions predictions(programs.size());
  parallel_for(static_cast<std::int64_t>(programs.size()), [&](std::int64_t t) {
    predictions[static_cast<std::size_t>(t)] =
        programs[static_cast<std::size_t>(t)].expression.evaluate_rows(columns, pairs);
  });
  return predictions;
}

/// By the tasks' programs, or without any by the model's MLP.
Predictions predict(Model& model, std::span<const Program> programs, std::span<const double> symbols) {
  const auto variables = static_cast<std::size_t>(model.problem().symbols);
  if (!programs.empty()) return run_programs(programs, symbols, variables);
  return to_rows(model.predict(std::vector<float>(symbols.begin(), symbols.end())), symbols.size() / variables);
}

std::vector<Loss> losses(const Predictions& predictions, const Pairs& pairs) {
  std::vector<Loss> losses;
  for (std::size_t t = 0; t < predictions.size(); ++t) {
    losses.push_back(prediction_loss(predictions[t], pairs.targets(t), pairs.sigma[t]));
  }
  return losses;
}

std::vector<double> wide(std::span<const float> values) { return {values.begin(), values.end()}; }

/// Test pairs, their programs (none with an MLP) and what those say.
struct TestRun {
  Pairs pairs;
  std::vector<Program> programs;
  Predictions on_gold;
  std::vector<Loss> losses;
};

/// `gold` is null where the task's formula is not known.
TaskResult judge(const TestRun& test, std::size_t t, const Gold::Task* gold, const search::FormulaPool& pool,
                 bool verdicts) {
  TaskResult result;
  if (gold != nullptr) {
    result.gold = gold->formula.text();
    result.gold_operators = gold->operators;
  }
  if (!test.on_gold.empty()) result.solved = predicts_exactly(test.on_gold[t], test.pairs.targets(t));
  result.test_loss = test.losses[t];
  if (test.programs.empty()) return result;
  result.program = test.programs[t].expression;
  result.formula = programs::simplify(*result.program, pool.smallest_formula());
  result.ties = test.programs[t].ties;
  if (verdicts && gold != nullptr) result.verdict = programs::prove_equal(*result.program, gold->formula);
  return result;
}

/// What is counted or averaged over the tasks.
void summarise(Evaluation& evaluation) {
  std::vector<Loss> all, solved, unsolved;
  double program_length = 0, formula_length = 0;
  const double tasks = static_cast<double>(evaluation.tasks.size());
  bool programs = true;
  for (const TaskResult& task : evaluation.tasks) {
    if (task.solved) evaluation.solved = evaluation.solved.value_or(0) + (*task.solved ? 1 : 0);
    if (task.gold) {
      evaluation.solved_exact = evaluation.solved_exact.value_or(0) + (task.verdict && task.verdict->equal() ? 1 : 0);
    }
    all.push_back(task.test_loss);
    if (task.solved) (*task.solved ? solved : unsolved).push_back(task.test_loss);
    programs = programs && task.program.has_value();
    if (!programs) continue;
    program_length += static_cast<double>(task.program->operator_count()) / tasks;
    formula_length += task.formula->operators / tasks;
  }
  evaluation.test_loss = mean_loss(all);
  if (!solved.empty()) evaluation.test_loss_solved = mean_loss(solved);
  if (!unsolved.empty()) evaluation.test_loss_unsolved = mean_loss(unsolved);
  if (programs) {
    evaluation.program_length = program_length;
    evaluation.formula_length = formula_length;
  }
}

Loss training_loss(Model& model, const Benchmark& benchmark, const TestRun& test, const EvaluationOptions& options) {
  const Pairs pairs =
      draw_pairs(model, *benchmark.train, *benchmark.gold, Split::train, options.train_pairs, options.seed);
  const MethodParts parts = method_parts(model.config());
  const bool synthesised = parts.programs && !parts.posterior;
  const std::vector<Program> programs = synthesised ? synthesised_programs(model, pairs) : test.programs;
  return mean_loss(losses(predict(model, programs, wide(pairs.symbols)), pairs));
}

TestRun run_test(Model& model, const Benchmark& benchmark, const EvaluationOptions& options) {
  const MethodParts parts = method_parts(model.config());
  TestRun test{
      draw_pairs(model, *benchmark.test, *benchmark.gold, Split::test, options.pairs, options.seed), {}, {}, {}};
  if (parts.posterior) {
    test.programs = decided_programs(model, *benchmark.train, options.decision_pairs);
  } else if (parts.programs) {
    test.programs = synthesised_programs(model, test.pairs);
  }
  if (!test.pairs.gold.empty()) test.on_gold = predict(model, test.programs, test.pairs.gold);
  test.losses = losses(predict(model, test.programs, wide(test.pairs.symbols)), test.pairs);
  return test;
}

/// How many tasks the synthesizer's own programs solve.
int synthesised_solved(Model& model, const Pairs& pairs) {
  const Predictions on_gold = predict(model, synthesised_programs(model, pairs), pairs.gold);
  int solved = 0;
  for (std::size_t t = 0; t < on_gold.size(); ++t) solved += predicts_exactly(on_gold[t], pairs.targets(t)) ? 1 : 0;
  return solved;
}

}  // namespace

std::string gauge_text(const std::optional<SymbolMetrics>& training_symbols) {
  return training_symbols ? training_symbols->gauge_text() : "not known";
}

std::string Evaluation::gauge_text() const { return roap::gauge_text(train); }

std::optional<bool> Evaluation::run_success() const {
  constexpr double kMost = 0.05;
  if (!test) return std::nullopt;
  return test->loss <= kMost;
}

std::optional<bool> Evaluation::run_success_strict() const {
  constexpr double kLeast = 0.9;
  if (!train) return std::nullopt;
  return train->right >= kLeast;
}

std::vector<float> decide_logits(Model& model, int pairs, std::span<const float> y, std::span<const float> symbols) {
  const int tasks = model.problem().tasks;
  const std::size_t variables = static_cast<std::size_t>(model.problem().symbols);
  const int set = static_cast<int>(std::min<std::int64_t>(model.config().train.pairs_per_step, pairs));
  const int sets = pairs / set;
  std::vector<float> sum(static_cast<std::size_t>(tasks) * static_cast<std::size_t>(model.sketch().logit_count()),
                         0.0f);
  std::vector<float> set_y(static_cast<std::size_t>(tasks) * static_cast<std::size_t>(set));
  for (int s = 0; s < sets; ++s) {
    for (int t = 0; t < tasks; ++t) {
      std::copy_n(y.begin() + static_cast<std::ptrdiff_t>(t) * pairs + static_cast<std::ptrdiff_t>(s) * set, set,
                  set_y.begin() + static_cast<std::ptrdiff_t>(t) * set);
    }
    const std::vector<float> logits = model.synthesise(
        set, set_y,
        symbols.subspan(static_cast<std::size_t>(s * set) * variables, static_cast<std::size_t>(set) * variables));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += logits[i] / static_cast<float>(sets);
  }
  return sum;
}

std::optional<SymbolMetrics> measure_training_symbols(Model& model, const Benchmark& benchmark, int max_images) {
  return measure_symbols(model, benchmark.train->images(), *benchmark.gold, Split::train, max_images);
}

Evaluation evaluate(Model& model, const Benchmark& benchmark, const search::FormulaPool& pool,
                    const EvaluationOptions& options) {
  const Gold& gold = *benchmark.gold;
  Evaluation evaluation;
  evaluation.train = measure_training_symbols(model, benchmark, options.max_images);
  evaluation.test = measure_symbols(model, benchmark.test->images(), gold, Split::test, options.max_images);
  const TestRun test = run_test(model, benchmark, options);
  evaluation.train_loss = training_loss(model, benchmark, test, options);
  const MethodParts parts = method_parts(model.config());
  if (parts.posterior && parts.programs && gold.has_labels()) {
    evaluation.synthesised_solved = synthesised_solved(model, test.pairs);
  }
  evaluation.tasks.resize(static_cast<std::size_t>(benchmark.test->tasks()));
  parallel_for(std::ssize(evaluation.tasks), [&](std::int64_t i) {
    const auto t = static_cast<std::size_t>(i);
    const Gold::Task* known = gold.tasks().empty() ? nullptr : &gold.tasks()[t];
    evaluation.tasks[t] = judge(test, t, known, pool, options.verdicts);
    if (!benchmark.task_names.empty()) evaluation.tasks[t].name = benchmark.task_names[t];
  });
  summarise(evaluation);
  if (options.new_tasks > 0 && gold.has_labels()) {
    evaluation.generalisation = measure_generalisation(
        model, benchmark, pool, {.tasks = options.new_tasks, .pairs = options.pairs, .seed = options.seed});
  }
  return evaluation;
}

}  // namespace roap
