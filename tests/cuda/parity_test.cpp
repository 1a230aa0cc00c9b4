#include "tests/ops/parity.h"
#include "tests/cuda/cuda_test.h"
#include "tests/ops/case_parameters.h"

namespace roap {
namespace {

class CudaParity : public testing::TestWithParam<CaseParameter> {
 protected:
  void SetUp() override { set_up_cuda(); }
};

TEST_P(CudaParity, MatchesReference) {
  set_schedule(1);
  compare_with_reference(*GetParam().op_case, DeviceKind::cuda, {1, false, 64});
}

TEST_P(CudaParity, MatchesReferenceWithSharedMemoryAndTwoConsumers) {
  set_schedule(2);
  compare_with_reference(*GetParam().op_case, DeviceKind::cuda, {2, true, 0});
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaParity,
                         testing::ValuesIn(case_parameters([](const OpCase& c) { return !c.performance; })), case_name);

}  // namespace
}  // namespace roap
