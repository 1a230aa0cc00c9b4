#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/autodiff.h"
#include "kernels/conv2d/conv2d_op.h"

namespace roap {
namespace {

/// Convolutions one after the other, with the backward pass of the sum of the last one's output.
struct Chain {
  ParameterStore store;
  Graph graph{store};

  Chain(DType dtype, const std::vector<std::int64_t>& channels) {
    TensorId x = graph.input("x", {dtype, {2, 4, 4, channels.front()}}, true);
    for (std::size_t i = 1; i < channels.size(); ++i) {
      x = conv2d(graph, "conv" + std::to_string(i), x, channels[i], 3, {1, 1});
    }
    append_backward(graph, {{x, graph.input("dy", graph.spec(x))}});
  }

  /// Weight gradients of one convolution, or those of several.
  [[nodiscard]] std::vector<const Node*> gradients(bool of_several) const {
    std::vector<const Node*> found;
    for (const Node& node : graph.nodes()) {
      const auto* op = dynamic_cast<const Conv2dBackwardWeightOp*>(node.op.get());
      if (op != nullptr && (op->members() > 1) == of_several) found.push_back(&node);
    }
    return found;
  }
};

TEST(Conv2dGroup, ConvolutionsOfTheSameSizesShareANode) {
  Chain chain(DType::bf16, {8, 8, 8, 16, 8, 8});  // three of 8 to 8, one of 8 to 16, one of 16 to 8
  const std::vector<const Node*> single = chain.gradients(false);
  ASSERT_EQ(single.size(), 5u);
  std::vector<TensorId> inputs, outputs;
  for (const int i : {0, 3, 4}) {  // conv5, conv2, conv1, as the backward pass comes to them
    inputs.insert(inputs.end(), single[i]->inputs.begin(), single[i]->inputs.end());
    outputs.push_back(single[i]->outputs[0]);
  }
  const std::size_t before = chain.graph.nodes().size();

  group_conv2d_weight_gradients(chain.graph);
  EXPECT_EQ(chain.graph.nodes().size(), before - 2);
  EXPECT_EQ(chain.gradients(false).size(), 2u);
  const std::vector<const Node*> groups = chain.gradients(true);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0]->inputs, inputs);
  EXPECT_EQ(groups[0]->outputs, outputs);
  EXPECT_EQ(groups[0]->name, "conv1.backward_weight_and_2_more");
  EXPECT_EQ(&chain.graph.nodes().back(), groups[0]) << "not where the last one of them was";
}

TEST(Conv2dGroup, HoldsAsManyAsAKernelTakes) {
  Chain chain(DType::bf16, std::vector<std::int64_t>(8, 8));  // seven
  group_conv2d_weight_gradients(chain.graph);
  const std::vector<const Node*> groups = chain.gradients(true);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0]->outputs.size(), static_cast<std::size_t>(kMostConv2dMembers));
  EXPECT_EQ(groups[1]->outputs.size(), 3u);
  EXPECT_TRUE(chain.gradients(false).empty());
}

TEST(Conv2dGroup, LeavesF32Alone) {
  Chain chain(DType::f32, {8, 8, 8});
  const std::string before = chain.graph.text();
  group_conv2d_weight_gradients(chain.graph);
  EXPECT_EQ(chain.graph.text(), before);
}

}  // namespace
}  // namespace roap
