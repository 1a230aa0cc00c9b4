#pragma once

#include <string>

#include "io/report/run_report.h"

namespace roap::bin {

/// What a report shows of a run's newest intact checkpoint: symbols of a sample of images, a gallery, and the programs
/// where `need_programs`. Whatever is wrong with checkpoint or images becomes the measurements' `problem`.
io::RunMeasurements measure_run(const std::string& run, const std::string& data_override,
                                const std::string& device_override, bool need_programs);

}  // namespace roap::bin
