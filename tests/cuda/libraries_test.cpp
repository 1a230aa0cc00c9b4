#include <algorithm>
#include <string>

#include "kernels/common/error.h"
#include "tests/cuda/cuda_test.h"
#include "tests/ops/case_parameters.h"
#include "tests/ops/parity.h"

// Operators that NVIDIA's libraries can compute instead of our kernels (device.conv, device.linear).

namespace roap {
namespace {

class CudaLibraries : public testing::Test {
 protected:
  void SetUp() override { set_up_cuda(); }
  void TearDown() override { use_cuda(0); }

  /// Compares the f32 cases of an operator with the reference; skips where the build lacks the library.
  static void expect_parity(const std::string& type, const CudaOptions& options) {
    try {
      use_cuda(0, options);
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("=own, or build with the library installed"), std::string::npos);
      GTEST_SKIP() << error.what();
    }
    const auto small_f32 = [](const OpCase& c) {
      const bool bf16 = std::any_of(c.inputs.begin(), c.inputs.end(),
                                    [](const CaseInput& input) { return input.spec.dtype == DType::bf16; });
      return !c.performance && !bf16;
    };
    int compared = 0;
    for (const CaseParameter& parameter : case_parameters(small_f32)) {
      if (!parameter.name.starts_with(type + "_")) continue;
      SCOPED_TRACE(parameter.name);
      compare_with_reference(*parameter.op_case, DeviceKind::cuda, {2, true, 0});
      ++compared;
    }
    EXPECT_GT(compared, 0);
  }
};

TEST_F(CudaLibraries, CudnnMatchesReference) { expect_parity("conv2d", {.cudnn = true}); }
TEST_F(CudaLibraries, CublasLtMatchesReference) { expect_parity("linear", {.cublaslt = true}); }

}  // namespace
}  // namespace roap
