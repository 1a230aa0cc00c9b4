#include "io/repro/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/common/error.h"

namespace roap::io {

namespace {

constexpr double kSharePoints = 0.10;  // as near as this a share is reproduced
constexpr double kLossFactor = 2.0;    // as near as this a loss is reproduced
constexpr double kLossTie = 1.1;       // losses within this factor are not told apart

/// Is the row worse than the first one? Nothing where the two are too near to tell.
std::optional<bool> is_worse(const CellNumbers& cell, double row, double roap, bool ours) {
  if (cell.is_share) {
    const bool overlap = ours && cell.interval && cell.roap_interval &&
                         cell.interval->low <= cell.roap_interval->high &&
                         cell.roap_interval->low <= cell.interval->high;
    if (overlap || row == roap) return std::nullopt;
    return row < roap;
  }
  if (std::max(row, roap) <= kLossTie * std::min(row, roap)) return std::nullopt;
  return row > roap;
}

bool is_near(const CellNumbers& cell) {
  if (cell.is_share) return std::abs(*cell.ours - *cell.paper) <= kSharePoints;
  return *cell.ours <= kLossFactor * *cell.paper && *cell.paper <= kLossFactor * *cell.ours;
}

Judgement judge_ordering(const CellNumbers& cell) {
  if (!cell.ours_roap || !cell.paper_roap) return {Verdict::not_comparable, "the first row was not measured"};
  const std::optional<bool> published = is_worse(cell, *cell.paper, *cell.paper_roap, false);
  if (!published) return {Verdict::not_comparable, "the paper's two values are equal: it has no ordering here"};
  const std::optional<bool> measured = is_worse(cell, *cell.ours, *cell.ours_roap, true);
  if (!measured) {
    return {Verdict::undecided, cell.is_share ? "the intervals overlap" : "the two losses are within 10 %"};
  }
  const char* words = *measured ? "worse than the first row" : "better than the first row";
  return {*measured == *published ? Verdict::ordering_holds : Verdict::not_reproduced, words};
}

}  // namespace

Interval wilson_interval(int successes, int trials) {
  if (trials < 1 || successes < 0 || successes > trials)
    throw UsageError("a rate needs trials, and no more successes than those");
  constexpr double kZ = 1.959964;
  const double n = trials, p = successes / n, z2 = kZ * kZ;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

std::string verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::reproduced:
      return "reproduced";
    case Verdict::ordering_holds:
      return "ordering holds";
    case Verdict::undecided:
      return "undecided";
    case Verdict::not_reproduced:
      return "not reproduced";
    case Verdict::not_comparable:
      return "not comparable";
    case Verdict::ours:
      return "ours";
    case Verdict::not_measured:
      break;
  }
  return "not measured";
}

Judgement judge(const CellNumbers& cell) {
  if (!cell.ours) return {Verdict::not_measured, "no run has this number"};
  if (!cell.paper) return {Verdict::ours, "not in the paper"};
  if (!std::isfinite(*cell.ours)) return {Verdict::not_reproduced, "not finite"};
  if (cell.paper_scale && is_near(cell)) return {Verdict::reproduced, "near the paper's value"};
  if (cell.is_roap) {
    if (!cell.paper_scale)
      return {Verdict::not_comparable,
              "other data, sizes and run length than the paper's; the rows below are compared with this one"};
    return {Verdict::not_reproduced, "not near the paper's value"};
  }
  return judge_ordering(cell);
}

std::string verdict_rule() {
  return fmt::format(
      "A value is reproduced when the setting is the published one and ours is within {:.0f} percentage points of the "
      "paper's share, or within a "
      "factor {:.0f} of the paper's loss. Otherwise a row is compared with the first row of the same column: the "
      "ordering holds when ours is on the "
      "same side of it (better or worse) as the paper's, and is not reproduced when it is on the other side. It is "
      "undecided when the 95 % Wilson "
      "intervals over tasks overlap (shares) or the losses are within {:.0f} %. At another scale than the paper's the "
      "ROAP row itself is not "
      "comparable. Every number is that of the run with the least training loss of its row.",
      100 * kSharePoints, kLossFactor, 100 * (kLossTie - 1));
}

}  // namespace roap::io
