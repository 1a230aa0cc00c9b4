#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "io/file_util.h"

namespace roap::io {

/// The run's metrics.jsonl: one JSON object per line, each appended in one write, so that a reader or a crash sees
/// whole lines except perhaps the last.
class MetricsLog {
 public:
  explicit MetricsLog(const std::filesystem::path& path) : file_(path, OutputFile::Mode::append) {}

  /// Not-a-number and infinity become null. DeviceError when the disk refuses.
  void append(const nlohmann::ordered_json& line);

 private:
  OutputFile file_;
};

/// Cuts metrics.jsonl before the first line that is torn, is not a JSON object or has "step" above `step`, so that a
/// run which goes on from `step` writes each line once. A missing file is fine. Call before opening the MetricsLog.
void truncate_metrics(const std::filesystem::path& path, std::int64_t step);

}  // namespace roap::io
