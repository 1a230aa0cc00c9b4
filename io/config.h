#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"

namespace roap::io {

/// The settings themselves are models/config.h; here is their text: reading, checking, printing and explaining.
using roap::Config;

/// Reads a preset's name or a FILE.toml over the defaults, with its own settings for the method that `settings` ask
/// for, then applies `settings` ("section.key=value") in order. UsageError with file:line or the setting, the reason
/// and, for a likely typing error, the key that was meant.
Config load_config(const std::string& preset_or_file, std::span<const std::string> settings = {});

/// Reads TOML text over the defaults; `label` names it in messages. A section [METHOD.SECTION], such as
/// [marginal.train], goes over the section of that name when the method is METHOD: `method`, or when that is empty the
/// file's own.
Config parse_config(std::string_view toml, const std::string& label, const std::string& method = "");

/// Applies one "section.key=value"; text needs no quotes.
void apply_setting(Config& config, std::string_view setting);

enum class TomlComments { none, effects };

/// All keys in a fixed order; numbers are printed so that reading them back gives the same bits. With
/// TomlComments::effects each key is preceded by what it does.
std::string to_toml(const Config& config, TomlComments comments = TomlComments::none);
nlohmann::ordered_json to_json(const Config& config);

/// SHA-256 of to_toml(config): identifies a config in checkpoints.
std::string config_sha256(const Config& config);

/// All keys as "section.key", in the order of the schema.
std::vector<std::string> config_keys();

/// Type, default, limits and effect of a key, in a few lines. UsageError with a suggestion when there is no such key.
std::string explain(std::string_view key);

/// Names of the presets built into the program.
std::vector<std::string> preset_names();

}  // namespace roap::io
