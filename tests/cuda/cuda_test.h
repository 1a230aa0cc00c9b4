#pragma once

#include <gtest/gtest.h>

#include "engine/cuda/cuda.h"
#ifdef ROAP_SIMT
#include "tests/simt/simt.h"
#endif

// Tests of the CUDA device run on the emulator and, built as test_gpu, on a card.

namespace roap {

/// Sets the CUDA device up once and, on the emulator, forgets failures of earlier tests.
inline void set_up_cuda() {
#ifdef ROAP_SIMT
  simt::reset();
#endif
  static const bool ready = [] {
    use_cuda(0);
    return true;
  }();
  static_cast<void>(ready);
}

/// Chooses the emulator's order of threads; a card has its own.
inline void set_schedule([[maybe_unused]] int seed) {
#ifdef ROAP_SIMT
  simt::set_seed(static_cast<std::uint64_t>(seed));
#endif
}

}  // namespace roap
