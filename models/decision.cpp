#include "models/decision.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "kernels/common/parallel.h"
#include "kernels/formula_posterior/formula_posterior_op.h"
#include "models/columns.h"
#include "models/search/selection.h"
#include "models/search/symbol_fit.h"

namespace roap {

namespace {

struct Pairs {
  int count = 0;
  std::vector<float> y;           ///< [T, count]
  std::vector<float> symbols;     ///< [count, V]
  std::vector<double> columns{};  ///< [V, count]
};

Pairs draw_pairs(Model& model, const PairSource& source, const DecisionOptions& options) {
  Pairs pairs{options.pairs, std::vector<float>(static_cast<std::size_t>(source.tasks()) * options.pairs), {}};
  const auto variables = static_cast<std::size_t>(source.symbols());
  const auto count = static_cast<std::size_t>(pairs.count);
  std::vector<std::int32_t> images(count * variables);
  source.draw(random_key(options.seed, RandomStream::decision_pairs, 0), options.pairs, images, pairs.y);
  pairs.symbols = model.ground(source.images().pixels, source.images().count, images);
  pairs.columns = to_columns(pairs.symbols, variables);
  return pairs;
}

/// Errors of all formulas for some tasks at a time, on the first pairs.
class Screening {
 public:
  Screening(const FormulaSet& formulas, int tasks, int pairs, DeviceKind device)
      : formulas_(formulas), tasks_(tasks), pairs_(pairs), store_(device), graph_(store_) {
    store_.allocate();
    symbols_ = graph_.input("symbols", f32({pairs, formulas.formulas().variables()}));
    y_ = graph_.input("y", f32({tasks, pairs}));
    sigma_ = graph_.input("sigma", f32({tasks}));
    const TensorId temperature = graph_.input("temperature", f32({1}));
    const TensorId floor = graph_.input("floor", f32({1}));
    const FormulaPosteriorParams params{formulas.graph(), true};
    errors_ = graph_.keep(graph_.apply("screening", std::make_shared<FormulaPosteriorOp>(params),
                                       {symbols_, y_, sigma_, temperature, floor})[3]);
    executor_ = std::make_unique<Executor>(graph_);
    for (const TensorId scalar : {temperature, floor}) executor_->write(scalar, std::span<const float>(&kOne, 1));
  }

  /// The `count` best formulas of each of tasks [begin, end), end - begin <= tasks: by error, then by number.
  std::vector<std::vector<std::size_t>> best(const Pairs& pairs, std::span<const float> sigma, int begin, int end,
                                             std::size_t count) {
    std::vector<float> y(static_cast<std::size_t>(tasks_) * static_cast<std::size_t>(pairs_));
    std::vector<float> some_sigma(static_cast<std::size_t>(tasks_), 1.0f);
    for (int t = begin; t < end; ++t) {
      std::copy_n(pairs.y.begin() + static_cast<std::ptrdiff_t>(t) * pairs.count, pairs_,
                  y.begin() + static_cast<std::ptrdiff_t>(t - begin) * pairs_);
      some_sigma[static_cast<std::size_t>(t - begin)] = sigma[static_cast<std::size_t>(t)];
    }
    executor_->write(y_, std::span<const float>(y));
    executor_->write(sigma_, std::span<const float>(some_sigma));
    executor_->write(symbols_, std::span(pairs.symbols)
                                   .first(static_cast<std::size_t>(pairs_) *
                                          static_cast<std::size_t>(formulas_.formulas().variables())));
    executor_->run();
    const std::vector<float> errors = executor_->read(errors_);
    std::vector<std::vector<std::size_t>> lists(static_cast<std::size_t>(end - begin));
    parallel_for(end - begin, [&](std::int64_t i) {
      lists[static_cast<std::size_t>(i)] =
          smallest(std::span(errors).subspan(static_cast<std::size_t>(i) * formulas_.formulas().size(),
                                             formulas_.formulas().size()),
                   count);
    });
    return lists;
  }

 private:
  static constexpr float kOne = 1;

  [[nodiscard]] std::vector<std::size_t> smallest(std::span<const float> errors, std::size_t count) const {
    std::vector<std::size_t> order;
    for (std::size_t k = 0; k < errors.size(); ++k) {
      if (std::isfinite(formulas_.graph()->penalty[k]) && std::isfinite(errors[k])) order.push_back(k);
    }
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
    std::partial_sort(order.begin(), middle, order.end(), [&](std::size_t a, std::size_t b) {
      return errors[a] < errors[b] || (errors[a] == errors[b] && a < b);
    });
    order.erase(middle, order.end());
    return order;
  }

  const FormulaSet& formulas_;
  int tasks_, pairs_;
  ParameterStore store_;
  Graph graph_;
  TensorId symbols_, y_, sigma_, errors_;
  std::unique_ptr<Executor> executor_;
};

DecidedFormula decide(const FormulaSet& formulas, const std::vector<std::size_t>& list, const Pairs& pairs,
                      std::span<const float> y, double sigma) {
  std::vector<programs::Expression> expressions;
  std::vector<search::Candidate> candidates;
  for (const std::size_t k : list) {
    expressions.push_back(formulas.formulas().expression(k));
    std::vector<double> errors = expressions.back().evaluate_rows(pairs.columns, static_cast<std::size_t>(pairs.count));
    for (std::size_t b = 0; b < errors.size(); ++b) errors[b] = (errors[b] - y[b]) * (errors[b] - y[b]);
    candidates.push_back({formulas.formulas().operator_count(k), std::move(errors)});
  }
  const search::Selection selection = search::select_formula(candidates, sigma * sigma);
  DecidedFormula decided{expressions[selection.chosen], candidates[selection.chosen].mean_error() / (sigma * sigma)};
  for (const std::size_t tie : selection.ties) decided.ties.push_back(expressions[tie].text());
  return decided;
}

/// With symbols fitted to all tasks, fewer pairs tell as much; fitting them costs more than everything else here.
constexpr int kFittedPairs = 512;

int fitted_count(int pairs) { return (std::min(pairs, kFittedPairs) + 1) / 2; }

/// Decides all tasks on given pairs.
class Decider {
 public:
  Decider(const FormulaSet& formulas, const PairSource& source, const DecisionOptions& options, DeviceKind device)
      : formulas_(formulas),
        sigma_(source.sigma()),
        tasks_(source.tasks()),
        candidates_(static_cast<std::size_t>(options.candidates)),
        group_(static_cast<int>(std::clamp<std::size_t>(kScreenedErrors / formulas.formulas().size(), 1,
                                                        static_cast<std::size_t>(tasks_)))),
        screening_(formulas, group_, std::min(options.screening, fitted_count(options.pairs)), device) {}

  std::vector<DecidedFormula> decide_all(const Pairs& pairs) {
    std::vector<std::optional<DecidedFormula>> decided(static_cast<std::size_t>(tasks_));
    for (int begin = 0; begin < tasks_; begin += group_) {
      const int end = std::min(begin + group_, tasks_);
      const auto lists = screening_.best(pairs, sigma_, begin, end, candidates_);
      parallel_for(end - begin, [&](std::int64_t i) {
        const std::size_t t = static_cast<std::size_t>(begin + i);
        const auto count = static_cast<std::size_t>(pairs.count);
        decided[t] = decide(formulas_, lists[static_cast<std::size_t>(i)], pairs,
                            std::span(pairs.y).subspan(t * count, count), sigma_[t]);
      });
    }
    std::vector<DecidedFormula> result;
    for (auto& formula : decided) result.push_back(*std::move(formula));
    return result;
  }

 private:
  static constexpr std::size_t kScreenedErrors = std::size_t{1} << 24;  // tasks x formulas at a time
  const FormulaSet& formulas_;
  std::span<const float> sigma_;
  int tasks_;
  std::size_t candidates_;
  int group_;
  Screening screening_;
};

/// The first pairs' y and symbols.
Pairs first_pairs(const Pairs& pairs, int count, std::size_t variables) {
  Pairs first{count, {}, {}};
  for (auto row = pairs.y.begin(); row != pairs.y.end(); row += pairs.count) {
    first.y.insert(first.y.end(), row, row + count);
  }
  first.symbols.assign(pairs.symbols.begin(), pairs.symbols.begin() + static_cast<std::ptrdiff_t>(
                                                                          static_cast<std::size_t>(count) * variables));
  return first;
}

/// Of the first pairs the half that the formulas explain best, with the symbols under which they do.
Pairs fitted_pairs(const Pairs& all, const std::vector<DecidedFormula>& decided, std::span<const float> sigma) {
  const std::size_t variables = all.symbols.size() / static_cast<std::size_t>(all.count);
  const Pairs pairs = first_pairs(all, std::min(all.count, kFittedPairs), variables);
  const auto count = static_cast<std::size_t>(pairs.count);
  std::vector<programs::Expression> formulas;
  for (const DecidedFormula& formula : decided) formulas.push_back(formula.expression);
  const std::vector<double> start(pairs.symbols.begin(), pairs.symbols.end());
  const search::SymbolFit fit = search::fit_symbols(formulas, {count, pairs.y, sigma}, start);
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::size_t b) { return fit.objective[b]; });
  order.resize(static_cast<std::size_t>(fitted_count(all.count)));
  Pairs fitted{static_cast<int>(order.size()), {}, {}, std::vector<double>(order.size() * variables)};
  for (std::size_t t = 0; t < sigma.size(); ++t) {
    for (const std::size_t b : order) fitted.y.push_back(pairs.y[t * count + b]);
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = 0; j < variables; ++j) {
      const double s = fit.symbols[order[i] * variables + j];
      fitted.symbols.push_back(static_cast<float>(s));
      fitted.columns[j * order.size() + i] = s;
    }
  }
  return fitted;
}

bool same_formulas(const std::vector<DecidedFormula>& a, const std::vector<DecidedFormula>& b) {
  return std::ranges::equal(a, b, {}, &DecidedFormula::expression, &DecidedFormula::expression);
}

}  // namespace

std::vector<DecidedFormula> decide_formulas(Model& model, const PairSource& source, const FormulaSet& formulas,
                                            const DecisionOptions& options) {
  constexpr int kTasksPerSymbol = 8;  // with fewer, symbols can be bent to explain wrong formulas
  constexpr int kRounds = 5;
  const Pairs pairs = draw_pairs(model, source, options);
  Decider decider(formulas, source, options, model.store().device());
  std::vector<DecidedFormula> decided = decider.decide_all(pairs);
  if (source.tasks() < kTasksPerSymbol * source.symbols()) return decided;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<DecidedFormula> again = decider.decide_all(fitted_pairs(pairs, decided, source.sigma()));
    const bool settled = same_formulas(again, decided);
    decided = std::move(again);
    if (settled) break;
  }
  return decided;
}

}  // namespace roap
