#include "models/generalisation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/pair_batch/pair_batch.h"
#include "models/columns.h"
#include "models/head_fit.h"
#include "models/search/formula_search.h"

namespace roap {

namespace {

constexpr int kHalf = search::kLevels / 2;

/// New tasks of the pool: what y they give and its deviation.
struct NewTasks {
  std::vector<std::vector<float>> tables;  ///< of each task, see FormulaPool::value_table
  std::vector<float> sigma;
};

NewTasks draw_new_tasks(const search::FormulaPool& pool, const Config::Tasks& trained, int count) {
  const auto first = static_cast<std::size_t>(trained.count);
  const std::size_t usable = pool.usable().size();
  const std::size_t all = std::min(usable, first + static_cast<std::size_t>(count));
  NewTasks tasks;
  const std::vector<std::size_t> drawn = pool.draw_tasks(all, static_cast<std::uint64_t>(trained.seed));
  for (const std::size_t index : std::span(drawn).subspan(std::min(first, all))) {
    tasks.tables.push_back(pool.value_table(index));
    tasks.sigma.push_back(deviation(tasks.tables.back()));
  }
  return tasks;
}

/// The part of a table where all symbols are among kHalf levels from `first` (0-based) on, in the same order.
void append_half(std::vector<float>& halves, const std::vector<float>& table, int first, int variables) {
  const PairBatchDims half{1, 1, variables, kHalf};
  for (std::int64_t entry = 0; entry < half.rows(); ++entry) {
    std::int64_t row = 0;
    std::int64_t digit = half.rows() / kHalf;
    for (int variable = 0; variable < variables; ++variable, digit /= kHalf) {
      row = row * search::kLevels + first + entry / digit % kHalf;
    }
    halves.push_back(table[static_cast<std::size_t>(row)]);
  }
}

/// Pairs of one split whose symbols are all in one half of the range.
struct HalfPairs {
  std::vector<float> y;        ///< [T, pairs]
  std::vector<float> symbols;  ///< [pairs, V], the grounder's
};

HalfPairs draw_half(Model& model, const Benchmark& benchmark, const NewTasks& tasks, Split split, bool upper,
                    const GeneralisationOptions& options) {
  const Gold& gold = *benchmark.gold;
  const ImageSet& images = (split == Split::train ? *benchmark.train : *benchmark.test).images();
  const int first = upper ? kHalf : 0;
  const ClassImages classes = images_by_class(gold.labels(split), first, kHalf);
  std::vector<float> halves;
  for (const std::vector<float>& table : tasks.tables) append_half(halves, table, first, gold.symbols());
  const PairBatchDims dims{std::ssize(tasks.tables), options.pairs, gold.symbols(), kHalf};
  constexpr std::uint64_t kStep = 2;  // 0 and 1 are the pairs of the run's own tasks
  const RandomKey key = random_key(options.seed, RandomStream::evaluation_pairs, kStep + (upper ? 1 : 0));
  const std::array<std::uint32_t, 4> words{key.seed_low, key.seed_high, key.stream, key.step};
  HalfPairs pairs{std::vector<float>(static_cast<std::size_t>(dims.tasks * dims.pairs)), {}};
  std::vector<std::int32_t> index(static_cast<std::size_t>(dims.pairs * dims.symbols));
  cpu::pair_batch(dims, words.data(), classes.begin.data(), classes.images.data(), halves.data(), index.data(),
                  pairs.y.data());
  pairs.symbols = model.ground(images.pixels, images.count, index);
  return pairs;
}

/// Finds a formula for every task on the lower half and says what it gives on the upper one: [T][pairs].
std::vector<std::vector<double>> search_and_predict(const HalfPairs& lower, const HalfPairs& upper, int variables,
                                                    int max_operators) {
  const auto v = static_cast<std::size_t>(variables);
  const std::size_t rows = lower.symbols.size() / v;
  const std::vector<double> symbols = to_columns(lower.symbols, v);
  std::vector<search::TaskRows> tasks;
  for (std::vector<double>& y : to_rows(lower.y, rows)) tasks.push_back({"", rows, symbols, std::move(y)});
  search::SearchOptions options;
  options.variables = variables;
  options.max_operators = max_operators;
  const std::vector<double> columns = to_columns(upper.symbols, v);
  std::vector<std::vector<double>> predictions;
  for (const search::TaskFormulas& task : search::search_formulas(tasks, options).tasks) {
    predictions.push_back(task.front[task.chosen].expression.evaluate_rows(columns, upper.symbols.size() / v));
  }
  return predictions;
}

/// The same by a new MLP for every task.
std::vector<std::vector<double>> fit_and_predict(Model& model, const HalfPairs& lower, const HalfPairs& upper,
                                                 const NewTasks& tasks, int steps) {
  const Config& config = model.config();
  const HeadFitOptions options{.width = static_cast<int>(config.model.width),
                               .steps = steps,
                               .seed = static_cast<std::uint64_t>(config.train.seed)};
  const HeadFitData data{model.problem().symbols, lower.symbols, lower.y, tasks.sigma};
  const std::vector<float> yhat = fit_heads(data, upper.symbols, options, model.store().device());
  return to_rows(yhat, yhat.size() / tasks.sigma.size());
}

}  // namespace

std::optional<Generalisation> measure_generalisation(Model& model, const Benchmark& benchmark,
                                                     const search::FormulaPool& pool,
                                                     const GeneralisationOptions& options) {
  const Config& config = model.config();
  const NewTasks tasks = draw_new_tasks(pool, config.tasks, options.tasks);
  if (tasks.tables.empty()) return std::nullopt;
  const HalfPairs lower = draw_half(model, benchmark, tasks, Split::train, false, options);
  const HalfPairs upper = draw_half(model, benchmark, tasks, Split::test, true, options);
  Generalisation result{static_cast<int>(tasks.tables.size()), {}};
  if (!std::ranges::all_of(lower.symbols, [](float s) { return std::isfinite(s); })) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    result.loss = {kNone, kNone};  // a grounder that says nothing cannot be learned from
    return result;
  }
  const int max_operators = static_cast<int>(std::max(config.search.max_operators, config.tasks.max_operators));
  const auto predictions = method_parts(config).head
                               ? fit_and_predict(model, lower, upper, tasks, options.head_steps)
                               : search_and_predict(lower, upper, benchmark.gold->symbols(), max_operators);
  std::vector<Loss> losses;
  for (std::size_t t = 0; t < predictions.size(); ++t) {
    const auto y = std::span(upper.y).subspan(t * predictions[t].size(), predictions[t].size());
    losses.push_back(prediction_loss(predictions[t], y, tasks.sigma[t]));
  }
  result.loss = mean_loss(losses);
  return result;
}

}  // namespace roap
