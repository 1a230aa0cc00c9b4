#pragma once

#include <string>

#include "bench/report.h"

namespace roap::bench {

/// The report as one HTML page that needs nothing else: roofline, scaling and step charts as far as there are figures
/// for them, and all numbers.
std::string page_of(const Report& report);

}  // namespace roap::bench
