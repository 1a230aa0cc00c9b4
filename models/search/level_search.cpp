#include "models/search/level_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/common/parallel.h"

namespace roap::search {
namespace {

using programs::Operator;

constexpr std::uint32_t kLeftGrain = 64;   // left arguments of a piece
constexpr std::int64_t kPiecesAtOnce = 8;  // their lists are in memory together

/// The sum of squared differences between op(a, b) and y, or something not below `bound` once that is certain. Not a
/// number counts as infinite.
template <class Value>
double squared_error(const double* a, const double* b, const double* y, std::size_t rows, double bound, Value&& value) {
  constexpr std::size_t kLanes = 8;
  double lanes[kLanes] = {};
  std::size_t i = 0;
  double sum = 0;
  for (; i + kLanes <= rows; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double difference = value(a[i + lane], b[i + lane]) - y[i + lane];
      lanes[lane] += difference * difference;
    }
    sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    if (!(sum < bound)) return std::numeric_limits<double>::infinity();
  }
  for (; i < rows; ++i) {
    const double difference = value(a[i], b[i]) - y[i];
    sum += difference * difference;
  }
  return std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
}

/// A few operators without a call for each value; the others through the table.
double operator_error(Operator op, const double* a, const double* b, const double* y, std::size_t rows, double bound) {
  switch (op) {
    case Operator::add:
      return squared_error(a, b, y, rows, bound, [](double l, double r) { return l + r; });
    case Operator::sub:
      return squared_error(a, b, y, rows, bound, [](double l, double r) { return l - r; });
    case Operator::mul:
      return squared_error(a, b, y, rows, bound, [](double l, double r) { return l * r; });
    case Operator::noop:
      return squared_error(a, b, y, rows, bound, [](double l, double) { return l; });
    default:
      return squared_error(a, b, y, rows, bound, programs::info(op).value);
  }
}

double candidates_of(const std::vector<Enumeration::Block>& blocks) {
  return std::accumulate(blocks.begin(), blocks.end(), 0.0,
                         [](double sum, const Enumeration::Block& block) { return sum + block.candidates(); });
}

}  // namespace

LevelSearch::LevelSearch(const Enumeration& formulas, std::span<const TaskRows> tasks, int max_operators,
                         SearchDevice* device)
    : formulas_(formulas), tasks_(tasks), max_operators_(max_operators), device_(device) {
  for (const TaskRows& task : tasks) {
    const std::size_t rows = rows_of(task);
    segments_.push_back({y_.size(), y_.size() + rows});
    for (std::size_t i = 0; i < rows; ++i) y_.push_back(task.y[i * task.rows / rows]);
  }
  values_.resize((device_ == nullptr ? formulas.size() : static_cast<std::size_t>(formulas.variables())) * y_.size());
  lists_.resize(static_cast<std::size_t>(max_operators + 1) * tasks.size());
  fill_symbols();
  if (device_ == nullptr) {
    fill_values();
  } else {
    device_->set_rows(formulas.device_rows(values_, y_));
  }
}

std::size_t LevelSearch::bytes_for(const TaskRows& task, std::size_t formulas, int max_operators) {
  const std::size_t lists = static_cast<std::size_t>(max_operators + 1) + kPiecesAtOnce;
  return (formulas + 1) * rows_of(task) * sizeof(double) +
         lists * (sizeof(BestList) + 2 * BestList::kLength * sizeof(TriedFormula));
}

void LevelSearch::run(const std::function<void(const SearchProgress&)>& progress) {
  if (device_ != nullptr) return run_on_device(progress);
  try_stored();
  if (max_operators_ > formulas_.max_operators()) try_next_level(progress);
}

void LevelSearch::run_on_device(const std::function<void(const SearchProgress&)>& progress) {
  for (int operators = 0; operators <= formulas_.max_operators(); ++operators) {
    device_->choose_kept(static_cast<std::uint32_t>(formulas_.level_begin(operators)),
                         static_cast<std::uint32_t>(formulas_.level_begin(operators + 1)));
    add_best(&lists_[static_cast<std::size_t>(operators) * tasks_.size()]);
  }
  candidates_ += static_cast<double>(formulas_.size());
  if (max_operators_ == formulas_.max_operators()) return;
  const std::vector<Enumeration::Block> blocks = formulas_.blocks(max_operators_);
  const double total = candidates_of(blocks);
  double done = 0;
  for (const Enumeration::Block& block : blocks) {
    for (const CandidateRange& range : formulas_.ranges(block)) {
      device_->choose_new(range);
      add_best(&lists_[static_cast<std::size_t>(max_operators_) * tasks_.size()]);
      candidates_ += static_cast<double>(range.distinct_count());
      done += block.candidates() * range.left_count / (block.left_end - block.left_begin);
      if (progress) progress({max_operators_, done / total, formulas_.size()});
    }
  }
}

/// Adds the device's choice to each task's list.
void LevelSearch::add_best(BestList* lists) {
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    for (const TriedFormula& formula : device_->best(segments_[t], lists[t].bound(), BestList::kLength)) {
      lists[t].add(formula);
    }
  }
}

void LevelSearch::fill_symbols() {
  const auto variables = static_cast<std::size_t>(formulas_.variables());
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const TaskRows& task = tasks_[t];
    const std::size_t rows = segments_[t].end - segments_[t].begin;
    for (std::size_t j = 0; j < variables; ++j) {
      for (std::size_t i = 0; i < rows; ++i) {
        row(j)[segments_[t].begin + i] = task.symbols[j * task.rows + i * task.rows / rows];
      }
    }
  }
}

void LevelSearch::fill_values() {
  for (std::size_t k = static_cast<std::size_t>(formulas_.variables()); k < formulas_.size(); ++k) {
    const auto value = programs::info(formulas_.op(k)).value;
    const double* a = row(formulas_.left(k));
    const double* b = row(formulas_.right(k));
    std::transform(a, a + y_.size(), b, row(k), value);
  }
}

/// Tries op(left, right) on every task.
void LevelSearch::try_formula(Operator op, std::uint32_t left, std::uint32_t right, BestList* lists,
                              bool stored) const {
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const auto [begin, end] = segments_[t];
    const double error =
        operator_error(op, row(left) + begin, row(right) + begin, y_.data() + begin, end - begin, lists[t].bound());
    if (!(error < lists[t].bound())) continue;
    const std::optional<Key> key = op == Operator::noop ? Key{left, 0} : formulas_.key(op, left, right);
    // What a smaller formula says already is no new formula.
    if (key && (stored || !formulas_.contains(*key))) lists[t].add({error, op, left, right, *key});
  }
}

void LevelSearch::try_stored() {
  for (std::size_t k = 0; k < formulas_.size(); ++k) {
    try_formula(formulas_.op(k), formulas_.left(k), formulas_.right(k),
                &lists_[static_cast<std::size_t>(formulas_.operator_count(k)) * tasks_.size()], true);
  }
  candidates_ += static_cast<double>(formulas_.size());
}

void LevelSearch::try_next_level(const std::function<void(const SearchProgress&)>& progress) {
  const int operators = formulas_.max_operators() + 1;
  BestList* lists = &lists_[static_cast<std::size_t>(operators) * tasks_.size()];
  const std::vector<Enumeration::Block> blocks = formulas_.blocks(operators);
  const double total = candidates_of(blocks);
  double done = 0;
  for (const Enumeration::Block& block : blocks) {
    const std::int64_t pieces = pieces_of(block.left_end - block.left_begin, kLeftGrain);
    for (std::int64_t first = 0; first < pieces; first += kPiecesAtOnce) {
      const std::int64_t count = std::min(kPiecesAtOnce, pieces - first);
      try_pieces(block, first, count, lists);
      done += block.candidates() * static_cast<double>(count) / static_cast<double>(pieces);
      if (progress) progress({operators, done / total, formulas_.size()});
    }
  }
}

/// Pieces [first, first + count) of a block, each into lists of its own that start from what is known, then joined in
/// order.
void LevelSearch::try_pieces(const Enumeration::Block& block, std::int64_t first, std::int64_t count, BestList* lists) {
  std::vector<std::vector<BestList>> own(static_cast<std::size_t>(count));
  std::vector<double> tried(static_cast<std::size_t>(count), 0.0);
  parallel_for(count, [&](std::int64_t i) {
    auto& mine = own[static_cast<std::size_t>(i)];
    mine.assign(lists, lists + tasks_.size());
    const auto begin = block.left_begin + static_cast<std::uint32_t>(first + i) * kLeftGrain;
    const std::uint32_t end = std::min(begin + kLeftGrain, block.left_end);
    formulas_.for_each_candidate(block, begin, end, [&](Operator op, std::uint32_t left, std::uint32_t right) {
      try_formula(op, left, right, mine.data(), false);
      ++tried[static_cast<std::size_t>(i)];
      return true;
    });
  });
  for (const auto& mine : own) {
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      for (const TriedFormula& formula : mine[t].formulas()) lists[t].add(formula);
    }
  }
  candidates_ = std::accumulate(tried.begin(), tried.end(), candidates_);
}

}  // namespace roap::search
