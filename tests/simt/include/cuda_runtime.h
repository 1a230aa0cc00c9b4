#pragma once

// Stands in for CUDA's header of this name where kernels are compiled for the emulator: what the project's kernels and
// their host side use of the language, the device functions and the runtime API. See tests/simt/README.md.

#ifndef ROAP_SIMT
#error \
    "this header belongs to the emulator: compile with -DROAP_SIMT, or leave tests/simt/include out of the search path"
#endif

#include "tests/simt/include/simt/atomics.h"
#include "tests/simt/include/simt/bits.h"
#include "tests/simt/include/simt/builtins.h"
#include "tests/simt/include/simt/kernel_launch.h"
#include "tests/simt/include/simt/math.h"
#include "tests/simt/include/simt/qualifiers.h"
#include "tests/simt/include/simt/runtime_api.h"
#include "tests/simt/include/simt/vector_types.h"
#include "tests/simt/include/simt/warp.h"
