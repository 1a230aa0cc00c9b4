#pragma once

#include <cstdint>

namespace roap {

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
/// Pieces of `grain` items that `count` items fill.
inline std::int64_t pieces_of(std::int64_t count, std::int64_t grain) { return (count + grain - 1) / grain; }

}  // namespace roap
