#include "kernels/adam_step/adam_step_op.h"
#include "kernels/gumbel_softmax/gumbel_softmax_op.h"
#include "kernels/task_loss/task_loss_op.h"
#include "models/sketch.h"
#include "models/synthesizer.h"
#include "tests/models/golden.h"

namespace roap {
namespace {

class GoldenPrograms : public golden::DeviceTest {};

TEST_P(GoldenPrograms, Synthesizer) {
  const golden::File file("synthesizer");
  golden::Run run(file, GetParam());
  const TensorId y = run.input("y");
  const TensorId symbols = run.input("symbols");
  const SynthesizerConfig config{.width = 16, .logit_count = static_cast<int>(file.shape("logits")[1])};
  run.output(build_synthesizer(run.graph(), config, y, symbols), "logits");
  run.append_gradients();
  run.run_and_compare();
  run.compare_weight_gradients();
  for (const ParameterInfo& weight : run.store().weights()) {
    EXPECT_TRUE(file.contains(weight.name)) << weight.name << " is not a name of PyTorch's";
  }
}

void check_sketch(const std::string& name, const Sketch& sketch, DeviceKind device) {
  const golden::File file(name);
  golden::Run execution(file, device);
  const TensorId z = execution.input("z");
  execution.output(sketch.execute(execution.graph(), "execute", z, execution.input("symbols")), "yhat");
  execution.append_gradients();
  execution.run_and_compare();

  const golden::File length_file(name, "length.");
  golden::Run length(length_file, device);
  length.output(sketch.length(length.graph(), "length", length.input("z")), "length");
  length.append_gradients();
  length.run_and_compare();
}

TEST_P(GoldenPrograms, StraightLine5) { check_sketch("straight_line_5", Sketch::straight_line(3, 5), GetParam()); }
TEST_P(GoldenPrograms, StraightLine30) { check_sketch("straight_line_30", Sketch::straight_line(3, 30), GetParam()); }
TEST_P(GoldenPrograms, Tree3) { check_sketch("tree_3", Sketch::tree(3, 3), GetParam()); }

void check_gumbel(const std::string& variant, GumbelSoftmaxParams params, DeviceKind device) {
  const golden::File file("gumbel_softmax", variant + ".");
  golden::Run run(file, device);
  const TensorId logits = run.input("logits");
  const TensorId sharpness = run.input("sharpness");
  const TensorId key = run.key_input("key");
  params.group_sizes = file.values_of<std::int32_t>("groups");
  run.output(gumbel_softmax(run.graph(), "sample", logits, sharpness, key, params), "z");
  run.append_gradients();
  run.run_and_compare();
}

TEST_P(GoldenPrograms, GumbelSoftmaxWithPhiloxNoise) { check_gumbel("noisy", {}, GetParam()); }
TEST_P(GoldenPrograms, SoftmaxWithoutNoise) { check_gumbel("plain", {.noise = false}, GetParam()); }
TEST_P(GoldenPrograms, StraightThroughSample) { check_gumbel("straight", {.straight_through = true}, GetParam()); }

void check_loss(const std::string& name, TaskLossKind kind, std::int64_t samples, DeviceKind device) {
  const golden::File file(name, kind == TaskLossKind::profiled ? "profiled." : "gaussian.");
  golden::Run run(file, device);
  const TensorId yhat = run.input("yhat");
  const TensorId y = run.input("y");
  const TensorId sigma = run.input("sigma");
  const TensorId length = run.input("length");
  const TaskLossParams params{.kind = kind, .samples = samples};
  run.output(
      task_loss(run.graph(), "loss", yhat, y, sigma, length, run.input("lambda"), run.input("floor"), params).loss,
      "loss");
  run.append_gradients();
  run.run_and_compare();
}

TEST_P(GoldenPrograms, GaussianLoss) { check_loss("losses", TaskLossKind::gaussian, 1, GetParam()); }
TEST_P(GoldenPrograms, ProfiledLoss) { check_loss("losses", TaskLossKind::profiled, 1, GetParam()); }
TEST_P(GoldenPrograms, GaussianLossOfSamples) {
  check_loss("losses_of_samples", TaskLossKind::gaussian, 4, GetParam());
}
TEST_P(GoldenPrograms, ProfiledLossOfSamples) {
  check_loss("losses_of_samples", TaskLossKind::profiled, 4, GetParam());
}

TEST_P(GoldenPrograms, TenStepsOfAdam) {
  const golden::File file("adam");
  const std::vector<double> gradients = file.doubles("gradients");  // [steps, 2, count]
  const std::vector<double> after = file.doubles("after");
  const std::int64_t count = file.shape("weights").count();

  all_operator_tests();
  ParameterStore store(GetParam());
  Graph graph(store);
  const AdamTensors t{.weights = graph.input("weights", f32({count})),
                      .gradients = graph.input("gradients", f32({count})),
                      .moment1 = graph.input("moment1", f32({count})),
                      .moment2 = graph.input("moment2", f32({count})),
                      .step = graph.input("step", f32({1})),
                      .guard = graph.input("guard", f32({2})),
                      .rates = graph.input("rates", f32({2}))};
  adam_step(graph, "adam", t, {.boundary = count / 2, .eps = file.values("eps")[0]});
  store.initialize(0);
  Executor executor(graph);
  executor.write_f64(t.weights, file.doubles("weights"));
  executor.write_f64(t.moment1, std::vector<double>(static_cast<std::size_t>(count), 0.0));
  executor.write_f64(t.moment2, std::vector<double>(static_cast<std::size_t>(count), 0.0));
  executor.write_f64(t.step, std::vector<double>{0.0});
  executor.write_f64(t.guard, std::vector<double>{1.0, 1.0});  // finite, norm (not used without clipping)
  executor.write_f64(t.rates, file.doubles("rates"));
  const double allowed =
      golden::allowed_error(GetParam(), file.values("after.f32_error")[0], golden::largest_of(after));
  for (std::size_t first = 0; first < gradients.size(); first += static_cast<std::size_t>(count)) {
    executor.write_f64(t.gradients, std::span(gradients).subspan(first, static_cast<std::size_t>(count)));
    executor.run();
    const auto expected = std::span(after).subspan(first, static_cast<std::size_t>(count));
    golden::expect_close(executor.read_f64(t.weights), {expected.begin(), expected.end()}, allowed,
                         fmt::format("weights after step {}", first / static_cast<std::size_t>(count) + 1));
  }
}

ROAP_GOLDEN_DEVICES(GoldenPrograms);

}  // namespace
}  // namespace roap
