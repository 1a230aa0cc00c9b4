#pragma once

#include <cstdint>

// Apart from the rest, because code for several instruction sets includes it.

namespace roap {

/// What an entry of a FormulaGraph is.
enum class FormulaOperator : std::uint8_t { symbol, add, sub, mul };

}  // namespace roap
