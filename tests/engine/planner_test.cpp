#include "engine/planner.h"

#include <gtest/gtest.h>

#include "engine/add_in_place.h"
#include "engine/autodiff.h"
#include "engine/executor.h"
#include "kernels/linear/linear_op.h"

namespace roap {
namespace {

/// A chain of square linear layers: at any time few of its activations are alive.
struct Chain {
  ParameterStore store;
  Graph graph{store};
  TensorId x, y;

  Chain(int layers, std::int64_t rows, std::int64_t width) {
    x = graph.input("x", f32({rows, width}));
    y = x;
    for (int i = 0; i < layers; ++i) y = linear(graph, "layer" + std::to_string(i), y, width);
    graph.keep(y);
  }
};

bool alive_together(const MemoryPlan::Block& a, const MemoryPlan::Block& b) {
  return a.first_node <= b.last_node && b.first_node <= a.last_node;
}

bool overlap(const MemoryPlan::Block& a, const MemoryPlan::Block& b) {
  return a.bytes > 0 && b.bytes > 0 && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

TEST(Planner, BlocksAliveTogetherNeverOverlap) {
  Chain chain(7, 33, 17);
  append_backward(chain.graph, {{chain.y, chain.graph.input("dy", f32({33, 17}))}});
  const MemoryPlan plan =
      plan_memory(chain.graph, DeviceKind::cpu, std::vector<std::size_t>(chain.graph.nodes().size(), 100));
  std::vector<MemoryPlan::Block> blocks = plan.tensors;
  blocks.insert(blocks.end(), plan.workspaces.begin(), plan.workspaces.end());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_LE(blocks[i].offset + blocks[i].bytes, plan.arena_bytes);
    for (std::size_t k = 0; k < i; ++k) {
      EXPECT_FALSE(alive_together(blocks[i], blocks[k]) && overlap(blocks[i], blocks[k]))
          << blocks[i].name << " " << blocks[k].name;
    }
  }
}

TEST(Planner, AForwardChainNeedsThreeActivations) {
  Chain chain(9, 64, 64);
  const MemoryPlan plan = plan_memory(chain.graph, DeviceKind::cpu, std::vector<std::size_t>(9, 0));
  EXPECT_LE(plan.arena_bytes, 3u * 64 * 64 * 4);  // the input, which is kept, and two that alternate
  EXPECT_EQ(plan.unshared_bytes, 10u * 64 * 64 * 4);
}

TEST(Planner, TextNamesTheLargestBlockFirst) {
  Chain chain(2, 4, 4);
  std::vector<std::size_t> workspaces{0, 4096};
  const std::string text = plan_memory(chain.graph, DeviceKind::cpu, workspaces).text(1);
  EXPECT_NE(text.find("layer1 (workspace)"), std::string::npos) << text;
  EXPECT_NE(text.find("smaller blocks"), std::string::npos) << text;
}

TEST(Executor, SharingMemoryDoesNotChangeResults) {
  std::vector<float> results[2];
  for (const bool share : {false, true}) {
    Chain chain(5, 7, 13);
    const auto gradients = append_backward(chain.graph, {{chain.y, chain.graph.input("dy", f32({7, 13}))}});
    chain.store.initialize(3);
    Executor executor(chain.graph, {share, 0});
    executor.write(chain.x, std::vector<float>(7 * 13, 0.5f));
    executor.write(chain.graph.find("dy"), std::vector<float>(7 * 13, 1.0f));
    executor.run();
    for (const ParameterInfo& info : chain.store.weights()) {
      const std::vector<float> gradient = chain.store.read(chain.store.slot(info.name, Arena::gradients));
      results[share ? 1 : 0].insert(results[share ? 1 : 0].end(), gradient.begin(), gradient.end());
    }
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(Executor, RefusesValuesOfTheWrongSizeOrType) {
  Chain chain(1, 2, 3);
  chain.store.initialize(0);
  Executor executor(chain.graph);
  EXPECT_THROW(executor.write(chain.x, std::vector<float>(5)), ShapeError);
  EXPECT_THROW(executor.write(chain.x, std::vector<std::int32_t>(6)), ShapeError);
}

TEST(Executor, TensorsThatAreNotKeptCannotBeRead) {
  Chain chain(2, 2, 3);
  chain.store.initialize(0);
  const Executor executor(chain.graph);
  EXPECT_THROW(static_cast<void>(executor.read(chain.graph.find("layer0"))), ShapeError);
  EXPECT_NO_THROW(static_cast<void>(executor.read(chain.y)));
}

}  // namespace
}  // namespace roap
