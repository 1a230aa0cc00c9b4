#pragma once

namespace roap {

/// Instruction sets that *_isa.cpp files are compiled for.
enum class Isa { plain, avx2, avx512 };

/// The best one this machine has; ROAP_ISA=plain|avx2|avx512 in the environment lowers it. Decided once.
Isa active_isa();
const char* to_string(Isa isa);

}  // namespace roap

// Declares NAME once per instruction set and defines the inline function that calls the active one:
//   ROAP_ISA_DISPATCH(void, point_mlp_block, (const Block& block), (block))
#if defined(__x86_64__)
#define ROAP_ISA_DISPATCH(RESULT, NAME, PARAMETERS, ARGUMENTS) \
  namespace plain {                                            \
  RESULT NAME PARAMETERS;                                      \
  }                                                            \
  namespace avx2 {                                             \
  RESULT NAME PARAMETERS;                                      \
  }                                                            \
  namespace avx512 {                                           \
  RESULT NAME PARAMETERS;                                      \
  }                                                            \
  inline RESULT NAME PARAMETERS {                              \
    switch (::roap::active_isa()) {                            \
      case ::roap::Isa::avx512:                                \
        return avx512::NAME ARGUMENTS;                         \
      case ::roap::Isa::avx2:                                  \
        return avx2::NAME ARGUMENTS;                           \
      case ::roap::Isa::plain:                                 \
        break;                                                 \
    }                                                          \
    return plain::NAME ARGUMENTS;                              \
  }
#else
#define ROAP_ISA_DISPATCH(RESULT, NAME, PARAMETERS, ARGUMENTS) \
  namespace plain {                                            \
  RESULT NAME PARAMETERS;                                      \
  }                                                            \
  inline RESULT NAME PARAMETERS { return plain::NAME ARGUMENTS; }
#endif
