#pragma once

#include <cstdint>

namespace roap {

/// How a library that has several algorithms picks one: by its own estimate, deterministic algorithms only, the same
/// every time; or the fastest of several that are tried, whatever its order of sums, as one would to be compared with.
/// Trying takes device memory and waits for the device.
enum class AlgorithmChoice : std::uint8_t { estimated, measured };

}  // namespace roap
