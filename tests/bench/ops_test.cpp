#include "bench/ops.h"

#include <gtest/gtest.h>

#include "kernels/linear/linear_op.h"
#include "tests/ops/run_case.h"

namespace roap::bench {
namespace {

/// linear with one wrong value.
class WrongLinearOp : public LinearOp {
 public:
  void run_cpu(const RunContext& context) const override {
    LinearOp::run_cpu(context);
    context.out<float>(0)[1] *= 1.001f;
  }
};

OpCase small_case(std::shared_ptr<const Op> op) {
  all_operator_tests();  // registers the references
  OpCase c;
  c.name = "planted";
  c.op = std::move(op);
  c.inputs = {CaseInput::normal("x", {5, 7}), CaseInput::normal("w", {3, 7}), CaseInput::absent()};
  c.performance = true;
  return c;
}

Options quick() {
  Options options;
  options.device = "cpu";
  options.effort = {3, 0, 0.1, false};
  return options;
}

TEST(BenchOps, RightOutputIsTimedForwardAndBackwardBesideItsPeer) {
  Session session("ops", quick());
  run_op_case(session, {}, "linear", small_case(std::make_shared<LinearOp>()), DeviceKind::cpu);
  EXPECT_TRUE(session.report().wrong.empty());
  const auto& all = session.report().measurements;
  ASSERT_EQ(all.size(), 6u);  // forward, dx, dw, each by ours and by oneDNN
  EXPECT_EQ(all[0].name, "linear/planted linear");
  EXPECT_EQ(all[1].implementation, "oneDNN");
  for (const Measurement& m : all) {
    EXPECT_EQ(m.seconds.size(), 3u);
    EXPECT_EQ(m.work.flop, 2 * 5 * 7 * 3);
    EXPECT_GT(m.floor, 0);
    EXPECT_GE(m.error, 0);
    EXPECT_LT(m.error, 1e-5);
  }
}

TEST(BenchOps, WrongOutputIsRefusedBeforeTiming) {
  Session session("ops", quick());
  run_op_case(session, {}, "linear", small_case(std::make_shared<WrongLinearOp>()), DeviceKind::cpu);
  ASSERT_EQ(session.report().wrong.size(), 1u);
  EXPECT_NE(session.report().wrong[0].find("linear/planted on cpu: op0"), std::string::npos)
      << session.report().wrong[0];
  EXPECT_TRUE(session.report().measurements.empty());
}

TEST(BenchOps, PeerThatDisagreesIsRefused) {
  OpsOptions options;
  options.check = false;  // so that ours is taken for right
  Session session("ops", quick());
  run_op_case(session, options, "linear", small_case(std::make_shared<WrongLinearOp>()), DeviceKind::cpu);
  ASSERT_EQ(session.report().wrong.size(), 1u);
  EXPECT_NE(session.report().wrong[0].find("by oneDNN: differs from ours"), std::string::npos);
  for (const Measurement& m : session.report().measurements) {
    EXPECT_TRUE(m.implementation == "roap" || m.name != "linear/planted linear");
  }
}

}  // namespace
}  // namespace roap::bench
