#pragma once

#include <string>
#include <vector>

#include "io/repro/plan.h"

namespace roap::io {

/// The studies of a scale with all their groups and rows, no runs yet. This is the plan as data: change it here.
std::vector<Study> studies_of_scale(const std::string& scale, const std::string& data);

}  // namespace roap::io
