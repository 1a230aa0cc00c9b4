#include <array>

#include "models/grounder.h"
#include "tests/models/golden.h"

namespace roap {
namespace {

class GoldenGrounder : public golden::DeviceTest {};

/// Symbols, gradients of all weights and running statistics of one training step, then symbols in evaluation mode.
void check_grounder(const std::string& name, const GrounderConfig& config, DeviceKind device) {
  const golden::File file(name);
  golden::Run train(file, device);
  const Grounder grounder = build_grounder(train.graph(), config, train.input("images"), true);
  train.output(grounder.symbols, "symbols");
  train.append_gradients();
  append_batch_norm_updates(train.graph(), grounder.updates, train.input("guard"));
  train.run_and_compare();
  train.compare_weight_gradients();
  int statistics = 0;
  for (const ParameterInfo& buffer : train.store().buffers()) {
    if (!file.contains("after." + buffer.name)) continue;
    train.compare(train.store().read_f64(buffer.slot), "after." + buffer.name);
    ++statistics;
  }
  EXPECT_GE(statistics, 6);

  golden::Run eval(file, device);
  const Grounder frozen = build_grounder(eval.graph(), config, eval.input("images"), false);
  eval.output(frozen.symbols, "eval.symbols", false);
  eval.run_and_compare();
}

TEST_P(GoldenGrounder, ResNet18ImagenetStem) {
  check_grounder("resnet18_imagenet", {"resnet18", "imagenet", 64}, GetParam());
}

TEST_P(GoldenGrounder, ResNet18OnOddGreyImages) {
  check_grounder("resnet18_odd", {"resnet18", "imagenet", 64}, GetParam());
}

TEST_P(GoldenGrounder, SmallResNetOfOddWidth) {
  check_grounder("resnet_small", {"resnet-small", "cifar", 5}, GetParam());
}

ROAP_GOLDEN_DEVICES(GoldenGrounder);

// The plain loops of the reference take long at full resolution, and the other networks cover them.
TEST(GoldenGrounderCpu, ResNet18CifarStem) {
  check_grounder("resnet18_cifar", {"resnet18", "cifar", 64}, DeviceKind::cpu);
}

}  // namespace
}  // namespace roap
