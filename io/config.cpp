#include "io/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/config_schema.h"
#include "io/embedded.h"
#include "io/file_util.h"
#include "io/suggest.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace {

constexpr std::string_view kPresetFolder = "presets/";
constexpr std::string_view kTomlSuffix = ".toml";

[[noreturn]] void fail(const std::string& where, const std::string& reason) {
  throw UsageError(fmt::format("{}: {}", where, reason));
}

const ConfigKey* find_key(std::string_view name) {
  const auto found = std::ranges::find(config_schema(), name, &ConfigKey::name);
  return found == config_schema().end() ? nullptr : &*found;
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_schema()) {
    if (names.empty() || names.back() != key.section()) names.emplace_back(key.section());
  }
  return names;
}

/// A key of the right name in another section is a likelier slip than a typing error.
std::string suggest_key(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('.') + 1);
  const auto elsewhere = std::ranges::find(config_schema(), last, &ConfigKey::key);
  if (elsewhere != config_schema().end()) return fmt::format("; did you mean \"{}\"?", elsewhere->name);
  return suggestion(name, config_keys());
}

const ConfigKey& require_key(std::string_view name, const std::string& where) {
  const ConfigKey* key = find_key(name);
  if (key == nullptr) fail(where, fmt::format("unknown key \"{}\"{}", name, suggest_key(name)));
  return *key;
}

/// Stores the TOML value in the field; false when its type does not fit.
bool store(const toml::node& node, ConfigField field) {
  if (auto** flag = std::get_if<bool*>(&field)) {
    if (!node.is_boolean()) return false;
    **flag = node.as_boolean()->get();
  } else if (auto** whole = std::get_if<std::int64_t*>(&field)) {
    if (!node.is_integer()) return false;
    **whole = node.as_integer()->get();
  } else if (auto** number = std::get_if<double*>(&field)) {
    if (!node.is_number()) return false;
    **number = node.is_integer() ? static_cast<double>(node.as_integer()->get()) : node.as_floating_point()->get();
  } else {
    if (!node.is_string()) return false;
    *std::get<std::string*>(field) = node.as_string()->get();
  }
  return true;
}

/// The value as a file would have it.
std::string source_text(const toml::node& node) {
  if (node.is_string()) return toml_string(node.as_string()->get());
  std::ostringstream text;
  text << toml::node_view<const toml::node>(node);
  return text.str();
}

void set_value(Config& config, const ConfigKey& key, const toml::node& node, const std::string& where) {
  if (!store(node, key.field(config))) {
    fail(where, fmt::format("{}: expected {}, found {}", key.name, type_of(key), source_text(node)));
  }
  const std::string problem = check_limits(key, config);
  if (!problem.empty()) fail(where, fmt::format("{}: {}", key.name, problem));
}

void set_section(Config& config, std::string_view section, const toml::table& keys, const std::string& label) {
  for (const auto& [name, node] : keys) {
    const std::string where = fmt::format("{}:{}", label, name.source().begin.line);
    set_value(config, require_key(fmt::format("{}.{}", section, name.str()), where), node, where);
  }
}

bool is_file_name(std::string_view text) {
  return text.ends_with(kTomlSuffix) || text.find('/') != std::string_view::npos;
}

/// The values that train.method can have.
const std::vector<std::string>& method_names() { return std::get<Choices>(find_key("train.method")->limits).words; }

/// A section of the file, [train], or of a method, [marginal.train].
void set_sections(Config& config, const toml::table& sections, const std::string& label, std::string_view method) {
  const std::vector<std::string> known = section_names();
  for (const auto& [name, node] : sections) {
    const std::string where = fmt::format("{}:{}", label, name.source().begin.line);
    const std::string_view section = name.str();
    const std::string prefix = method.empty() ? "" : fmt::format("{}.", method);
    if (std::ranges::find(known, section) == known.end()) {
      if (!node.is_table())
        fail(where, fmt::format("key \"{}{}\" stands outside a section{}", prefix, section, suggest_key(section)));
      fail(where, fmt::format("unknown section [{}{}]{}", prefix, section, suggestion(section, known)));
    }
    if (!node.is_table()) fail(where, fmt::format("\"{}\" is a section: write [{}{}]", section, prefix, section));
    set_section(config, section, *node.as_table(), label);
  }
}

Config parse_config_file(const std::string& path, const std::string& method) {
  std::string text;
  try {
    text = read_file(path);
  } catch (const DataError& error) {
    throw UsageError(error.what());
  }
  return parse_config(text, path, method);
}

Config parse_preset(const std::string& name, const std::string& method) {
  const std::string path = fmt::format("{}{}{}", kPresetFolder, name, kTomlSuffix);
  const auto found = std::ranges::find(embedded_files(), path, &EmbeddedFile::name);
  if (found == embedded_files().end()) {
    throw UsageError(fmt::format("unknown preset \"{}\"{} (presets: {}; a file needs the ending .toml)", name,
                                 suggestion(name, preset_names()), fmt::join(preset_names(), ", ")));
  }
  return parse_config(found->bytes, path, method);
}

/// The method that the settings ask for, or "".
std::string method_of(std::span<const std::string> settings) {
  constexpr std::string_view kKey = "train.method=";
  Config config;
  config.train.method.clear();
  for (const std::string& setting : settings) {
    if (setting.starts_with(kKey)) apply_setting(config, setting);
  }
  return config.train.method;
}

}  // namespace

Config parse_config(std::string_view toml, const std::string& label, const std::string& method) {
  toml::table document;
  try {
    document = toml::parse(toml, label);
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    fail(fmt::format("{}:{}", label, at.line), fmt::format("column {}: {}", at.column, error.description()));
  }
  toml::table of_methods;
  for (const std::string& name : method_names()) {
    const toml::node* node = document.get(name);
    if (node == nullptr || !node->is_table()) continue;
    of_methods.insert(name, *node->as_table());
    document.erase(name);
  }
  Config config;
  set_sections(config, document, label, "");
  if (!method.empty()) config.train.method = method;
  for (const auto& [name, node] : of_methods) {
    Config other = config;  // the sections of other methods have no effect, but must be right
    Config& target = name.str() == config.train.method ? config : other;
    set_sections(target, *node.as_table(), label, name.str());
    if (target.train.method != config.train.method)
      fail(label, fmt::format("[{}.train] cannot change train.method", name.str()));
  }
  return config;
}

void apply_setting(Config& config, std::string_view setting) {
  const std::string where = fmt::format("--set {}", setting);
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos) fail(where, "expected section.key=value");
  const ConfigKey& key = require_key(setting.substr(0, equals), where);
  std::string value(setting.substr(equals + 1));
  const bool is_text = std::holds_alternative<std::string*>(key.field(config));
  if (is_text && !(value.size() >= 2 && value.front() == '"' && value.back() == '"')) value = toml_string(value);

  toml::table document;
  try {
    document = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    fail(where, fmt::format("{}: expected {}, found \"{}\"", key.name, type_of(key), setting.substr(equals + 1)));
  }
  if (document.size() != 1) fail(where, "one value expected");
  set_value(config, key, *document.get("value"), where);
}

Config load_config(const std::string& preset_or_file, std::span<const std::string> settings) {
  const std::string method = method_of(settings);
  Config config =
      is_file_name(preset_or_file) ? parse_config_file(preset_or_file, method) : parse_preset(preset_or_file, method);
  for (const std::string& setting : settings) apply_setting(config, setting);
  return config;
}

std::string to_toml(const Config& config, TomlComments comments) {
  std::string text;
  std::string_view section;
  for (const ConfigKey& key : config_schema()) {
    if (key.section() != section) {
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", key.section());
      section = key.section();
    }
    if (comments == TomlComments::effects) text += fmt::format("# {}\n", key.effect);
    text += fmt::format("{} = {}\n", key.key(), value_text(key, config));
  }
  return text;
}

nlohmann::ordered_json to_json(const Config& config) {
  nlohmann::ordered_json json;
  Config copy = config;
  for (const ConfigKey& key : config_schema()) {
    nlohmann::ordered_json& value = json[std::string(key.section())][std::string(key.key())];
    std::visit([&](const auto* field) { value = *field; }, key.field(copy));
  }
  return json;
}

std::string config_sha256(const Config& config) { return sha256_hex(to_toml(config)); }

std::vector<std::string> config_keys() {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_schema()) names.emplace_back(key.name);
  return names;
}

std::string explain(std::string_view key_name) {
  const ConfigKey* key = find_key(key_name);
  if (key == nullptr) throw UsageError(fmt::format("unknown key \"{}\"{}", key_name, suggest_key(key_name)));
  const std::string limits = limits_text(*key);
  return fmt::format("{}: {}{}{}; default {}\n{}\n", key->name, type_of(*key), limits.empty() ? "" : ", ", limits,
                     value_text(*key, Config{}), key->effect);
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.name.starts_with(kPresetFolder) || !file.name.ends_with(kTomlSuffix)) continue;
    const std::string_view stem = file.name.substr(kPresetFolder.size());
    names.emplace_back(stem.substr(0, stem.size() - kTomlSuffix.size()));
  }
  return names;
}

}  // namespace roap::io
