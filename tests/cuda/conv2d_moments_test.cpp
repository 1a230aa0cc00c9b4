#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "engine/autodiff.h"
#include "engine/executor.h"
#include "models/grounder.h"
#include "tests/cuda/cuda_test.h"
#include "tests/cuda/device_numbers.h"

// Statistics of batch_norm that the convolution before it has found: where the graph asks for them, and that they
// change nothing.

namespace roap {
namespace {

/// Names of the convolutions that find moments. Every BatchNorm takes them where they are there.
std::set<std::string> convolutions_with_moments(const Graph& graph) {
  std::set<std::string> names;
  std::set<int> means;
  for (const Node& node : graph.nodes()) {
    if (node.op->type() == "conv2d" && static_cast<const Conv2dOp&>(*node.op).moments()) {
      names.insert(node.name);
      means.insert(node.outputs[1].index);
    }
    if (node.op->type() == "batch_norm_eval") means.erase(node.inputs[3].index);
    if (node.op->type() == "batch_norm") {
      EXPECT_TRUE(std::ranges::all_of(graph.nodes(), [&](const Node& conv) {
        return conv.outputs[0] != node.inputs[0] || conv.outputs.size() == 1;
      })) << node.name;
    }
  }
  EXPECT_TRUE(means.empty());
  return names;
}

std::set<std::string> convolutions_with_moments(const TensorSpec& images, bool train, double moments_from) {
  ParameterStore store;
  Graph graph(store);
  build_grounder(graph, {"resnet18", "imagenet", 64}, graph.input("images", images), train, moments_from);
  return convolutions_with_moments(graph);
}

TEST(Conv2dMoments, AreFoundWhereReadingTheMapAgainCostsMore) {
  const Shape images{3072, 32, 32, 3};
  const std::set<std::string> found = convolutions_with_moments(bf16(images), true, kConv2dMomentsFrom);
  EXPECT_EQ(found.size(), 15u);  // all but the five of layer 4
  EXPECT_TRUE(found.contains("grounder.conv1"));
  EXPECT_TRUE(found.contains("grounder.layer3.0.downsample.0"));
  EXPECT_FALSE(found.contains("grounder.layer4.1.conv2"));
  EXPECT_TRUE(convolutions_with_moments(bf16(images), true, kNoConv2dMoments).empty());
  EXPECT_TRUE(convolutions_with_moments(bf16(images), false, 0).empty()) << "evaluation";
  EXPECT_TRUE(convolutions_with_moments(f32(images), true, 0).empty()) << "f32";
}

/// A convolution with BatchNorm and ReLU, forward and backward.
struct Layer {
  ParameterStore store{DeviceKind::cuda};
  Graph graph{store};
  TensorId x, dy, y;
  std::vector<BatchNormUpdate> statistics;

  Layer(const Conv2dDims& d, double moments_from) {
    x = graph.input("x", bf16({d.n, d.h, d.w, d.ci}));
    const Conv2dOutputs conv = conv2d_with_moments(graph, "conv", x, d.co, d.kh, {d.stride, d.padding}, moments_from);
    y = graph.keep(batch_norm(graph, "bn", conv.y, {}, true, true, &statistics, conv.moments));
    dy = graph.input("dy", bf16(graph.shape(y)));
    graph.keep(statistics[0].mean);
    graph.keep(statistics[0].variance);
    append_backward(graph, {{y, dy}});
    store.initialize(1);
  }

  /// y, mean, variance, gradients of the weights.
  [[nodiscard]] std::vector<std::vector<double>> run() {
    Executor executor(graph);
    executor.write_f64(x, whole_numbers(graph.shape(x).count(), 1));
    executor.write_f64(dy, whole_numbers(graph.shape(dy).count(), 2));
    executor.run();
    std::vector<std::vector<double>> results;
    for (const TensorId tensor : {y, statistics[0].mean, statistics[0].variance}) {
      results.push_back(executor.read_f64(tensor));
    }
    for (const char* name : {"conv.weight", "bn.weight", "bn.bias"}) {
      results.push_back(store.read_f64(store.slot(name, Arena::gradients)));
    }
    return results;
  }
};

class Conv2dMomentsLayer : public testing::TestWithParam<Conv2dDims> {
 protected:
  void SetUp() override { set_up_cuda(); }
};

TEST_P(Conv2dMomentsLayer, IsTheSameWithAndWithoutThem) {
  Layer fused(GetParam(), 0), plain(GetParam(), kNoConv2dMoments);
  ASSERT_EQ(convolutions_with_moments(fused.graph), std::set<std::string>{"conv"});
  ASSERT_TRUE(convolutions_with_moments(plain.graph).empty());
  const std::vector<std::vector<double>> got = fused.run(), expected = plain.run();
  // Statistics are f32; what follows from them may be rounded to another bf16 now and then.
  constexpr double kTolerances[] = {1.0 / 128, 2e-6, 2e-6, 1e-3, 1e-3, 1e-3};
  for (std::size_t k = 0; k < got.size(); ++k) {
    double largest = 0;
    for (const double value : expected[k]) largest = std::max(largest, std::abs(value));
    ASSERT_GT(largest, 0) << k;
    for (std::size_t i = 0; i < got[k].size(); ++i) {
      ASSERT_NEAR(got[k][i], expected[k][i], kTolerances[k] * largest) << "result " << k << " [" << i << "]";
    }
  }
}

//                                                     n    h  w  ci  co  kh kw s  p
INSTANTIATE_TEST_SUITE_P(Sizes, Conv2dMomentsLayer,
                         testing::Values(Conv2dDims{5, 9, 11, 3, 17, 7, 7, 2, 3},
                                         Conv2dDims{21, 5, 3, 24, 40, 3, 3, 1, 1},
                                         Conv2dDims{66, 2, 2, 64, 136, 3, 3, 2, 1}));

}  // namespace
}  // namespace roap
