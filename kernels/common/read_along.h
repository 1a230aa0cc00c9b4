#pragma once

namespace roap::cuda {

/// How an operand of a product over k lies in memory: each of its rows along k, or its rows side by side at each k.
/// Neighbouring threads read what is contiguous.
enum class ReadAlong { k, rows };

}  // namespace roap::cuda
