#include <gtest/gtest.h>

#include <cmath>

#include "engine/device.h"
#include "tests/ops/case_parameters.h"
#include "tests/ops/parity.h"

namespace roap {
namespace {

class Parity : public testing::TestWithParam<CaseParameter> {};

TEST_P(Parity, CpuMatchesReference) { compare_with_reference(*GetParam().op_case, DeviceKind::cpu, {1, false, 64}); }

TEST_P(Parity, CpuMatchesReferenceWithSharedMemoryAndTwoConsumers) {
  compare_with_reference(*GetParam().op_case, DeviceKind::cpu, {2, true, 0});
}

INSTANTIATE_TEST_SUITE_P(Ops, Parity,
                         testing::ValuesIn(case_parameters([](const OpCase& c) { return !c.performance; })), case_name);

class Threads : public testing::TestWithParam<CaseParameter> {};

TEST_P(Threads, SameBitsForOneTwoAndThreeThreads) {
  std::vector<CaseRun::Tensor> one;
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    const std::vector<CaseRun::Tensor> now = run_on(*GetParam().op_case, DeviceKind::cpu, {});
    if (threads == 1) one = now;
    for (std::size_t i = 0; i < one.size(); ++i) {
      for (std::size_t k = 0; k < one[i].values.size(); ++k) {
        const bool both_nan = std::isnan(one[i].values[k]) && std::isnan(now[i].values[k]);
        ASSERT_TRUE(both_nan || one[i].values[k] == now[i].values[k])
            << one[i].name << "[" << k << "]: " << now[i].values[k] << " with " << threads << " threads, "
            << one[i].values[k] << " with 1";
      }
    }
  }
  set_threads(0);
}

INSTANTIATE_TEST_SUITE_P(Ops, Threads, testing::ValuesIn(case_parameters([](const OpCase&) { return true; })),
                         case_name);

}  // namespace
}  // namespace roap
