#pragma once

#include <filesystem>
#include <string>

#include "bin/repro_execute.h"
#include "io/repro/plan.h"

namespace roap::bin {

/// plan.json: what a study's folder was begun with, so that it goes on as the same study.
struct StudyFile {
  io::PlanOptions options;
  std::string command;
  StepSeconds step_seconds;
};

void write_study_file(const std::filesystem::path& folder, const StudyFile& file);
/// CheckpointError where FOLDER is no study's, or one of another version.
StudyFile read_study_file(const std::filesystem::path& folder);

}  // namespace roap::bin
