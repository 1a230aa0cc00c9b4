#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/decision.h"
#include "models/evaluation.h"
#include "models/gauge_search.h"
#include "models/search/symbol_fit.h"
#include "models/trainer.h"
#include "tests/models/small_problem.h"

namespace roap {
namespace {

using programs::parse_expression;

Config marginal_config(int tasks) {
  Config config = small_config(tasks, "marginal");
  config.tasks.max_operators = 2;
  config.search.max_operators = 2;
  config.train.steps = 150;
  config.train.lr_schedule = "cosine";
  config.train.clip = 1;
  config.train.regauge = 10;
  return config;
}

/// Pairs of symbols k/10 and the y of some formulas.
struct Batch {
  std::vector<float> symbols;  ///< [pairs, 3]
  std::vector<float> y;        ///< [T, pairs]
  std::vector<float> sigma;    ///< [T]
};

Batch make_batch(const std::vector<std::string>& formulas, int pairs) {
  Batch batch;
  batch.y.resize(formulas.size() * static_cast<std::size_t>(pairs));
  for (int b = 0; b < pairs; ++b) {
    const Philox4 bits = philox({5, 0, 0, 0}, static_cast<std::uint64_t>(b));
    std::vector<double> point;
    for (int j = 0; j < 3; ++j) point.push_back((bounded(bits.x[j], 10) + 1) / 10.0);
    batch.symbols.insert(batch.symbols.end(), point.begin(), point.end());
    for (std::size_t t = 0; t < formulas.size(); ++t) {
      batch.y[t * static_cast<std::size_t>(pairs) + static_cast<std::size_t>(b)] =
          static_cast<float>(parse_expression(formulas[t], 3).evaluate(point));
    }
  }
  batch.sigma.assign(formulas.size(), 0.3f);
  return batch;
}

const std::vector<std::string>& odd_formulas() {
  static const std::vector<std::string> formulas{"s1 + s2",      "s1 * s2 - s3", "s2 * s2 + s3",
                                                 "s1 - s3 * s3", "s3 * s1 + s1", "s2"};
  return formulas;
}

std::vector<float> mapped(const std::vector<float>& symbols, double a, double b) {
  std::vector<float> result;
  for (const float s : symbols) result.push_back(static_cast<float>(a * static_cast<double>(s) + b));
  return result;
}

TEST(FormulaSet, HoldsTheSameFormulasForTheOperator) {
  const FormulaSet set(Config::Search{.max_operators = 2, .penalty = 0.5}, 3);
  const FormulaGraph& graph = *set.graph();
  ASSERT_EQ(graph.count(), 150);
  for (std::size_t i = 0; i < 150; ++i) {
    const bool constant = set.formulas().expression(i).text() == "s1 - s1";
    EXPECT_EQ(graph.penalty[i], constant ? INFINITY : 0.5f * static_cast<float>(set.formulas().operator_count(i)));
  }
}

TEST(GaugeSearch, UndoesAScaleAndAMirror) {
  constexpr int kPairs = 48;
  const Batch batch = make_batch(odd_formulas(), kPairs);
  const FormulaSet formulas(Config::Search{}, 3);
  GaugeSearch search(formulas, static_cast<int>(odd_formulas().size()), kPairs, DeviceKind::cpu);
  const auto best = [&](double a, double b) {
    return search.best_map(mapped(batch.symbols, a, b), batch.y, batch.sigma, 0.05, 1e-3);
  };
  EXPECT_TRUE(best(1, 0).is_identity());
  // s / 1.25 -> 1.25 s and 1.1 - s -> 1.1 - s are on the grid of maps.
  EXPECT_EQ(best(0.8, 0).a, 1.25);
  EXPECT_EQ(best(0.8, 0).b, 0);
  EXPECT_EQ(best(-1, 1.1).a, -1);
  EXPECT_EQ(best(-1, 1.1).b, 1.1);
}

TEST(GaugeSearch, TakesPositiveSymbolsWhereAMirrorImageIsAsGood) {
  constexpr int kPairs = 32;
  const Batch batch = make_batch({"s1 * s2", "s3 * s3", "s2 * s3 - s1 * s1"}, kPairs);
  const FormulaSet formulas(Config::Search{}, 3);
  GaugeSearch search(formulas, 3, kPairs, DeviceKind::cpu);
  EXPECT_EQ(search.best_map(mapped(batch.symbols, -1, 0), batch.y, batch.sigma, 0.05, 1e-3).a, -1);
  EXPECT_TRUE(search.best_map(batch.symbols, batch.y, batch.sigma, 0.05, 1e-3).is_identity());
}

TEST(GaugeSearch, AGainOnAFewPairsAloneIsNoGain) {
  constexpr int kPairs = 48;
  Batch batch = make_batch(odd_formulas(), kPairs);
  const FormulaSet formulas(Config::Search{}, 3);
  GaugeSearch search(formulas, static_cast<int>(odd_formulas().size()), kPairs, DeviceKind::cpu);
  // The first half is scaled, the second is right.
  for (std::size_t i = 0; i < batch.symbols.size() / 2; ++i) batch.symbols[i] *= 0.8f;
  EXPECT_TRUE(search.best_map(batch.symbols, batch.y, batch.sigma, 0.05, 1e-3).is_identity());
}

TEST(Model, AGaugeIsFoldedIntoTheLastLayer) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 3);
  Model model(marginal_config(3), problem_shape(*benchmark.train));
  const std::vector<std::int32_t> index{0, 7, 23, 59};
  const ImageSet& images = benchmark.train->images();
  const std::vector<float> before = model.ground(images.pixels, images.count, index);
  model.apply_gauge({-0.7, 0.25});
  const std::vector<float> after = model.ground(images.pixels, images.count, index);
  for (std::size_t i = 0; i < index.size(); ++i) EXPECT_NEAR(after[i], -0.7 * before[i] + 0.25, 1e-6);
}

TEST(SymbolFit, FindsTheSymbolsBehindManyTasks) {
  constexpr std::size_t kPairs = 20;
  std::vector<std::string> texts;
  const search::Enumeration pool({.variables = 3, .max_operators = 2});
  for (std::size_t i = 0; i < pool.size(); i += 4) texts.push_back(pool.expression(i).text());
  const Batch batch = make_batch(texts, kPairs);
  std::vector<programs::Expression> formulas;
  for (const std::string& text : texts) formulas.push_back(parse_expression(text, 3));
  // A third of the formulas is wrong, and the start is off by up to 0.15.
  for (std::size_t t = 0; t < formulas.size(); t += 3) formulas[t] = parse_expression("s1 * s2 + s3", 3);
  std::vector<double> start;
  for (std::size_t i = 0; i < batch.symbols.size(); ++i) {
    start.push_back(batch.symbols[i] + 0.15 * std::sin(static_cast<double>(3 * i)));
  }
  const search::SymbolFit fit = search::fit_symbols(formulas, {kPairs, batch.y, batch.sigma}, start);
  int found = 0;  // wrong formulas still pull a little: their weight beside the right ones' is the last floor, 1e-4
  for (std::size_t i = 0; i < batch.symbols.size(); ++i) {
    found += std::abs(fit.symbols[i] - batch.symbols[i]) < 1e-3 ? 1 : 0;
  }
  EXPECT_GE(found, 54) << "of 60";
}

TEST(Marginal, TrainsDecidesAndProves) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  const Benchmark benchmark = small_benchmark(pool, 30);
  const Config config = marginal_config(30);
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  double first = 0;
  double last = 0;
  for (int step = 0; step < config.train.steps; ++step) {
    const StepReport report = trainer.step();
    ASSERT_FALSE(report.skipped) << report.diagnosis;
    (step == 0 ? first : last) = report.mean_error;
    EXPECT_EQ(report.mean_length, 0);
  }
  EXPECT_LT(last, first / 20);
  const Evaluation evaluation = evaluate(model, benchmark, pool);
  EXPECT_EQ(evaluation.solved, 30);
  EXPECT_EQ(evaluation.solved_exact, 30);
  EXPECT_EQ(evaluation.gauge_text(), "right");
}

TEST(Marginal, HasNoSynthesizer) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 3);
  Model model(marginal_config(3), problem_shape(*benchmark.train));
  for (const ParameterInfo& info : model.store().weights())
    EXPECT_TRUE(info.name.starts_with("grounder.")) << info.name;
}

std::vector<float> train_few_steps(const Config& config, int threads = 0) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  const Benchmark benchmark = small_benchmark(pool, static_cast<int>(config.tasks.count));
  set_threads(threads);
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  for (int step = 0; step < 12; ++step) trainer.step();
  set_threads(0);
  return model.store().read(model.store().all(Arena::weights));
}

TEST(Marginal, SameBitsForOneAndTwoThreads) {
  for (const char* method : {"marginal", "hybrid"}) {
    Config config = marginal_config(9);
    config.train.method = method;
    EXPECT_EQ(train_few_steps(config, 1), train_few_steps(config, 2)) << method;
  }
}

TEST(Hybrid, TheGrounderLearnsFromThePosteriorAlone) {
  Config config = marginal_config(7);
  config.train.clip = 0;  // a bound on the whole gradient would join the two
  const std::vector<float> marginal = train_few_steps(config);
  config.train.method = "hybrid";
  const std::vector<float> hybrid = train_few_steps(config);
  ASSERT_GT(hybrid.size(), marginal.size());
  EXPECT_TRUE(std::equal(marginal.begin(), marginal.end(), hybrid.begin())) << "the grounder comes first";
}

TEST(Hybrid, ReportsFormulasAndWhatTheSynthesizerSolves) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 4);
  Config config = marginal_config(4);
  config.train.method = "hybrid";
  config.train.steps = 30;
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  const StepReport report = trainer.step();
  EXPECT_GT(report.mean_length, 0);
  const Evaluation evaluation = evaluate(model, benchmark, pool);
  ASSERT_TRUE(evaluation.synthesised_solved.has_value());
  EXPECT_LE(*evaluation.synthesised_solved, 4);
  Model marginal(marginal_config(4), problem_shape(*benchmark.train));
  EXPECT_FALSE(evaluate(marginal, benchmark, pool).synthesised_solved);
}

TEST(Roap, CanBeReGaugedToo) {
  Config config = marginal_config(7);
  config.train.method = "roap";
  const std::vector<float> regauged = train_few_steps(config);
  config.train.regauge = 0;
  const std::vector<float> plain = train_few_steps(config);
  ASSERT_EQ(regauged.size(), plain.size());
  for (const float w : regauged) ASSERT_TRUE(std::isfinite(w));
}

TEST(Benchmark, UnseenTasksAreOthers) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  const Benchmark seen = small_benchmark(pool, 40);
  const Benchmark unseen = small_benchmark(pool, 40, 40);
  for (const Gold::Task& a : seen.gold->tasks()) {
    for (const Gold::Task& b : unseen.gold->tasks()) EXPECT_NE(a.formula.text(), b.formula.text());
  }
}

TEST(Marginal, ANonFiniteStepIsSkipped) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 4);
  Config config = marginal_config(4);
  config.train.regauge = 1;
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  ParameterStore& store = model.store();
  store.write(store.slot("grounder.fc.bias"), std::vector<float>{std::nanf("")});
  const std::vector<float> before = store.read(store.slot("grounder.conv1.weight"));
  const StepReport report = trainer.step();
  EXPECT_TRUE(report.skipped);
  EXPECT_EQ(report.diagnosis, "the grounder's symbols are not finite");
  EXPECT_TRUE(report.gauge.is_identity());
  EXPECT_EQ(store.read(store.slot("grounder.conv1.weight")), before);
}

TEST(Decision, NamesWhatThePairsCannotTellApart) {
  // Untrained symbols explain nothing; every decision still is a formula of the set, with a finite error.
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 3);
  const Config config = marginal_config(3);
  Model model(config, problem_shape(*benchmark.train));
  const FormulaSet formulas(config.search, 3);
  DecisionOptions options;
  options.pairs = 64;
  for (const DecidedFormula& decided : decide_formulas(model, *benchmark.train, formulas, options)) {
    EXPECT_TRUE(std::isfinite(decided.error));
    EXPECT_NE(decided.expression.text(), "s1 - s1");
    EXPECT_EQ(std::ranges::count(decided.ties, decided.expression.text()), 0);
  }
}

}  // namespace
}  // namespace roap
