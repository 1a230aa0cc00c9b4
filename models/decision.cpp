#include "models/decision.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/common/parallel.h"
#include "kernels/formula_posterior/formula_posterior_op.h"
#include "models/search/selection.h"

namespace roap {

namespace {

struct Pairs {
  int count = 0;
  std::vector<float> y;           ///< [T, count]
  std::vector<float> symbols;     ///< [count, V]
  std::vector<double> columns{};  ///< [V, count]
};

/// Every image once, however many pairs it is in.
std::vector<float> ground_each_once(Model& model, const ImageSet& images, const std::vector<std::int32_t>& index) {
  std::vector<std::int32_t> distinct = index;
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  const std::vector<float> symbols = model.ground(images.pixels, images.count, distinct);
  std::vector<float> result;
  result.reserve(index.size());
  for (const std::int32_t image : index) {
    result.push_back(symbols[static_cast<std::size_t>(std::ranges::lower_bound(distinct, image) - distinct.begin())]);
  }
  return result;
}

Pairs draw_pairs(Model& model, const PairSource& source, const DecisionOptions& options) {
  Pairs pairs{options.pairs, std::vector<float>(static_cast<std::size_t>(source.tasks()) * options.pairs), {}};
  const auto variables = static_cast<std::size_t>(source.symbols());
  const auto count = static_cast<std::size_t>(pairs.count);
  std::vector<std::int32_t> images(count * variables);
  source.draw(random_key(options.seed, RandomStream::decision_pairs, 0), options.pairs, images, pairs.y);
  pairs.symbols = ground_each_once(model, source.images(), images);
  pairs.columns.resize(count * variables);
  for (std::size_t b = 0; b < count; ++b) {
    for (std::size_t j = 0; j < variables; ++j) pairs.columns[j * count + b] = pairs.symbols[b * variables + j];
  }
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

}  // namespace

std::vector<DecidedFormula> decide_formulas(Model& model, const PairSource& source, const FormulaSet& formulas,
                                            const DecisionOptions& options) {
  constexpr std::size_t kScreenedErrors = std::size_t{1} << 24;  // tasks x formulas at a time
  const Pairs pairs = draw_pairs(model, source, options);
  const int tasks = source.tasks();
  const int group = static_cast<int>(
      std::clamp<std::size_t>(kScreenedErrors / formulas.formulas().size(), 1, static_cast<std::size_t>(tasks)));
  Screening screening(formulas, group, std::min(options.screening, options.pairs), model.store().device());
  std::vector<std::optional<DecidedFormula>> decided(static_cast<std::size_t>(tasks));
  for (int begin = 0; begin < tasks; begin += group) {
    const int end = std::min(begin + group, tasks);
    const auto lists = screening.best(pairs, source.sigma(), begin, end, static_cast<std::size_t>(options.candidates));
    parallel_for(end - begin, [&](std::int64_t i) {
      const std::size_t t = static_cast<std::size_t>(begin + i);
      const auto count = static_cast<std::size_t>(pairs.count);
      decided[t] = decide(formulas, lists[static_cast<std::size_t>(i)], pairs,
                          std::span(pairs.y).subspan(t * count, count), source.sigma()[t]);
    });
  }
  std::vector<DecidedFormula> result;
  for (auto& formula : decided) result.push_back(*std::move(formula));
  return result;
}

}  // namespace roap
