#include "bench/steps.h"

#include "tests/cuda/cuda_test.h"

namespace roap::bench {
namespace {

TEST(CudaSteps, WhatDoesNotFitIntoTheCardIsLeftOut) {
  set_up_cuda();
  Options options;
  options.device = "cuda";
  Session session("scaling", options);
  const std::vector<std::string> settings{"train.pairs_per_step=1000000"};
  const io::Config config = io::load_config("digits", settings);
  EXPECT_FALSE(time_steps(session, "pairs = 1000000", config, DeviceKind::cuda, 0));
  EXPECT_TRUE(session.report().measurements.empty());
  ASSERT_EQ(session.report().left_out.size(), 1u);
  EXPECT_NE(session.report().left_out[0].find("pairs = 1000000: SIMT emulator"), std::string::npos);
  EXPECT_NE(session.report().left_out[0].find("MiB are free"), std::string::npos) << session.report().left_out[0];
}

}  // namespace
}  // namespace roap::bench
