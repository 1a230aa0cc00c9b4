#include "tests/ops/parity.h"

#include <gtest/gtest.h>

#include "tests/ops/agreement.h"

namespace roap {

using Results = std::vector<CaseRun::Tensor>;

Results run_on(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options) {
  CaseRun run(op_case, device, options);
  run.run();
  // Where memory is shared a later block may lie over an earlier one's guard zone.
  if (!options.share_memory) {
    const std::vector<std::string> damaged = run.damaged_guards();
    EXPECT_TRUE(damaged.empty()) << "written behind its end: " << damaged[0];
  }
  return run.results();
}

void compare_with_reference(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options) {
  const Results f64 = run_on(op_case, DeviceKind::reference_f64, options);
  const Results f32 = run_on(op_case, DeviceKind::reference_f32, options);
  const Results got = run_on(op_case, device, options);
  const Agreement agreement = agreement_with_reference(op_case, device, options.copies, got, f32, f64);
  EXPECT_TRUE(agreement.problem.empty()) << agreement.problem;
}

}  // namespace roap
