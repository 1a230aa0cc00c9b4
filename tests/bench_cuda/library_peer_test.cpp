#include <algorithm>

#include "bench/ops.h"
#include "engine/cuda_library.h"
#include "kernels/common/error.h"
#include "kernels/linear/linear_op.h"
#include "tests/cuda/cuda_test.h"
#include "tests/ops/run_case.h"

// NVIDIA's libraries beside our kernels in roap-bench ops, with stand-ins for them.

namespace roap::bench {
namespace {

/// What nodes of type linear ran on: ours, then the library's.
std::vector<const void*> inputs_of_ours, inputs_of_library;
CudaImplementation ours;

void run_ours(const Op& op, const RunContext& c) {
  inputs_of_ours.push_back(c.in<void>(0));
  ours.run(op, c);
}

/// A library that needs scratch memory, and rounds nothing to bf16.
class RightNode : public LibraryNode {
 public:
  [[nodiscard]] std::size_t workspace_bytes() const override { return 64; }
  void run(const RunContext& c, std::span<void* const> outputs, std::byte* workspace) override {
    inputs_of_library.push_back(c.in<void>(0));
    EXPECT_NE(outputs[0], c.out<void>(0));
    device().fill(workspace, std::byte{0xff}, workspace_bytes());
    cuda::linear_forward(linear_dims(c.in_shape(0), c.in_shape(1)), ProductMath::f32, c.in<float>(0), c.in<float>(1),
                         c.in<float>(2), static_cast<float*>(outputs[0]), c.stream());
  }

 protected:
  static Backend& device() { return backend_of(DeviceKind::cuda); }
};

/// One of its results is wrong.
class WrongNode : public RightNode {
 public:
  void run(const RunContext& c, std::span<void* const> outputs, std::byte* workspace) override {
    RightNode::run(c, outputs, workspace);
    const float wrong = 1000;
    device().upload(static_cast<float*>(outputs[0]) + 1, &wrong, sizeof wrong);
  }
};

template <class Node>
std::unique_ptr<LibraryNode> prepare(const Op& /*op*/, const RunContext& /*node*/) {
  return std::make_unique<Node>();
}

/// Has no algorithm for what is asked.
class HelplessNode : public RightNode {
 public:
  void run(const RunContext& /*node*/, std::span<void* const> /*outputs*/, std::byte* /*workspace*/) override {
    throw DeviceError("[stand-in] has no algorithm");
  }
};

OpCase small_case(ProductMath math) {
  OpCase c;
  c.name = "planted";
  c.op = std::make_shared<LinearOp>(math);
  c.inputs = {CaseInput::normal("x", {5, 7}), CaseInput::normal("w", {3, 7}), CaseInput::absent()};
  c.cuda_bf16_roundings = math == ProductMath::bf16 ? 2 : 0;
  c.performance = true;
  return c;
}

class LibraryPeers : public testing::Test {
 protected:
  void SetUp() override {
    set_up_cuda();
    all_operator_tests();  // registers the references
  }

  /// The report of a case with a library of that implementation.
  template <class Node>
  static Report report_with(ProductMath math) {
    Options options;
    options.device = "cuda";
    options.effort = {3, 0, 0.1, false};
    Session session("ops", options);
    ours = *find_cuda("linear");
    register_cuda("linear", {run_ours, ours.prepare});
    register_cuda_library("linear", {"stand-in", prepare<Node>});
    note_missing_libraries(session);
    run_op_case(session, {}, "linear", small_case(math), DeviceKind::cuda);
    return session.report();
  }
  static std::vector<Measurement> of_library(const Report& report) {
    std::vector<Measurement> found;
    std::copy_if(report.measurements.begin(), report.measurements.end(), std::back_inserter(found),
                 [](const Measurement& m) { return m.implementation == "stand-in"; });
    return found;
  }
};

TEST_F(LibraryPeers, RightOneIsTimedOnTheSameBuffers) {
  inputs_of_ours.clear();
  inputs_of_library.clear();
  const Report report = report_with<RightNode>(ProductMath::f32);
  EXPECT_TRUE(report.wrong.empty()) << report.wrong.front();
  const std::vector<Measurement> library = of_library(report);
  ASSERT_EQ(library.size(), 1u);  // the backward nodes have none
  EXPECT_EQ(library[0].name, "linear/planted linear");
  EXPECT_EQ(library[0].seconds.size(), 3u);
  EXPECT_GE(library[0].error, 0);
  EXPECT_LT(library[0].error, 1e-5);
  ASSERT_FALSE(inputs_of_library.empty());
  for (const void* input : inputs_of_library) EXPECT_EQ(input, inputs_of_ours.front());
}

TEST_F(LibraryPeers, WrongOneIsRefused) {
  const Report report = report_with<WrongNode>(ProductMath::f32);
  ASSERT_EQ(report.wrong.size(), 1u);
  EXPECT_NE(report.wrong[0].find("linear/planted linear by stand-in: differs from ours"), std::string::npos);
  EXPECT_TRUE(of_library(report).empty());
}

// Ours rounds the operands to bf16, and so may a library's result be rounded.
TEST_F(LibraryPeers, MayDifferByRoundingToBf16WhereOursRounds) {
  const Report report = report_with<RightNode>(ProductMath::bf16);
  EXPECT_TRUE(report.wrong.empty()) << report.wrong.front();
  ASSERT_EQ(of_library(report).size(), 1u);
  EXPECT_GT(of_library(report)[0].error, 1e-5);
}

TEST_F(LibraryPeers, OneThatCannotDoItIsNamedAndTheRestGoesOn) {
  const Report report = report_with<HelplessNode>(ProductMath::f32);
  ASSERT_EQ(report.left_out.size(), 2u);
  EXPECT_EQ(report.left_out[1], "linear/planted linear beside others: [stand-in] has no algorithm");
  EXPECT_EQ(report.measurements.size(), 3u);  // ours, forward and backward
  EXPECT_TRUE(report.wrong.empty());
}

TEST_F(LibraryPeers, MissingOneIsNamedWithWhatToDo) {
  const Report report = report_with<RightNode>(ProductMath::f32);
  ASSERT_EQ(report.left_out.size(), 1u);  // linear has its stand-in
  EXPECT_EQ(report.left_out[0],
            "cuDNN beside conv2d on cuda: this program was built without it (cmake -D ROAP_CUDNN=ON)");
}

}  // namespace
}  // namespace roap::bench
