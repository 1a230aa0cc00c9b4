#include "io/repro/scales.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/file_util.h"

namespace roap::io {

namespace {

constexpr const char* kDefaultCifar = "cifar10:data/cifar-10-batches-bin";

// Paper, table 1.
constexpr PaperValues kPaperRoap{459, 0.00086, 0.11, 0.07};
constexpr PaperValues kPaperNoProgram{0, 0.95, 0.11, 1.03};
constexpr PaperValues kPaperNoAmortised{136, 0.059, 0.20, 0.19};
constexpr PaperValues kPaperNoGumbel{8, 0.52, 0.33, 4.40};
constexpr PaperValues kPaperTree{345, 0.04, 0.16, 0.22};
constexpr PaperValues kPaperDepth10{58, 0.90, 0.14, 2.12};
constexpr PaperValues kPaperDepth3{56, 1.10, 0.16, 2.08};

using Settings = std::vector<std::string>;

/// What differs between the scales.
struct Sizes {
  int restarts = 3;     ///< of each model of table 1; the best is reported
  int trees = 3;        ///< restarts of each depth of the syntax tree
  int one_task = 10;    ///< runs with a single task
  int many_tasks = 10;  ///< runs of table 2 with all tasks, each with its own; 0: those of table 1
  Settings marginal{}, hybrid{};
  Settings other_loss{};              ///< than the study's own
  std::vector<int> figure5_depths{};  ///< of the straight-line sketch, besides 3 and 10 and the study's own
};

Settings with(Settings settings, const Settings& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

void add_groups(Study& study, const Sizes& sizes) {
  const int n = sizes.restarts;
  study.groups = {{.id = "roap", .settings = {"train.method=roap"}, .runs = n, .needs_branch = "no-prior"},
                  {.id = "mlp-disjoint", .settings = {"train.method=mlp-disjoint"}, .runs = n},
                  {.id = "mlp-onehot", .settings = {"train.method=mlp-onehot"}, .runs = n},
                  {.id = "free", .settings = {"train.method=free"}, .runs = n},
                  {.id = "softmax", .settings = {"train.method=softmax", "train.samples=1"}, .runs = n}};
  for (const int depth : {2, 3, 5}) {
    study.groups.push_back({.id = fmt::format("tree-{}", depth),
                            .settings = {"train.method=tree", fmt::format("model.depth={}", depth)},
                            .runs = sizes.trees});
  }
  std::vector<int> depths = sizes.figure5_depths;
  depths.insert(depths.begin(), {10, 3});
  for (const int depth : depths) {
    study.groups.push_back(
        {.id = fmt::format("depth-{}", depth), .settings = {fmt::format("model.lines={}", depth)}, .runs = n});
  }
  study.groups.push_back(
      {.id = "marginal", .settings = {"train.method=marginal"}, .recipe = sizes.marginal, .runs = n});
  study.groups.push_back({.id = "hybrid", .settings = {"train.method=hybrid"}, .recipe = sizes.hybrid, .runs = n});
  study.groups.push_back({.id = "other-loss", .settings = sizes.other_loss, .runs = n});
  study.groups.push_back({.id = "one-task", .settings = {"tasks.count=1"}, .runs = sizes.one_task, .own_tasks = true});
  study.groups.push_back({.id = "many-tasks", .settings = {}, .runs = sizes.many_tasks, .own_tasks = true});
  study.groups.push_back({.id = "no-prior", .settings = {"train.lambda=0"}, .runs = n, .branch_of = "roap"});
}

void add_rows(Study& study, const Sizes& sizes, bool paper_scale) {
  study.table1 = {{"roap", "ROAP", {"roap"}, kPaperRoap, ""},
                  {"no-program",
                   "without program (best of disjoint and one-hot MLP)",
                   {"mlp-disjoint", "mlp-onehot"},
                   kPaperNoProgram,
                   ""},
                  {"no-amortised", "without amortised inference", {"free"}, kPaperNoAmortised, ""},
                  {"no-gumbel", "without Gumbel noise", {"softmax"}, kPaperNoGumbel, ""},
                  {"tree", "syntax tree (best of D = 2, 3, 5)", {"tree-2", "tree-3", "tree-5"}, kPaperTree, ""},
                  {"depth-10", "depth 10", {"depth-10"}, kPaperDepth10, ""},
                  {"depth-3", "depth 3", {"depth-3"}, kPaperDepth3, ""},
                  {"marginal", "ours: exact posterior over formulas (marginal)", {"marginal"}, {}, ""},
                  {"hybrid", "ours: synthesizer on the posterior's symbols (hybrid)", {"hybrid"}, {}, ""},
                  {"profiled",
                   paper_scale ? "ours: profiled loss" : "ours: profiled loss (the first row's)",
                   {paper_scale ? "other-loss" : "roap"},
                   {},
                   ""}};
  if (!paper_scale) {
    constexpr const char* kPublished = "ROAP with the published loss, one sample, usual initial weights";
    study.table1.push_back({"published-loss", kPublished, {"other-loss"}, {}, ""});
  }
  study.table2 = {{"many", "all tasks", {sizes.many_tasks > 0 ? "many-tasks" : "roap"}, {}, ""},
                  {"one", "one task", {"one-task"}, {}, ""}};
  std::vector<int> depths = sizes.figure5_depths;
  depths.insert(depths.end(), {3, 10});
  std::ranges::sort(depths);
  for (const int depth : depths) {
    const std::string id = fmt::format("depth-{}", depth);
    study.figure5.push_back({id, std::to_string(depth), {id}, {}, ""});
  }
  study.figure5.push_back({"full", "full", {"roap"}, {}, ""});
  study.figure6 = {{"prior", "with the length prior", {"roap"}, {}, ""}, {"no-prior", "without", {"no-prior"}, {}, ""}};
}

constexpr const char* kScaledDownNote =
    "Scaled down: the rows are trained with the recipe of this project's presets (profiled loss, several samples, "
    "other initial weights), not the paper's, which "
    "learns next to nothing in runs this short: its own row below says how much. Each of the paper's rows differs from "
    "the first one in what its name says and in nothing "
    "else. Run lengths, tasks and networks are smaller too, so orderings can be compared with the paper's, numbers "
    "cannot.";

/// The published objective and initialisation in place of what the digits preset has.
const Settings kPublishedLoss = {"train.loss=gaussian", "train.samples=1", "train.clip=0", "model.input_gain=1",
                                 "model.logit_spread=0"};

/// Method marginal on digits.
Settings marginal_digits(const char* steps) {
  return {steps, "train.lr=3e-3", "train.warmup_steps=0", "train.regauge=10"};
}

Study smoke_digits() {
  Study study;
  study.id = "digits";
  study.title = "Handwritten digits, minutes: a check that everything works, not a study";
  study.preset = "digits";
  study.note = kScaledDownNote;
  study.settings = {"train.runs=1",           "tasks.count=40",
                    "tasks.max_operators=2",  "model.width=48",
                    "model.grounder_width=8", "model.lines=16",
                    "train.steps=1000",       "train.samples=8",
                    "train.warmup_steps=50",  "checkpoint.every_steps=500",
                    "log.every_steps=20",     "log.eval_every_steps=100"};
  const Sizes sizes{.restarts = 2,
                    .trees = 1,
                    .one_task = 4,
                    .many_tasks = 0,
                    .marginal = marginal_digits("train.steps=300"),
                    .hybrid = {"train.grounder_lr=3e-3", "train.regauge=10", "train.regauge_until=0.4",
                               "search.temperature_until=0.3"},
                    .other_loss = kPublishedLoss,
                    .figure5_depths = {}};
  add_groups(study, sizes);
  add_rows(study, sizes, false);
  return study;
}

Study small_digits() {
  Study study;
  study.id = "digits";
  study.title = "Handwritten digits: 100 formulas of at most two operators";
  study.preset = "digits";
  study.note = kScaledDownNote;
  study.settings = {"train.runs=1",
                    "tasks.count=100",
                    "tasks.max_operators=2",
                    "model.lines=20",
                    "train.steps=5000",
                    "checkpoint.every_steps=1000",
                    "log.eval_every_steps=250"};
  const Sizes sizes{.restarts = 3,
                    .trees = 2,
                    .one_task = 10,
                    .many_tasks = 5,
                    .marginal = marginal_digits("train.steps=600"),
                    .hybrid = {"train.grounder_lr=3e-3", "train.regauge=10", "train.regauge_until=0.1",
                               "search.temperature_until=0.06"},
                    .other_loss = kPublishedLoss,
                    .figure5_depths = {6}};
  add_groups(study, sizes);
  add_rows(study, sizes, false);
  return study;
}

constexpr const char* kTooLong = "not planned at this scale: it takes half an hour a run and is measured on digits";

/// A few rows on photographs, as far as hours allow.
Study small_cifar() {
  Study study;
  study.id = "cifar10";
  study.title = "CIFAR-10 with ResNet-18: 20 formulas of at most one operator";
  study.preset = "cifar-small";
  study.note = kScaledDownNote;
  study.settings = {"checkpoint.every_steps=1000", "log.eval_every_steps=500"};
  const Sizes sizes{.restarts = 1,
                    .trees = 1,
                    .one_task = 0,
                    .many_tasks = 0,
                    .marginal = {"tasks.count=500", "tasks.max_operators=3"},
                    .hybrid = {},
                    .other_loss = with(kPublishedLoss, {"train.regauge=0"}),
                    .figure5_depths = {}};
  add_groups(study, sizes);
  add_rows(study, sizes, false);
  study.table1[7].label += ", 500 formulas of at most three operators";
  for (ReproRow& row : study.table1) {
    const bool planned = row.id == "roap" || row.id == "no-amortised" || row.id == "no-gumbel" ||
                         row.id == "marginal" || row.id == "profiled";
    if (!planned) row.groups.clear(), row.reason = kTooLong;
  }
  for (auto* rows : {&study.table2, &study.figure5, &study.figure6}) rows->clear();
  return study;
}

Study paper_cifar() {
  Study study;
  study.id = "cifar10";
  study.title = "CIFAR-10 with ResNet-18, 500 formulas of at most three operators: the published setting";
  study.preset = "paper";
  study.note = "The published setting; what the paper does not state (pairs per step, seeds) is this project's choice.";
  study.settings = {"checkpoint.every_steps=500", "log.every_steps=50", "log.eval_every_steps=977"};
  const Settings posterior = {"data.augment=true", "train.regauge=10", "search.temperature=0.3",
                              "search.temperature_late=0.03", "train.clip=1"};
  const Sizes sizes{
      .restarts = 3,
      .trees = 3,
      .one_task = 20,
      .many_tasks = 10,
      .marginal =
          with(posterior, {"train.epochs=2", "train.pairs_per_step=96", "train.lr=2e-3", "train.lr_schedule=cosine",
                           "train.regauge_until=0.5", "search.temperature_until=0.5"}),
      .hybrid = with(posterior, {"train.grounder_lr=2e-3", "train.regauge_until=0.1", "search.temperature_until=0.1"}),
      .other_loss = {"train.loss=profiled"},
      .figure5_depths = {20}};
  add_groups(study, sizes);
  add_rows(study, sizes, true);
  return study;
}

/// CIFAR-10's folder, or why the study cannot run.
Study with_data(Study study, const std::string& data) {
  const std::string source = data.empty() ? kDefaultCifar : data;
  study.settings.push_back("data.source=" + source);
  const std::string folder = source.substr(std::min(source.size(), source.find(':') + 1));
  if (!is_folder(folder))
    study.problem = fmt::format("CIFAR-10 is not at {}: say where with --data cifar10:DIR", folder);
  return study;
}

}  // namespace

std::vector<Study> studies_of_scale(const std::string& scale, const std::string& data) {
  if (scale == "smoke") return {smoke_digits()};
  if (scale == "small") return {small_digits(), with_data(small_cifar(), data)};
  return {with_data(paper_cifar(), data)};
}

}  // namespace roap::io
