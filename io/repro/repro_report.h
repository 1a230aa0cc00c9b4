#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/repro/results.h"

namespace roap::io {

/// Symbols, gallery and programs of a finished run, by its name.
using MeasureRun = std::function<RunMeasurements(const std::string& name)>;

/// The whole page: verdicts, tables, figures, every run. `measure` is called for the best run of each row.
std::string repro_report(const Plan& plan, const std::vector<StudyResult>& results, const std::string& command,
                         const MeasureRun& measure);

}  // namespace roap::io
