#pragma once

#include <cstdint>

// Another shape for the same elements in the same order: a copy. Gradient: the copy back.

namespace roap::cpu {

/// to [count] = from [count]; added when `accumulate`.
void reshape_copy(std::int64_t count, const float* from, float* to, bool accumulate);

}  // namespace roap::cpu
