#include "engine/graph.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/autodiff.h"
#include "engine/executor.h"
#include "engine/schedule.h"
#include "kernels/common/philox.h"
#include "kernels/linear/linear_op.h"

namespace roap {
namespace {

std::string shape_error(auto&& build) {
  try {
    build();
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Graph, BuildersNameTheShapeThatDoesNotFit) {
  ParameterStore store;
  Graph graph(store);
  const TensorId x = graph.input("x", f32({4, 64}));
  const TensorId w = graph.input("w", f32({8, 3}));
  EXPECT_EQ(shape_error([&] {
              graph.apply("y", std::make_shared<LinearOp>(), {x, w, {}});
            }),
            "[linear] w in features: expected 64, got 3");
}

TEST(Graph, TwoGraphsShareAWeightButNotWithAnotherShape) {
  ParameterStore store;
  Graph first(store);
  Graph second(store);
  linear(first, "layer", first.input("x", f32({1, 5})), 3);
  linear(second, "layer", second.input("x", f32({9, 5})), 3);
  EXPECT_EQ(store.weights().size(), 2u);
  EXPECT_EQ(shape_error([&] {
              linear(second, "layer", second.input("z", f32({9, 7})), 3);
            }),
            "weight layer.weight: declared as [3, 5], used as [3, 7]");
}

TEST(Graph, AGradientOfTwoConsumersIsTheirSum) {
  ParameterStore store;
  Graph graph(store);
  const TensorId x = graph.input("x", f32({1, 1}), true);
  const TensorId a = linear(graph, "a", x, 1, {.bias = false});
  const TensorId b = linear(graph, "b", x, 1, {.bias = false});
  const TensorId dy = graph.input("dy", f32({1, 1}));
  const auto gradients = append_backward(graph, {{a, dy}, {b, dy}});
  const TensorId dx = graph.keep(gradients.at(x.index));
  store.initialize(0);
  store.write(store.slot("a.weight"), std::vector<float>{3});
  store.write(store.slot("b.weight"), std::vector<float>{4});
  Executor executor(graph);
  executor.write(x, std::vector<float>{1});
  executor.write(dy, std::vector<float>{1});
  executor.run();
  EXPECT_EQ(executor.read(dx), std::vector<float>{7});
}

TEST(ParameterStore, InitialValuesDependOnSeedAndNameOnly) {
  const auto values = [](bool with_other, std::uint64_t seed) {
    ParameterStore store;
    if (with_other) store.declare("another", {100}, Initializer::normal(1));
    store.declare("weight", {50}, Initializer::normal(2));
    store.initialize(seed);
    return store.read(store.slot("weight"));
  };
  EXPECT_EQ(values(false, 5), values(true, 5));
  EXPECT_NE(values(false, 5), values(false, 6));
}

TEST(ParameterStore, GradientsAndMomentsShareTheLayoutOfTheWeights) {
  ParameterStore store;
  store.declare("grounder.a", {3}, Initializer::constant(1));
  store.declare("synthesizer.b", {5}, Initializer::constant(2));
  store.initialize(0);
  for (const Arena arena : {Arena::gradients, Arena::moment1, Arena::moment2}) {
    EXPECT_EQ(store.slot("synthesizer.b", arena).offset, store.slot("synthesizer.b").offset);
    EXPECT_EQ(store.read(store.slot("synthesizer.b", arena)), std::vector<float>(5, 0.0f));
  }
  EXPECT_EQ(store.first_offset_after("grounder."), store.slot("synthesizer.b").offset);
  EXPECT_EQ(store.parameter_count(), 8);
}

TEST(ParameterStore, NormalValuesHaveTheirDeviation) {
  ParameterStore store;
  store.declare("w", {20000}, Initializer::normal(0.5));
  store.initialize(1);
  double sum = 0;
  double squares = 0;
  for (const float x : store.read(store.slot("w"))) {
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 20000, 0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / 20000), 0.5, 0.02);
}

/// A kernel of 3 x 3 taps, of which the lower right 2 x 2 are live, and another weight.
struct ConvolutionStore {
  ParameterStore store;
  explicit ConvolutionStore(StoredTaps taps) : store(DeviceKind::cpu, taps) {
    const TapWindow live{1, 1, 2, 2}, all{0, 0, 3, 3};
    store.declare("conv.weight", {2, 5, 3, 3}, Initializer::normal(1), taps == StoredTaps::live ? live : all);
    store.declare("bias", {3}, Initializer::normal(1));
    store.initialize(7);
  }
  [[nodiscard]] std::vector<float> read(Arena arena) const { return store.read(store.slot("conv.weight", arena)); }
};

TEST(ParameterStore, DeadTapsAreInFilesButNotInTheArenas) {
  ConvolutionStore live(StoredTaps::live), all(StoredTaps::all);
  EXPECT_EQ(live.store.weight_count(), 48 + 16);  // 2 2 2 5 = 40 and 3, each rounded up to 16
  EXPECT_EQ(all.store.weight_count(), 96 + 16);
  EXPECT_EQ(live.store.parameter_count(), 93);
  EXPECT_EQ(live.read(Arena::weights), all.read(Arena::weights));
  std::vector<float> values(90);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  for (const Arena arena : {Arena::weights, Arena::moment1}) {
    live.store.write(live.store.slot("conv.weight", arena), values);
  }
  EXPECT_EQ(live.read(Arena::weights), values);
  const std::vector<float> moment = live.read(Arena::moment1);
  for (std::size_t i = 0; i < 90; ++i) EXPECT_EQ(moment[i], i / 3 % 3 > 0 && i % 3 > 0 ? values[i] : 0) << i;
}

// In memory an output channel's taps follow each other, each with its input channels side by side.
TEST(ParameterStore, StoredTapsLieInRowsOfInputChannels) {
  ConvolutionStore live(StoredTaps::live);
  const Slot slot = live.store.slot("conv.weight");
  EXPECT_EQ(slot.stored_shape(), (Shape{2, 2, 2, 5}));
  const std::vector<float> declared = live.store.read(slot);
  const auto* memory = static_cast<const float*>(live.store.data(slot));
  EXPECT_EQ(memory[0], declared[4]);                      // output 0, input 0, tap (1, 1)
  EXPECT_EQ(memory[1], declared[9 + 4]);                  // its input 1
  EXPECT_EQ(memory[5], declared[5]);                      // tap (1, 2)
  EXPECT_EQ(memory[20 + 15 + 3], declared[45 + 27 + 8]);  // output 1, input 3, tap (2, 2)
}

TEST(ParameterStore, ASnapshotFitsWhicheverTapsAreStored) {
  ConvolutionStore live(StoredTaps::live), all(StoredTaps::all);
  live.store.restart(7, 1);
  EXPECT_NE(live.read(Arena::weights), all.read(Arena::weights));
  const ParameterSnapshot snapshot = live.store.snapshot();
  EXPECT_EQ(snapshot.weights.size(), 96U + 16U);
  all.store.restore(snapshot);
  EXPECT_EQ(live.read(Arena::weights), all.read(Arena::weights));
  EXPECT_EQ(live.store.read(live.store.slot("bias")), all.store.read(all.store.slot("bias")));
  ParameterSnapshot other = snapshot;
  other.weights.pop_back();
  EXPECT_NE(shape_error([&] { live.store.restore(other); }), "no error");
}

TEST(ParameterStore, MapsOfTwoSizesCannotShareAConvolution) {
  ParameterStore store;
  store.declare("w", {1, 1, 3, 3}, Initializer::constant(0), {1, 1, 1, 1});
  EXPECT_EQ(shape_error([&] {
              store.declare("w", {1, 1, 3, 3}, Initializer::constant(0), {0, 0, 3, 3});
            }),
            "weight w: used on maps of two sizes, where different taps meet the image");
}

TEST(Schedule, ValuesAtTheirMoments) {
  EXPECT_EQ(step_schedule(1, 3, 0.75, 0.7499), 1);
  EXPECT_EQ(step_schedule(1, 3, 0.75, 0.75), 3);
  EXPECT_NEAR(geometric_schedule(0.5, 8, 0.5), 2, 1e-12);
  EXPECT_NEAR(cosine_decay(0.1, 0), 1, 1e-12);
  EXPECT_NEAR(cosine_decay(0.1, 1), 0.1, 1e-12);
  EXPECT_EQ(linear_decay(0.5, 0), 1);
  EXPECT_EQ(linear_decay(0.5, 0.25), 0.5);
  EXPECT_EQ(linear_decay(0.5, 0.75), 0);
  EXPECT_EQ(warmup(0, 10), 0.1);
  EXPECT_EQ(warmup(9, 10), 1);
  EXPECT_EQ(warmup(3, 0), 1);
}

}  // namespace
}  // namespace roap
