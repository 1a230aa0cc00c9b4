#include "engine/backend.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "engine/executor.h"
#include "engine/graph.h"
#include "kernels/common/error.h"
#include "kernels/concat_columns/concat_columns_op.h"
#include "kernels/image_batch/image_batch_op.h"
#include "kernels/linear/linear_op.h"
#include "kernels/reshape/reshape_op.h"
#include "tests/cuda/cuda_test.h"

// The device itself: copies, recorded runs, times, and what is said where something is missing.

namespace roap {
namespace {

class CudaBackendTest : public testing::Test {
 protected:
  void SetUp() override { set_up_cuda(); }
  static Backend& backend() { return backend_of(DeviceKind::cuda); }
};

std::vector<std::byte> pattern(std::size_t bytes, unsigned seed) {
  std::vector<std::byte> values(bytes);
  for (std::size_t i = 0; i < bytes; ++i) values[i] = static_cast<std::byte>((i * 31 + seed * 97 + i / 251) % 256);
  return values;
}

/// The text of the DeviceError that `action` throws.
template <class Action>
std::string device_error(const Action& action) {
  try {
    action();
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(CudaBackendTest, MemoryIsZeroFirst) {
  const DeviceBuffer memory(DeviceKind::cuda, 1000);
  std::vector<std::byte> read(1000, std::byte{1});
  backend().download(read.data(), memory.data(), read.size());
  EXPECT_EQ(read, std::vector<std::byte>(1000));
}

TEST_F(CudaBackendTest, HostMemoryMayBeUsedAgainAfterAnUpload) {
  constexpr std::size_t kBytes = 997, kUploads = 100;  // more than there are slots
  const DeviceBuffer memory(DeviceKind::cuda, kBytes * kUploads);
  std::vector<std::byte> host(kBytes), expected;
  for (unsigned i = 0; i < kUploads; ++i) {
    host = pattern(kBytes, i);
    expected.insert(expected.end(), host.begin(), host.end());
    backend().upload(memory.data() + i * kBytes, host.data(), kBytes);
    std::fill(host.begin(), host.end(), std::byte{0xEE});
  }
  std::vector<std::byte> read(expected.size());
  backend().download(read.data(), memory.data(), read.size());
  EXPECT_EQ(read, expected);
}

TEST_F(CudaBackendTest, UploadsOfEverySizeArriveWhole) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{65536}, std::size_t{65537}, std::size_t{1} << 20,
                                  (std::size_t{1} << 20) + 1, std::size_t{3000001}}) {
    const DeviceBuffer memory(DeviceKind::cuda, bytes);
    std::vector<std::byte> host = pattern(bytes, 5);
    const std::vector<std::byte> expected = host;
    backend().upload(memory.data(), host.data(), bytes);
    std::fill(host.begin(), host.end(), std::byte{0xEE});
    std::vector<std::byte> read(bytes);
    backend().download(read.data(), memory.data(), bytes);
    EXPECT_EQ(read, expected) << bytes << " bytes";
  }
}

TEST_F(CudaBackendTest, AReadbackHasTheValuesOfItsTime) {
  const DeviceBuffer memory(DeviceKind::cuda, 8);
  const std::unique_ptr<Readback> readback = backend().readback(16);
  for (const std::uint64_t value : {std::uint64_t{0x0123456789abcdef}, std::uint64_t{42}}) {
    backend().upload(memory.data(), &value, 8);
    readback->request(4, memory.data(), 8);
    backend().fill(memory.data(), std::byte{0}, 8);
    std::uint64_t read = 0;
    std::memcpy(&read, readback->wait() + 4, 8);
    EXPECT_EQ(read, value);
  }
}

TEST_F(CudaBackendTest, TimesNeverRunBackwards) {
  const DeviceBuffer memory(DeviceKind::cuda, 1 << 16);
  const std::unique_ptr<Timeline> timeline = backend().timeline(3);
  for (std::size_t i = 0; i < 3; ++i) {
    backend().fill(memory.data(), std::byte{0}, memory.size());
    timeline->mark(i);
  }
  EXPECT_GE(timeline->seconds(0, 1), 0);
  EXPECT_GE(timeline->seconds(1, 2), 0);
  EXPECT_GE(timeline->seconds(0, 2), timeline->seconds(0, 1));
}

/// Several operators, one of them with weights.
struct SmallGraph {
  ParameterStore store{DeviceKind::cuda};
  Graph graph{store};
  TensorId x = graph.input("x", f32({6, 5}));
  TensorId y;

  SmallGraph() {
    const TensorId hidden = linear(graph, "hidden", x, 7);
    const TensorId both = concat_columns(graph, "both", {hidden, x});
    y = graph.keep(reshape(graph, "y", linear(graph, "out", both, 3), {18}));
    store.initialize(1);
  }
  [[nodiscard]] static std::vector<float> input(int turn) {
    std::vector<float> values(30);
    std::iota(values.begin(), values.end(), static_cast<float>(turn) * 0.25f - 3);
    return values;
  }
};

TEST_F(CudaBackendTest, ReplayedRunsEqualPlainOnes) {
  SmallGraph small;
  Executor replayed(small.graph), plain(small.graph);
  std::vector<float> last;
  for (int turn = 0; turn < 5; ++turn) {  // the second run is recorded
    replayed.write(small.x, SmallGraph::input(turn));
    plain.write(small.x, SmallGraph::input(turn));
    replayed.run();
    plain.run(0, small.graph.nodes().size());
    const std::vector<float> y = replayed.read(small.y);
    EXPECT_EQ(y, plain.read(small.y)) << "run " << turn;
    EXPECT_NE(y, last) << "run " << turn;
    last = y;
  }
}

TEST_F(CudaBackendTest, ReplayedRunsSeeNewWeights) {
  SmallGraph small;
  Executor executor(small.graph);
  executor.write(small.x, SmallGraph::input(0));
  for (int turn = 0; turn < 3; ++turn) executor.run();
  const Slot bias = small.store.slot("out.bias");
  small.store.write(bias, std::vector<float>{1, 2, 3});
  executor.run();
  Executor fresh(small.graph);
  fresh.write(small.x, SmallGraph::input(0));
  fresh.run();
  EXPECT_EQ(executor.read(small.y), fresh.read(small.y));
}

TEST_F(CudaBackendTest, TimedRunsGiveTheSameResultsAndATimePerNode) {
  SmallGraph small;
  Executor executor(small.graph);
  executor.write(small.x, SmallGraph::input(2));
  for (int turn = 0; turn < 3; ++turn) executor.run();
  const std::vector<float> y = executor.read(small.y);
  executor.fill_arena(std::byte{0});
  executor.write(small.x, SmallGraph::input(2));
  executor.start_timing();
  executor.run();
  ASSERT_EQ(executor.node_seconds().size(), small.graph.nodes().size());
  for (const double seconds : executor.node_seconds()) EXPECT_GE(seconds, 0);
  EXPECT_EQ(executor.read(small.y), y);
}

TEST_F(CudaBackendTest, BoundMemoryIsCopiedAndMayBeBoundAgain) {
  ParameterStore store(DeviceKind::cuda);
  Graph graph(store);
  const TensorId images = graph.external("images", u8({2, 1, 2, 1}));
  const TensorId index = graph.external("index", i32({3}));
  const TensorId y = graph.keep(image_batch(graph, "y", images, index, TensorId{}, ImageBatchParams{}));
  store.allocate();
  Executor executor(graph);
  std::vector<std::uint8_t> pixels{10, 20, 30, 40};
  std::vector<std::int32_t> order{1, 0, 1};
  executor.bind(images, std::span<const std::uint8_t>(pixels));
  executor.bind(index, std::span<const std::int32_t>(order));
  std::fill(pixels.begin(), pixels.end(), std::uint8_t{0});
  for (int turn = 0; turn < 3; ++turn) {
    executor.run();
    EXPECT_EQ(executor.read(y), (std::vector<float>{30, 40, 10, 20, 30, 40})) << "run " << turn;
  }
  order = {0, 0, 1};
  executor.bind(index, std::span<const std::int32_t>(order));  // the recorded run reads the same copy
  executor.run();
  EXPECT_EQ(executor.read(y), (std::vector<float>{10, 20, 10, 20, 30, 40}));
}

TEST_F(CudaBackendTest, TooLittleMemoryNamesTheLargestBlock) {
  ParameterStore store(DeviceKind::cuda);
  Graph graph(store);
  const TensorId x = graph.input("x", f32({std::int64_t{1} << 22, 1 << 12}));  // 64 GiB
  graph.keep(concat_columns(graph, "twice", {x, x}));
  store.allocate();
  const std::string text = device_error([&] { Executor executor(graph); });
  EXPECT_NE(text.find("a step needs 196608 MiB"), std::string::npos) << text;
  EXPECT_NE(text.find("the largest block is twice with 131072 MiB"), std::string::npos) << text;
  EXPECT_NE(text.find("train.pairs_per_step"), std::string::npos) << text;
}

TEST_F(CudaBackendTest, AnAllocationThatFailsSaysWhatWasAskedFor) {
  const std::string text = device_error([] { backend().allocate(std::size_t{1} << 45); });
  EXPECT_NE(text.find("cannot allocate 33554432.0 MiB"), std::string::npos) << text;
  const DeviceBuffer next(DeviceKind::cuda, 64);  // and the device goes on
}

class HostOnlyOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "host_only"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override { return inputs; }
  void run_cpu(const RunContext& /*context*/) const override {}
};

TEST_F(CudaBackendTest, AnOperatorWithoutKernelsIsNamed) {
  ParameterStore store(DeviceKind::cuda);
  Graph graph(store);
  graph.keep(graph.apply("node", std::make_shared<HostOnlyOp>(), {graph.input("x", f32({4}))})[0]);
  store.allocate();
  EXPECT_EQ(device_error([&] { Executor executor(graph); }), "[host_only] has no cuda implementation");
}

}  // namespace
}  // namespace roap
