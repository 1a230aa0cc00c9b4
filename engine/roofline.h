#pragma once

#include "engine/backend.h"

namespace roap {

/// Ceilings of this machine's CPU with the threads in use: multiply-adds in registers, which no product exceeds, and a
/// large copy.
Ceilings measure_cpu_ceilings();

/// The least seconds that counted work can take.
double floor_seconds(const Work& work, const Ceilings& ceilings);

}  // namespace roap
