#pragma once

#include <optional>
#include <string>

namespace roap::io {

struct Interval {
  double low = 0, high = 0;
};

/// Wilson's 95 % interval of a rate. UsageError without trials.
Interval wilson_interval(int successes, int trials);

enum class Verdict { reproduced, ordering_holds, undecided, not_reproduced, not_comparable, not_measured, ours };

/// "reproduced", "ordering holds", ...
std::string verdict_text(Verdict verdict);

/// A cell's numbers: of the paper and ours, and those of the table's first row (ROAP) in the same column. For a share,
/// `interval` is Wilson's.
struct CellNumbers {
  std::optional<double> paper, ours;
  std::optional<double> paper_roap, ours_roap;
  std::optional<Interval> interval, roap_interval;
  bool is_share = false;     ///< more is better, compared in percentage points; else a loss: less is better, in ratios
  bool paper_scale = false;  ///< the published setting: numbers can be compared, not orderings only
  bool is_roap = false;      ///< the row that the others are compared with
};

struct Judgement {
  Verdict verdict = Verdict::not_measured;
  std::string reason;
};

/// By the rule that verdict_rule() states.
Judgement judge(const CellNumbers& cell);

/// The rule in words, for reports.
std::string verdict_rule();

}  // namespace roap::io
