#include "models/grounder.h"

#include <fmt/format.h>

#include "kernels/global_avg_pool/global_avg_pool_op.h"
#include "kernels/linear/linear_op.h"
#include "kernels/max_pool2d/max_pool2d_op.h"

namespace roap {

namespace {

/// Builds the layers of one network; collects its BatchNorm updates.
class ResidualNetwork {
 public:
  ResidualNetwork(Graph& graph, bool train, double moments_from)
      : graph_(graph), train_(train), moments_from_(train ? moments_from : kNoConv2dMoments) {}

  /// Convolution, BatchNorm, ReLU.
  TensorId stem(TensorId x, int channels, int kernel, int stride) {
    return norm("grounder.bn1", conv("grounder.conv1", x, channels, kernel, {stride, kernel / 2}), {}, true);
  }

  /// He et al. 2016, figure 2: two 3x3 convolutions and a shortcut (1x1 where the shape changes).
  TensorId basic_block(const std::string& name, TensorId x, int channels, int stride) {
    TensorId shortcut = x;
    if (stride != 1 || graph_.shape(x)[3] != channels) {
      shortcut = norm(name + ".downsample.1", conv(name + ".downsample.0", x, channels, 1, {stride, 0}), {}, false);
    }
    x = norm(name + ".bn1", conv(name + ".conv1", x, channels, 3, {stride, 1}), {}, true);
    return norm(name + ".bn2", conv(name + ".conv2", x, channels, 3, {1, 1}), shortcut, true);
  }

  TensorId stages(TensorId x, const std::vector<int>& widths, int blocks) {
    for (std::size_t stage = 0; stage < widths.size(); ++stage) {
      for (int block = 0; block < blocks; ++block) {
        const int stride = stage > 0 && block == 0 ? 2 : 1;
        x = basic_block(fmt::format("grounder.layer{}.{}", stage + 1, block), x, widths[stage], stride);
      }
    }
    return x;
  }

  Grounder finish(TensorId x) {
    x = global_avg_pool(graph_, "grounder.avgpool", x);
    return {linear(graph_, "grounder.fc", x, 1), std::move(updates_)};
  }

 private:
  Conv2dOutputs conv(const std::string& name, TensorId x, int channels, int kernel, Conv2dParams params) {
    return conv2d_with_moments(graph_, name, x, channels, kernel, params, moments_from_);
  }
  TensorId norm(const std::string& name, const Conv2dOutputs& x, TensorId residual, bool relu) {
    return batch_norm(graph_, name, x.y, residual, relu, train_, &updates_, x.moments);
  }

  Graph& graph_;
  bool train_;
  double moments_from_;
  std::vector<BatchNormUpdate> updates_;
};

}  // namespace

Grounder build_grounder(Graph& graph, const GrounderConfig& config, TensorId images, bool train, double moments_from) {
  expect_real_rank("grounder", "images", graph.spec(images), 4);
  const Shape shape = graph.shape(images);
  if (shape[1] < 8 || shape[2] < 8 || (shape[3] != 1 && shape[3] != 3)) {
    throw ShapeError(fmt::format("[grounder] images: expected at least 8x8 with 1 or 3 channels, got {}x{} with {}",
                                 shape[1], shape[2], shape[3]));
  }
  ResidualNetwork network(graph, train, moments_from);
  if (config.kind == "resnet-small") {
    const TensorId x = network.stem(images, config.width, 3, 1);
    return network.finish(network.stages(x, {config.width, 2 * config.width, 4 * config.width}, 1));
  }
  if (config.kind != "resnet18")
    throw UsageError(fmt::format("unknown grounder \"{}\": resnet18 or resnet-small", config.kind));
  TensorId x;
  if (config.stem == "imagenet") {
    x = network.stem(images, 64, 7, 2);
    x = max_pool2d(graph, "grounder.maxpool", x, {3, 2, 1});
  } else if (config.stem == "cifar") {
    x = network.stem(images, 64, 3, 1);
  } else {
    throw UsageError(fmt::format("unknown stem \"{}\": imagenet or cifar", config.stem));
  }
  return network.finish(network.stages(x, {64, 128, 256, 512}, 2));
}

}  // namespace roap
