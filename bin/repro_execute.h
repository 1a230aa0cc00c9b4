#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "io/repro/plan.h"

namespace roap::bin {

/// Seconds of one training step, by study and group ("digits-roap").
using StepSeconds = std::map<std::string, double>;

/// Times a few steps of one run of every group that can run, on the device of its own settings.
StepSeconds measure_step_seconds(const io::Plan& plan);

/// The plan for people: every run with its steps and the time that training it will take, and the sum.
std::string plan_text(const io::Plan& plan, const StepSeconds& seconds);

/// Trains every run that has not finished, in folders FOLDER/runs/NAME, each where it stopped. A run that diverges is
/// left as it is and the others go on. Returns 0, or 128 + the signal that interrupted it. UsageError where a folder
/// has been trained with other settings than the plan's.
int execute_plan(const io::Plan& plan, const std::filesystem::path& folder);

}  // namespace roap::bin
