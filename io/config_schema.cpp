#include "io/config_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "io/suggest.h"

// One row of the table: the name and the field cannot drift apart.
#define ROAP_KEY(path) #path, [](Config & config) -> ConfigField { return &config.path; }

namespace roap::io {
namespace {

constexpr double kMaxSteps = 1e12;
constexpr double kMaxSeed = 9e18;  // below 2^63

/// TOML wants a point or an exponent in a floating-point number.
std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string check_source(const std::string& value) {
  constexpr std::string_view kCifar = "cifar10:", kTable = "table:";
  constexpr char kDelete = 0x7f;
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == kDelete; };
  if (std::ranges::any_of(value, is_control)) return "control characters are not allowed";
  const auto names_a_path = [&](std::string_view prefix) {
    return value.starts_with(prefix) && value.size() > prefix.size();
  };
  if (value == "digits" || names_a_path(kCifar) || names_a_path(kTable)) return "";
  if (value.starts_with("cifar10")) return "the folder is missing: cifar10:DIR";
  if (value.starts_with("table")) return "the file is missing: table:FILE.csv";
  return fmt::format("unknown data source \"{}\"{}; use digits, cifar10:DIR or table:FILE.csv", value,
                     suggestion(value, std::vector<std::string>{"digits"}));
}

std::string check_device(const std::string& value) {
  constexpr std::string_view kCuda = "cuda:";
  if (value == "auto" || value == "cpu" || value == "cuda") return "";
  const std::string number = value.starts_with(kCuda) ? value.substr(kCuda.size()) : "";
  constexpr std::size_t kMaxDigits = 3;
  if (!number.empty() && number.size() <= kMaxDigits && number.find_first_not_of("0123456789") == std::string::npos) {
    return "";
  }
  return fmt::format("unknown device \"{}\"{}", value,
                     suggestion(value, std::vector<std::string>{"auto", "cpu", "cuda"}));
}

std::string range_text(const NumberRange& range) {
  return fmt::format("{} {}, up to {}", range.above_lowest ? "above" : "from", range.lowest, range.highest);
}

std::string check_number(const NumberRange& range, double value) {
  // Both are false for NaN.
  const bool not_too_low = range.above_lowest ? value > range.lowest : value >= range.lowest;
  const bool not_too_high = value <= range.highest;
  return not_too_low && not_too_high ? "" : fmt::format("{} is out of range: {}", value, range_text(range));
}

std::string check_choice(const Choices& choices, const std::string& value) {
  if (std::ranges::find(choices.words, value) != choices.words.end()) return "";
  return fmt::format("unknown value \"{}\"; allowed: {}{}", value, fmt::join(choices.words, ", "),
                     suggestion(value, choices.words));
}

const std::vector<ConfigKey>& table() {
  static const std::vector<ConfigKey> keys = {
      {ROAP_KEY(data.source), TextForm{"digits, cifar10:DIR or table:FILE.csv", check_source},
       "Where the images come from: the handwritten digits built into the program, a folder with CIFAR-10's binary "
       "files, or a table of your own images and numbers, which then also says how many tasks and symbols there are."},
      {ROAP_KEY(data.augment), {}, "Flip and shift training images at random (for photographs, not for digits)."},

      {ROAP_KEY(tasks.count), NumberRange{1, 1e5},
       "Number of formulas learned at once; they share the images and differ in y."},
      {ROAP_KEY(tasks.symbols), NumberRange{1, 8}, "Number of images, and so of hidden numbers, in a sample."},
      {ROAP_KEY(tasks.max_operators), NumberRange{0, 4},
       "Formulas are drawn from those that need at most so many operators out of +, - and x."},
      {ROAP_KEY(tasks.seed), NumberRange{0, kMaxSeed}, "Which formulas are drawn; independent of train.seed."},

      {ROAP_KEY(model.grounder), Choices{{"resnet-small", "resnet18"}},
       "The network that turns an image into a number: a residual network of three stages, or the standard ResNet-18."},
      {ROAP_KEY(model.stem), Choices{{"cifar", "imagenet"}},
       "First layer of the grounder: 3x3 at full resolution, or 7x7 with stride 2 and max pooling (four times fewer "
       "pixels: faster, but loses detail of small images)."},
      {ROAP_KEY(model.grounder_width), NumberRange{1, 1024},
       "Channels of the first stage of resnet-small, doubled by each stage; resnet18 ignores it."},
      {ROAP_KEY(model.width), NumberRange{1, 4096},
       "Width of the hidden layers and features of the synthesizer, or of the MLPs' hidden layers; cost grows with its "
       "square."},
      {ROAP_KEY(model.input_gain), NumberRange{0, 1000, true},
       "Factor on the initial first-layer weights of the synthesizer's set networks: more tells nearby numbers apart "
       "from "
       "the start; 1 is PyTorch's."},
      {ROAP_KEY(model.logit_spread), NumberRange{0, 100},
       "Standard deviation of the logits' initial bias, the same for all tasks: lines start as different expressions "
       "that programs can take up later; 0 is PyTorch's."},
      {ROAP_KEY(model.lines), NumberRange{1, 256},
       "Lines of the straight-line sketch. More lines than the formulas need make training easier; logits grow with "
       "the "
       "square."},
      {ROAP_KEY(model.sketch), Choices{{"straight-line", "tree"}},
       "Shape of the programs: lines that may reuse earlier ones, or a full binary tree."},
      {ROAP_KEY(model.depth), NumberRange{1, 8}, "Depth of the tree sketch; the straight-line sketch ignores it."},

      {ROAP_KEY(train.method),
       Choices{{"roap", "marginal", "hybrid", "free", "softmax", "tree", "mlp-disjoint", "mlp-onehot"}},
       "roap: programs come from the synthesizer and are sampled; marginal: all formulas of [search] are weighed by "
       "how "
       "well they explain y; hybrid: the grounder learns as with marginal, and a synthesizer learns on its symbols; "
       "free: each task has its own free logits; softmax: no Gumbel noise; tree: the tree sketch; mlp-disjoint: no "
       "programs, each task has an MLP on the symbols; mlp-onehot: no programs, one MLP on the symbols and a one-hot "
       "code of the task."},
      {ROAP_KEY(train.seed), NumberRange{0, kMaxSeed},
       "Initial weights, noise and sample order; same seed, same bits."},
      {ROAP_KEY(train.steps), NumberRange{0, kMaxSteps}, "Length of the run in steps; 0 when train.epochs says it."},
      {ROAP_KEY(train.epochs), NumberRange{0, 1e6},
       "Length of the run in epochs of train.pairs_per_epoch; 0 when train.steps says it."},
      {ROAP_KEY(train.pairs_per_epoch), NumberRange{1, kMaxSteps}, "Samples of each task that make an epoch."},
      {ROAP_KEY(train.pairs_per_step), NumberRange{2, 1 << 20},
       "Samples of a step. The synthesizer sees all of them at once: more of them say more about the formula, at a "
       "proportional cost."},
      {ROAP_KEY(train.lr), NumberRange{0, 10, true}, "Learning rate of Adam."},
      {ROAP_KEY(train.grounder_lr), NumberRange{0, 10}, "Learning rate of the grounder; 0 is the same as train.lr."},
      {ROAP_KEY(train.lr_schedule), Choices{{"constant", "cosine"}},
       "Keep the learning rate, or let it fall to 0 along a cosine."},
      {ROAP_KEY(train.warmup_steps), NumberRange{0, kMaxSteps},
       "The learning rate rises linearly from 0 over so many steps."},
      {ROAP_KEY(train.eps), NumberRange{0, 1, true}, "Adam's epsilon, which bounds steps where gradients are tiny."},
      {ROAP_KEY(train.loss), Choices{{"gaussian", "profiled"}},
       "Squared error in units of each task's variance, or the log of one plus it, which keeps a few bad tasks from "
       "drowning the others."},
      {ROAP_KEY(train.loss_floor), NumberRange{0, 1e6, true},
       "Error, in units of a task's variance, below which the profiled loss takes a task for solved; the gaussian loss "
       "ignores it."},
      {ROAP_KEY(train.loss_floor_late), NumberRange{0, 1e6},
       "The same at the end of the run, approached by a constant ratio; 0 is the same as train.loss_floor. A lower one "
       "tells near twins apart."},
      {ROAP_KEY(train.samples), NumberRange{1, 1024},
       "Programs sampled per task and step. With several, the profiled loss averages their likelihoods (an importance-"
       "weighted bound), the gaussian loss their errors; 1 is the paper's. MLPs have nothing to sample."},
      {ROAP_KEY(train.lambda), NumberRange{0, 1e6}, "Weight of the expected program length in the loss."},
      {ROAP_KEY(train.lambda_from), NumberRange{0, 1}, "Share of the run after which the length counts."},
      {ROAP_KEY(train.sharpness), NumberRange{0, 1000, true},
       "Factor on logits plus noise before the softmax, at first: higher is closer to discrete programs."},
      {ROAP_KEY(train.sharpness_late), NumberRange{0, 1000, true}, "The same factor late in the run."},
      {ROAP_KEY(train.sharpness_from), NumberRange{0, 1},
       "Share of the run after which the late factor holds (schedule step)."},
      {ROAP_KEY(train.sharpness_schedule), Choices{{"step", "geometric"}},
       "Jump to the late factor at train.sharpness_from, or rise to it by a constant ratio over the whole run."},
      {ROAP_KEY(train.straight_through),
       {},
       "Execute the discrete program and let gradients pass as if it were the soft one."},
      {ROAP_KEY(train.clip), NumberRange{0, 1e9}, "Largest norm of the whole gradient; 0 does not clip."},
      {ROAP_KEY(train.regauge), NumberRange{0, kMaxSteps},
       "Every so many steps the symbols are replaced by the affine map of theirs under which the formulas of [search] "
       "explain y best; 0 never does."},
      {ROAP_KEY(train.regauge_until), NumberRange{0, 1}, "Share of the run after which symbols keep their gauge."},
      {ROAP_KEY(train.on_nan), Choices{{"skip", "rollback", "stop"}},
       "After a step whose loss or gradient is not finite: skip it, go back to the last checkpoint, or stop."},
      {ROAP_KEY(train.max_skips), NumberRange{1, 1e6},
       "So many skipped steps in a row send the run back to its last checkpoint."},
      {ROAP_KEY(train.runs), NumberRange{1, 1000},
       "Independent starts, one after the other; the one with the least training loss is kept."},
      {ROAP_KEY(train.screen_steps), NumberRange{0, kMaxSteps},
       "Steps of each start before the best one is chosen and goes on; 0 trains every one to its end."},

      {ROAP_KEY(search.max_operators), NumberRange{0, 6},
       "Formulas that methods marginal and hybrid and train.regauge weigh: all with at most so many operators. "
       "Independent of "
       "tasks.max_operators, which training does not know; cost grows about eightfold with each. The search for new "
       "tasks' formulas that measures generalisation takes the larger of the two."},
      {ROAP_KEY(search.penalty), NumberRange{0, 100},
       "How much less likely a formula is for each operator: its prior is exp(-penalty * operators)."},
      {ROAP_KEY(search.floor), NumberRange{0, 1e6, true},
       "Error, in units of a task's variance, below which formulas count as equally good."},
      {ROAP_KEY(search.temperature), NumberRange{0, 1000, true},
       "Temperature of the posterior over formulas at first: at a high one all that explain y a little pull the "
       "symbols."},
      {ROAP_KEY(search.temperature_late), NumberRange{0, 1000, true},
       "The same late in the run: at a low one only the best formula of a task counts."},
      {ROAP_KEY(search.temperature_until), NumberRange{0, 1, true},
       "Share of the run over which the temperature falls, along a straight line."},

      {ROAP_KEY(device.name), TextForm{"auto, cpu, cuda or cuda:N", check_device},
       "Where to compute; auto takes a GPU when there is one."},
      {ROAP_KEY(device.precision), Choices{{"f32", "bf16"}},
       "Number format of the grounder's activations and of products on tensor cores; bf16 needs a GPU."},
      {ROAP_KEY(device.threads), NumberRange{0, 4096}, "CPU threads; 0 is all cores. Results do not depend on it."},
      {ROAP_KEY(device.conv), Choices{{"own", "cudnn"}},
       "Convolutions on a GPU: our kernels, or cuDNN's where the program was built with it."},
      {ROAP_KEY(device.linear), Choices{{"own", "cublaslt"}},
       "Linear layers on a GPU: our kernels, or cuBLASLt's where the program was built with it."},
      {ROAP_KEY(device.ranks), NumberRange{1, 1}, "Number of GPUs that share a step; this version uses one."},

      {ROAP_KEY(checkpoint.every_steps), NumberRange{1, kMaxSteps},
       "Steps between checkpoints; at most so many are lost when the machine stops."},
      {ROAP_KEY(checkpoint.keep), NumberRange{0, 1e6}, "Newest checkpoints kept on disk; 0 keeps all."},

      {ROAP_KEY(log.every_steps), NumberRange{1, kMaxSteps}, "Steps between lines of metrics.jsonl."},
      {ROAP_KEY(log.eval_every_steps), NumberRange{1, kMaxSteps}, "Steps between evaluations on the test set."},
  };
  return keys;
}

/// The schema's accessors give pointers to change; reading through them changes nothing.
ConfigField field_of(const ConfigKey& key, const Config& config) { return key.field(const_cast<Config&>(config)); }

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

std::span<const ConfigKey> config_schema() { return table(); }

std::string_view type_of(const ConfigKey& key) {
  Config defaults;
  return std::visit(Overloaded{[](bool*) { return "true or false"; }, [](std::int64_t*) { return "a whole number"; },
                               [](double*) { return "a number"; }, [](std::string*) { return "text"; }},
                    key.field(defaults));
}

std::string limits_text(const ConfigKey& key) {
  return std::visit(Overloaded{[](std::monostate) { return std::string(); },
                               [](const NumberRange& range) { return range_text(range); },
                               [](const Choices& choices) { return fmt::format("{}", fmt::join(choices.words, ", ")); },
                               [](const TextForm& form) { return std::string(form.description); }},
                    key.limits);
}

std::string check_limits(const ConfigKey& key, const Config& config) {
  const ConfigField field = field_of(key, config);
  if (const auto* range = std::get_if<NumberRange>(&key.limits)) {
    const auto* whole = std::get_if<std::int64_t*>(&field);
    return check_number(*range, whole != nullptr ? static_cast<double>(**whole) : *std::get<double*>(field));
  }
  if (const auto* choices = std::get_if<Choices>(&key.limits)) {
    return check_choice(*choices, *std::get<std::string*>(field));
  }
  if (const auto* form = std::get_if<TextForm>(&key.limits)) return form->check(*std::get<std::string*>(field));
  return "";
}

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string value_text(const ConfigKey& key, const Config& config) {
  return std::visit(Overloaded{[](bool* value) { return std::string(*value ? "true" : "false"); },
                               [](std::int64_t* value) { return std::to_string(*value); },
                               [](double* value) { return number_text(*value); },
                               [](std::string* value) { return toml_string(*value); }},
                    field_of(key, config));
}

}  // namespace roap::io
