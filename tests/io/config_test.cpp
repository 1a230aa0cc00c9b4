#include "io/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "io/config_schema.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace {

std::string refusal(const std::string& toml) {
  return message_of<UsageError>([&] { parse_config(toml, "run.toml"); });
}

std::string setting_refusal(const std::string& setting) {
  Config config;
  return message_of<UsageError>([&] { apply_setting(config, setting); });
}

TEST(Config, DefaultsComeFromTheStruct) {
  EXPECT_EQ(parse_config("", "x"), Config());
  EXPECT_EQ(Config().train.sharpness_late, 3.0);
}

TEST(Config, EveryFieldHasARowAndEveryRowItsOwnField) {
  Config config;
  std::set<const void*> fields;
  for (const ConfigKey& key : config_schema()) {
    std::visit([&](auto* field) { fields.insert(field); }, key.field(config));
    EXPECT_FALSE(key.effect.empty()) << key.name;
  }
  EXPECT_EQ(fields.size(), config_schema().size());
  // Counts the members of the struct: a new one without a row in the schema shows here.
  const std::size_t flags = 2;
  std::size_t bytes = sizeof(Config::Device) + sizeof(Config::Checkpoint) + sizeof(Config::Log) +
                      sizeof(Config::Tasks) + sizeof(Config::Model) + sizeof(Config::Data) + sizeof(Config::Train) +
                      sizeof(Config::Search);
  for (const ConfigKey& key : config_schema()) {
    std::visit([&](auto* field) { bytes -= std::is_same_v<decltype(field), bool*> ? 0 : sizeof(*field); },
               key.field(config));
  }
  EXPECT_EQ(bytes, flags * 8) << "each flag takes 8 bytes with its padding";
}

TEST(Config, DefaultsAreWithinTheirLimits) {
  for (const ConfigKey& key : config_schema()) EXPECT_EQ(check_limits(key, Config()), "") << key.name;
}

TEST(Config, TomlRoundTripsBitForBit) {
  Config config;
  config.train.lr = 0.1 + 0.2;
  config.train.lambda = 1e-300;
  config.train.clip = 5;
  config.train.pairs_per_epoch = 999'999'999'999;
  config.data.source = "cifar10:/a b/\"c\"\\d";
  config.train.straight_through = true;
  for (const TomlComments comments : {TomlComments::none, TomlComments::effects}) {
    const std::string text = to_toml(config, comments);
    EXPECT_EQ(parse_config(text, "x"), config) << text;
  }
  expect_contains(to_toml(config), "clip = 5.0\n");
  EXPECT_EQ(to_toml(config), to_toml(parse_config(to_toml(config), "x")));
}

TEST(Config, JsonHoldsEveryKey) {
  Config config;
  config.train.lr = 0.25;
  const nlohmann::ordered_json json = to_json(config);
  EXPECT_EQ(json["train"]["lr"], 0.25);
  EXPECT_EQ(json["model"]["sketch"], "straight-line");
  EXPECT_EQ(json["train"]["straight_through"], false);
  std::size_t count = 0;
  for (const auto& section : json) count += section.size();
  EXPECT_EQ(count, config_keys().size());
}

TEST(Config, HashFollowsTheValues) {
  Config config;
  EXPECT_EQ(config_sha256(config), config_sha256(Config()));
  config.train.seed = 1;
  EXPECT_NE(config_sha256(config), config_sha256(Config()));
}

TEST(Config, UnknownNamesGetLineAndSuggestion) {
  EXPECT_EQ(refusal("[train]\nlr = 1e-3\nsharpnes = 2\n"),
            "run.toml:3: unknown key \"train.sharpnes\"; did you mean \"train.sharpness\"?");
  EXPECT_EQ(refusal("[model]\n\nlr = 1e-3\n"), "run.toml:3: unknown key \"model.lr\"; did you mean \"train.lr\"?");
  EXPECT_EQ(refusal("[trian]\nlr = 1e-3\n"), "run.toml:1: unknown section [trian]; did you mean \"train\"?");
  EXPECT_EQ(refusal("lr = 1e-3\n"), "run.toml:1: key \"lr\" stands outside a section; did you mean \"train.lr\"?");
  EXPECT_EQ(refusal("[train]\nzzzzzz = 1\n"), "run.toml:2: unknown key \"train.zzzzzz\"");
  EXPECT_EQ(refusal("train = 3\n"), "run.toml:1: \"train\" is a section: write [train]");
}

TEST(Config, WrongTypesGetLineAndType) {
  EXPECT_EQ(refusal("[train]\nlr = \"fast\"\n"), "run.toml:2: train.lr: expected a number, found \"fast\"");
  EXPECT_EQ(refusal("[train]\nsteps = 1.5\n"), "run.toml:2: train.steps: expected a whole number, found 1.5");
  EXPECT_EQ(refusal("[data]\naugment = 1\n"), "run.toml:2: data.augment: expected true or false, found 1");
  EXPECT_EQ(refusal("[train]\nmethod = true\n"), "run.toml:2: train.method: expected text, found true");
  expect_contains(refusal("[train]\nlr = [1, 2]\n"), "expected a number, found [");
  EXPECT_EQ(parse_config("[train]\nlr = 1\n", "x").train.lr, 1.0);
}

TEST(Config, BadValuesGetLineAndLimits) {
  EXPECT_EQ(refusal("[train]\nlr = 0.0\n"), "run.toml:2: train.lr: 0 is out of range: above 0, up to 10");
  expect_contains(refusal("[train]\nlr = nan\n"), "out of range");
  expect_contains(refusal("[train]\nlr = inf\n"), "out of range");
  EXPECT_EQ(refusal("[model]\nlines = 0\n"), "run.toml:2: model.lines: 0 is out of range: from 1, up to 256");
  EXPECT_EQ(refusal("[model]\nstem = \"cifra\"\n"),
            "run.toml:2: model.stem: unknown value \"cifra\"; allowed: cifar, imagenet; did you mean \"cifar\"?");
  expect_contains(refusal("[data]\nsource = \"digit\"\n"), "did you mean \"digits\"?");
  expect_contains(refusal("[data]\nsource = \"cifar10\"\n"), "the folder is missing: cifar10:DIR");
  expect_contains(refusal("[data]\nsource = \"cifar10:a\\nb\"\n"), "control characters");
  expect_contains(refusal("[device]\nname = \"cuda:x\"\n"), "unknown device \"cuda:x\"");
  EXPECT_EQ(parse_config("[device]\nname = \"cuda:3\"\n", "x").device.name, "cuda:3");
}

TEST(Config, TablesAreSaidToComeLater) {
  expect_contains(setting_refusal("data.source=table:"), "the file is missing: table:FILE.csv");
}

TEST(Config, AnUnknownMethodGetsAllThatThereAre) {
  expect_contains(
      setting_refusal("train.method=mlp"),
      "unknown value \"mlp\"; allowed: roap, marginal, hybrid, free, softmax, tree, mlp-disjoint, mlp-onehot");
  EXPECT_EQ(parse_config("[train]\nmethod = \"mlp-onehot\"\n[mlp-onehot.train]\nsteps = 9\n", "x").train.steps, 9);
}

TEST(Config, BrokenTomlGetsLine) {
  expect_contains(refusal("[train]\nlr = = 2\n"), "run.toml:2: column ");
  expect_contains(refusal("[train]\nlr = 1e-3\nlr = 1e-4\n"), "run.toml:3: column ");
}

TEST(Config, SettingsOverrideInOrder) {
  Config config;
  apply_setting(config, "train.lr=0.5");
  apply_setting(config, "train.lr=3e-4");
  apply_setting(config, "train.steps=1_000");
  apply_setting(config, "data.source=cifar10:/data/with=sign and \"quote");
  apply_setting(config, "model.stem=\"imagenet\"");
  apply_setting(config, "data.augment=true");
  EXPECT_EQ(config.train.lr, 3e-4);
  EXPECT_EQ(config.train.steps, 1000);
  EXPECT_EQ(config.data.source, "cifar10:/data/with=sign and \"quote");
  EXPECT_EQ(config.model.stem, "imagenet");
  EXPECT_TRUE(config.data.augment);
}

TEST(Config, BadSettingsNameTheArgument) {
  EXPECT_EQ(setting_refusal("train.lr"), "--set train.lr: expected section.key=value");
  EXPECT_EQ(setting_refusal("train.step=3"),
            "--set train.step=3: unknown key \"train.step\"; did you mean \"train.steps\"?");
  EXPECT_EQ(setting_refusal("lr=3"), "--set lr=3: unknown key \"lr\"; did you mean \"train.lr\"?");
  EXPECT_EQ(setting_refusal("train.lr=fast"), "--set train.lr=fast: train.lr: expected a number, found \"fast\"");
  EXPECT_EQ(setting_refusal("train.steps=1.5"),
            "--set train.steps=1.5: train.steps: expected a whole number, found 1.5");
  EXPECT_EQ(setting_refusal("train.steps=-1"),
            "--set train.steps=-1: train.steps: -1 is out of range: from 0, up to 1000000000000");
  EXPECT_EQ(setting_refusal("train.lr="), "--set train.lr=: train.lr: expected a number, found \"\"");
  expect_contains(setting_refusal("train.lr=1\nx=2"), "one value expected");
  setting_refusal("data.source=cifar10:\xff");
}

TEST(Config, FilesAndPresetsAreLoaded) {
  const TempFolder folder;
  write_text(folder / "my.toml", "[train]\nsteps = 7\n");
  const std::vector<std::string> settings = {"train.seed=3"};
  const Config config = load_config((folder / "my.toml").string(), settings);
  EXPECT_EQ(config.train.steps, 7);
  EXPECT_EQ(config.train.seed, 3);
  expect_contains(message_of<UsageError>([&] { load_config((folder / "none.toml").string()); }), "none.toml: No such");
  expect_contains(message_of<UsageError>([] { load_config("digit"); }),
                  "unknown preset \"digit\"; did you mean \"digits\"? (presets: ");
  expect_contains(message_of<UsageError>([] { load_config("something"); }), "unknown preset \"something\" (presets: ");
}

TEST(Config, PresetsAreWholeAndRunnable) {
  const std::vector<std::string> names = preset_names();
  for (const std::string name : {"digits", "cifar-small", "paper"}) {
    EXPECT_NE(std::ranges::find(names, name), names.end()) << name;
  }
  for (const std::string& name : names) EXPECT_GT(total_steps(load_config(name)), 0) << name;
}

TEST(Config, PaperPresetIsThePublishedSetting) {
  const Config config = load_config("paper");
  EXPECT_EQ(config.tasks.count, 500);
  EXPECT_EQ(config.tasks.max_operators, 3);
  EXPECT_EQ(config.model.grounder, "resnet18");
  EXPECT_EQ(config.model.stem, "imagenet");
  EXPECT_EQ(config.model.lines, 30);
  EXPECT_EQ(config.model.width, 256);
  EXPECT_EQ(config.train.lr, 3e-4);
  EXPECT_EQ(config.train.eps, 1e-5);
  EXPECT_EQ(config.train.lambda, 2e-4);
  EXPECT_EQ(total_steps(config), 19532);  // 20 epochs of 1e6 pairs, 1024 at a time, rounded up
}

TEST(Config, LengthOfTheRunMustBeClear) {
  Config config;
  message_of<UsageError>([&] { total_steps(config); });
  config.train.steps = 10;
  EXPECT_EQ(total_steps(config), 10);
  config.train.epochs = 2;
  message_of<UsageError>([&] { total_steps(config); });
  config.train.steps = 0;
  config.train.pairs_per_epoch = 100;
  config.train.pairs_per_step = 64;
  EXPECT_EQ(total_steps(config), 4);
}

TEST(Config, StepsOfScreenedRuns) {
  Config config;
  config.train.steps = 100;
  config.train.screen_steps = 200;  // ignored by a single run
  EXPECT_EQ(screening_steps(config), 0);
  EXPECT_EQ(all_steps(config), 100);
  config.train.runs = 3;
  EXPECT_EQ(all_steps(config), 300);
  config.train.screen_steps = 20;
  EXPECT_EQ(all_steps(config), 140);
  config.train.screen_steps = 0;  // every run goes to its end
  EXPECT_EQ(all_steps(config), 300);
}

TEST(Config, KeysAreExplained) {
  EXPECT_EQ(explain("train.lr"), "train.lr: a number, above 0, up to 10; default 0.001\nLearning rate of Adam.\n");
  expect_contains(explain("model.stem"), "text, cifar, imagenet; default \"cifar\"");
  EXPECT_EQ(message_of<UsageError>([] { explain("train.lrr"); }),
            "unknown key \"train.lrr\"; did you mean \"train.lr\"?");
}

TEST(Config, SectionsOfAMethodGoOverTheOthers) {
  const std::string toml =
      "[marginal.train]\nsteps = 3\n[marginal.log]\nevery_steps = 7\n[train]\nsteps = 100\nlr = 0.5\n[free.train]\nlr "
      "= 0.25\n";
  EXPECT_EQ(parse_config(toml, "x").train.steps, 100);
  EXPECT_EQ(parse_config(toml, "x", "free").train.lr, 0.25);
  const Config config = parse_config(toml, "x", "marginal");
  EXPECT_EQ(config.train.method, "marginal");
  EXPECT_EQ(config.train.steps, 3);
  EXPECT_EQ(config.train.lr, 0.5);
  EXPECT_EQ(config.log.every_steps, 7);
  EXPECT_EQ(parse_config(toml + "[data]\naugment = true\n", "x").train.steps, 100);
  EXPECT_EQ(parse_config("[train]\nmethod = \"free\"\n[free.train]\nsteps = 9\n", "x").train.steps, 9);

  expect_contains(refusal("[marginal.train]\nstepz = 3\n"), "run.toml:2: unknown key \"train.stepz\"");
  expect_contains(refusal("[marginal.trian]\nsteps = 3\n"),
                  "unknown section [marginal.trian]; did you mean \"train\"?");
  expect_contains(refusal("[marginal]\nsteps = 3\n"), "run.toml:2: key \"marginal.steps\" stands outside a section");
  expect_contains(refusal("[marginal.train]\nmethod = \"free\"\n"), "[marginal.train] cannot change train.method");
  expect_contains(refusal("marginal = 3\n"), "key \"marginal\" stands outside a section");
}

TEST(Config, ThePresetsSettingsForAMethodComeBeforeTheUsers) {
  const std::vector<std::string> marginal{"train.method=marginal"};
  EXPECT_LT(load_config("digits", marginal).train.steps, load_config("digits").train.steps);
  const std::vector<std::string> both{"train.steps=17", "train.method=free", "train.method=marginal"};
  EXPECT_EQ(load_config("digits", both).train.steps, 17);
  EXPECT_EQ(load_config("digits", both).train.regauge, load_config("digits", marginal).train.regauge);
}

}  // namespace
}  // namespace roap::io
