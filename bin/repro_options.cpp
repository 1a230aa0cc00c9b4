#include "bin/repro_options.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bin/roap_commands.h"
#include "io/file_util.h"

namespace roap::bin {

namespace {

constexpr int kFormat = 1;
constexpr const char* kFile = "plan.json";

}  // namespace

void write_study_file(const std::filesystem::path& folder, const StudyFile& file) {
  const io::PlanOptions& options = file.options;
  const nlohmann::ordered_json json{{"format", kFormat},
                                    {"version", kVersion},
                                    {"command", file.command},
                                    {"table", options.table},
                                    {"scale", options.scale},
                                    {"data", options.data},
                                    {"device", options.device},
                                    {"threads", options.threads},
                                    {"settings", options.settings},
                                    {"step_seconds", file.step_seconds}};
  io::atomic_write(folder / kFile, json.dump(2) + "\n");
}

StudyFile read_study_file(const std::filesystem::path& folder) {
  const std::string path = (folder / kFile).string();
  if (!io::is_present(folder / kFile))
    throw CheckpointError(fmt::format("{} is not a study's folder: it has no {}", folder.string(), kFile));
  try {
    const nlohmann::json json = nlohmann::json::parse(io::read_file(path));
    if (json.at("format") != kFormat || json.at("version") != kVersion) {
      throw CheckpointError(fmt::format(
          "{}: written by version {} in format {}, this is version {} with format {}; begin anew with another --out",
          path, json.at("version").dump(), json.at("format").dump(), kVersion, kFormat));
    }
    StudyFile file;
    json.at("command").get_to(file.command);
    json.at("table").get_to(file.options.table);
    json.at("scale").get_to(file.options.scale);
    json.at("data").get_to(file.options.data);
    json.at("device").get_to(file.options.device);
    json.at("threads").get_to(file.options.threads);
    json.at("settings").get_to(file.options.settings);
    json.at("step_seconds").get_to(file.step_seconds);
    return file;
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(fmt::format("{}: damaged: {}", path, error.what()));
  }
}

}  // namespace roap::bin
