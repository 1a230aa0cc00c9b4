#pragma once

#include <string_view>
#include <vector>

namespace roap::io {

struct EmbeddedFile {
  std::string_view name;  ///< path in the repository, for example "presets/digits.toml"
  std::string_view bytes;
};

/// Files built into the binary: the presets, the digits, and style sheet and script of reports.
const std::vector<EmbeddedFile>& embedded_files();

}  // namespace roap::io
