#include "models/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/common/parallel.h"
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

Gauge fit_gauge(const std::vector<float>& symbols, const std::vector<double>& gold) {
  const double n = static_cast<double>(symbols.size());
  const double mean = std::accumulate(symbols.begin(), symbols.end(), 0.0) / n;
  const double gold_mean = std::accumulate(gold.begin(), gold.end(), 0.0) / n;
  double variance = 0;
  double covariance = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    variance += (symbols[i] - mean) * (symbols[i] - mean);
    covariance += (symbols[i] - mean) * (gold[i] - gold_mean);
  }
  Gauge gauge;
  gauge.a = variance > 0 ? covariance / variance : 0;
  gauge.b = gold_mean - gauge.a * mean;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const double error = gauge.a * symbols[i] + gauge.b - gold[i];
    gauge.loss += error * error / n;
  }
  return gauge;
}

SymbolMetrics measure_symbols(Model& model, const ImageSet& images, const Gold& gold, Split split, int limit) {
  const std::vector<std::int32_t> index = image_sample(gold.image_count(split), limit);
  const std::vector<float> symbols = model.ground(images.pixels, images.count, index);
  std::vector<double> truth;
  std::array<double, search::kLevels> sum{};
  std::array<int, search::kLevels> count{};
  SymbolMetrics metrics;
  metrics.images = static_cast<int>(index.size());
  int right = 0;
  for (std::size_t i = 0; i < index.size(); ++i) {
    const int k = gold.symbol_of(split, index[i]);
    truth.push_back(k / 10.0);
    metrics.loss += (symbols[i] - truth[i]) * (symbols[i] - truth[i]) / metrics.images;
    const double level = std::clamp(std::round(10.0 * symbols[i]), 1.0, 10.0);
    right += level == k ? 1 : 0;
    sum[static_cast<std::size_t>(k - 1)] += symbols[i];
    ++count[static_cast<std::size_t>(k - 1)];
  }
  for (int k = 1; k <= search::kLevels; ++k) {
    const auto c = static_cast<std::size_t>(k - 1);
    const double error = count[c] > 0 ? sum[c] / count[c] - k / 10.0 : 0.0;
    metrics.class_mean_loss += error * error / search::kLevels;
  }
  metrics.right = static_cast<double>(right) / metrics.images;
  metrics.gauge = fit_gauge(symbols, truth);
  return metrics;
}

/// The test pairs with both kinds of symbols.
struct TestPairs {
  std::vector<std::int32_t> images;  ///< [pairs * V]
  std::vector<float> y;              ///< [T, pairs]
  std::vector<float> symbols;        ///< [pairs, V], the grounder's
  std::vector<double> gold;          ///< [pairs, V]
};

TestPairs draw_test_pairs(Model& model, const Benchmark& benchmark, const EvaluationOptions& options) {
  const PairSource& source = *benchmark.test;
  TestPairs pairs;
  pairs.images.resize(static_cast<std::size_t>(options.pairs * source.symbols()));
  pairs.y.resize(static_cast<std::size_t>(options.pairs) * static_cast<std::size_t>(source.tasks()));
  source.draw(random_key(options.seed, RandomStream::evaluation_pairs, 0), options.pairs, pairs.images, pairs.y);
  pairs.symbols = model.ground(source.images().pixels, source.images().count, pairs.images);
  for (const std::int32_t image : pairs.images)
    pairs.gold.push_back(benchmark.gold->symbol_of(Split::test, image) / 10.0);
  return pairs;
}

/// The paper's criterion: equal to y on all pairs, on gold symbols.
bool solves(const programs::Expression& program, const TestPairs& pairs, std::span<const float> y,
            std::size_t variables) {
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double difference =
        std::abs(program.evaluate(std::span(pairs.gold).subspan(i * variables, variables)) - y[i]);
    if (!(difference <= 1e-5 * std::max(1.0, std::abs(static_cast<double>(y[i]))))) return false;
  }
  return true;
}

void judge_on_pairs(TaskResult& result, const TestPairs& pairs, std::span<const float> y, double sigma,
                    std::size_t variables) {
  result.solved = solves(result.program, pairs, y, variables);
  std::vector<double> symbols(variables);
  for (std::size_t i = 0; i < y.size(); ++i) {
    for (std::size_t j = 0; j < variables; ++j) symbols[j] = pairs.symbols[i * variables + j];
    const double error = result.program.evaluate(symbols) - y[i];
    result.test_loss += error * error / static_cast<double>(y.size());
  }
  result.test_loss_normalised = result.test_loss / (sigma * sigma);
}

struct Program {
  programs::Expression expression;
  std::vector<std::string> ties{};
};

/// Every task's program by the argmax of its logits.
std::vector<Program> synthesised_programs(Model& model, const TestPairs& test, const EvaluationOptions& options) {
  std::vector<Program> programs;
  const std::vector<float> logits = decide_logits(model, options.pairs, test.y, test.symbols);
  const std::size_t count = static_cast<std::size_t>(model.sketch().logit_count());
  for (std::size_t begin = 0; begin < logits.size(); begin += count) {
    programs.push_back({model.sketch().decode(std::span(logits).subspan(begin, count))});
  }
  return programs;
}

/// Every task's program by the model's method.
std::vector<Program> decide_programs(Model& model, const PairSource& training, const TestPairs& test,
                                     const EvaluationOptions& options) {
  std::vector<Program> programs;
  if (method_parts(model.config()).posterior) {
    const FormulaSet formulas(model.config().search, model.problem().symbols);
    DecisionOptions decision;
    decision.pairs = options.decision_pairs;
    for (DecidedFormula& formula : decide_formulas(model, training, formulas, decision)) {
      programs.push_back({std::move(formula.expression), std::move(formula.ties)});
    }
    return programs;
  }
  return synthesised_programs(model, test, options);
}

}  // namespace

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

SymbolMetrics measure_training_symbols(Model& model, const Benchmark& benchmark, int max_images) {
  return measure_symbols(model, benchmark.train->images(), *benchmark.gold, Split::train, max_images);
}

Evaluation evaluate(Model& model, const Benchmark& benchmark, const search::FormulaPool& pool,
                    const EvaluationOptions& options) {
  const Gold& gold = *benchmark.gold;
  Evaluation evaluation;
  evaluation.train = measure_training_symbols(model, benchmark, options.max_images);
  evaluation.test = measure_symbols(model, benchmark.test->images(), gold, Split::test, options.max_images);
  const TestPairs pairs = draw_test_pairs(model, benchmark, options);
  const std::vector<Program> programs = decide_programs(model, *benchmark.train, pairs, options);

  const std::size_t tasks = gold.tasks().size();
  const std::size_t set = static_cast<std::size_t>(options.pairs);
  const auto variables = static_cast<std::size_t>(gold.symbols());
  if (const MethodParts parts = method_parts(model.config()); parts.posterior && parts.programs) {
    const std::vector<Program> synthesised = synthesised_programs(model, pairs, options);
    evaluation.synthesised_solved = 0;
    for (std::size_t t = 0; t < tasks; ++t) {
      const auto y = std::span(pairs.y).subspan(t * set, set);
      *evaluation.synthesised_solved += solves(synthesised[t].expression, pairs, y, variables) ? 1 : 0;
    }
  }
  std::vector<std::unique_ptr<TaskResult>> results(tasks);
  parallel_for(static_cast<std::int64_t>(tasks), [&](std::int64_t i) {
    const std::size_t t = static_cast<std::size_t>(i);
    const Gold::Task& task = gold.tasks()[t];
    TaskResult result{programs[t].expression, programs::simplify(programs[t].expression, pool.smallest_formula())};
    result.gold = task.formula.text();
    result.gold_operators = task.operators;
    result.ties = programs[t].ties;
    judge_on_pairs(result, pairs, std::span(pairs.y).subspan(t * set, set), benchmark.test->sigma()[t], variables);
    if (options.verdicts) result.verdict = programs::prove_equal(result.program, task.formula);
    results[t] = std::make_unique<TaskResult>(std::move(result));
  });
  for (auto& result : results) {
    evaluation.solved += result->solved ? 1 : 0;
    evaluation.solved_exact += result->verdict.equal() ? 1 : 0;
    evaluation.test_loss += result->test_loss / static_cast<double>(tasks);
    evaluation.test_loss_normalised += result->test_loss_normalised / static_cast<double>(tasks);
    evaluation.program_length += static_cast<double>(result->program.operator_count()) / static_cast<double>(tasks);
    evaluation.formula_length += result->formula.operators / static_cast<double>(tasks);
    evaluation.tasks.push_back(std::move(*result));
  }
  return evaluation;
}

std::string SymbolMetrics::gauge_text() const {
  constexpr double kRight = 0.9;         // share of images with the right level
  constexpr double kIdentified = 0.005;  // symbolic loss after the best affine map: half a level squared, twice over
  if (right >= kRight) return "right";
  if (gauge.loss <= kIdentified) {
    return fmt::format("right up to s -> {:.2f} s {} {:.2f}", gauge.a, gauge.b < 0 ? "-" : "+", std::abs(gauge.b));
  }
  return "not identified";
}

}  // namespace roap
