#include <fmt/format.h>

#include <map>

#include "bin/roap_commands.h"
#include "engine/cuda/cuda.h"
#include "engine/device.h"
#include "io/image_file.h"
#include "io/model_files.h"

namespace roap::bin {

void warn(const std::string& message) { fmt::print(stderr, "roap: warning: {}\n", message); }

void ConfigOptions::add_to(CLI::App& command) {
  command.add_option("--preset", preset, "digits, cifar-small, paper or a FILE.toml")->capture_default_str();
  command.add_option("--set", settings, "section.key=value; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--data", data, "digits, cifar10:DIR or table:FILE.csv (data.source)");
  command.add_option("--method", method,
                     "roap, marginal, hybrid, free, softmax, tree, mlp-disjoint or mlp-onehot (train.method)");
  command.add_option("--device", device, "auto, cpu, cuda or cuda:N (device.name)");
  command.add_option("--seed", seed, "of weights, pairs and noise (train.seed)");
}

io::OpenedConfig ConfigOptions::load() const {
  std::vector<std::string> all = settings;
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) all.push_back(fmt::format("{}={}", key, value));
  };
  add("data.source", data);
  add("train.method", method);
  add("device.name", device);
  add("train.seed", seed);
  return io::open_data(io::load_config(preset, all));
}

DeviceKind prepare_device(const io::Config& config) {
  DeviceKind kind = DeviceKind::cpu;
  const std::string& name = config.device.name;
  if (name.starts_with("cuda") || (name == "auto" && !cuda_status().devices.empty())) {
    constexpr std::string_view kNumbered = "cuda:";
    const int index = name.starts_with(kNumbered) ? std::stoi(name.substr(kNumbered.size())) : 0;
    use_cuda(index, {.cudnn = config.device.conv == "cudnn", .cublaslt = config.device.linear == "cublaslt"});
    kind = DeviceKind::cuda;
  }
  if (config.device.precision != "f32" && kind == DeviceKind::cpu) {
    throw UsageError(fmt::format(
        "device.precision = {}: the cpu device computes in f32; set device.precision=f32 or use --device cuda",
        config.device.precision));
  }
  if (config.device.ranks != 1) throw UsageError("device.ranks: this version trains on one device; set it to 1");
  set_threads(static_cast<int>(config.device.threads));
  return kind;
}

LoadedRun load_run(const std::string& path, const std::string& data_override, const std::string& device_override,
                   io::TaskSet task_set) {
  io::RunFolder folder = io::RunFolder::open(path, io::RunFolder::Access::read);
  io::Config config = folder.read_config();
  const std::string config_hash = io::config_sha256(config);
  if (!device_override.empty()) {
    config.device.name = device_override;
    if (device_override == "cpu") config.device.precision = "f32";
  }
  if (task_set == io::TaskSet::unseen && config.train.method == "free") {
    throw UsageError("method free has logits for the tasks it trained on only: nothing can be said about unseen ones");
  }
  if (task_set == io::TaskSet::unseen && method_parts(config).head) {
    throw UsageError(
        fmt::format("method {} has an MLP for the tasks it trained on only; --generalisation fits new ones "
                    "to new tasks",
                    config.train.method));
  }
  const DeviceKind device = prepare_device(config);
  const io::Checkpoint checkpoint = io::load_newest_intact(folder.path(), warn, config_hash);
  io::Experiment experiment = io::load_experiment(config, data_override, task_set);
  auto model = std::make_unique<Model>(config, problem_shape(*experiment.benchmark.train), device);
  io::restore_model(checkpoint, *model, false);
  return {std::move(folder),
          std::move(config),
          std::move(experiment),
          std::move(model),
          io::restore_state(checkpoint),
          io::trained_time(checkpoint)};
}

std::vector<float> ground_files(Model& model, const std::vector<std::string>& files) {
  const ProblemShape& problem = model.problem();
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> index;
  std::map<std::string, std::int32_t> seen;
  for (const std::string& file : files) {
    const auto [entry, is_new] = seen.try_emplace(file, static_cast<std::int32_t>(seen.size()));
    index.push_back(entry->second);
    if (!is_new) continue;
    const io::Image image = io::read_image(file, problem.channels);
    io::require_image_size(image, problem.width, problem.height, file);
    pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
  }
  return model.ground(pixels, static_cast<int>(seen.size()), index);
}

}  // namespace roap::bin
