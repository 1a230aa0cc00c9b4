#pragma once

#include <cstdint>
#include <string>

// What tests can ask of the emulator beyond CUDA's own interface. See README.md.

namespace roap::simt {

/// Chooses the orders in which threads, warps and blocks run from here on. 0, the default, stands for the environment's
/// ROAP_SIMT_SEED, or 1.
void set_seed(std::uint64_t seed);

/// What the last kernel that failed did wrong: kernel, block, thread, place and the rest of the story. Empty if none
/// failed since the start or the last reset().
const std::string& last_report();

/// Forgets a failure, as a new process would, so that kernels can be launched again.
void reset();

/// Switches between threads so far.
std::uint64_t switch_count();

}  // namespace roap::simt
