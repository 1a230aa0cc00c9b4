#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/config.h"

namespace roap::io {

using ConfigField = std::variant<bool*, std::int64_t*, double*, std::string*>;

/// Limits of a number.
struct NumberRange {
  double lowest;
  double highest;
  bool above_lowest = false;  ///< the lowest value itself is not allowed
};

/// The words a text key may hold.
struct Choices {
  std::vector<std::string> words;
};

/// A text key with a form of its own: `check` returns why a value is wrong, or "".
struct TextForm {
  std::string_view description;
  std::string (*check)(const std::string& value);
};

struct ConfigKey {
  std::string_view name;  ///< "section.key"
  ConfigField (*field)(Config&);
  std::variant<std::monostate, NumberRange, Choices, TextForm> limits;
  std::string_view effect;

  [[nodiscard]] std::string_view section() const { return name.substr(0, name.find('.')); }
  [[nodiscard]] std::string_view key() const { return name.substr(name.find('.') + 1); }
};

/// The one table of all keys: reading, printing, limits and explanations come from it. Keys of a section stand
/// together.
std::span<const ConfigKey> config_schema();

/// "a number", "a whole number", "true or false" or "text".
std::string_view type_of(const ConfigKey& key);

/// What values the key takes, for example "above 0, up to 10"; "" when the type says it all.
std::string limits_text(const ConfigKey& key);

/// Why the value of `key` in `config` breaks its limits, or "".
std::string check_limits(const ConfigKey& key, const Config& config);

/// The value of `key` in TOML.
std::string value_text(const ConfigKey& key, const Config& config);

/// `text` as a TOML string. Control characters and broken UTF-8 stay as they are, for the reader of TOML to refuse.
std::string toml_string(std::string_view text);

}  // namespace roap::io
