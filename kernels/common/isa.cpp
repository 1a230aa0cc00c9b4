#include "kernels/common/isa.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace roap {

namespace {
Isa detect() {
  Isa best = Isa::plain;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    best = Isa::avx512;
  }
#endif
  if (const char* wanted = std::getenv("ROAP_ISA")) {
    if (std::string_view(wanted) == "plain") best = Isa::plain;
    if (std::string_view(wanted) == "avx2") best = std::min(best, Isa::avx2);
  }
  return best;
}
}  // namespace

Isa active_isa() {
  static const Isa isa = detect();
  return isa;
}

const char* to_string(Isa isa) {
  switch (isa) {
    case Isa::plain:
      return "plain";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

}  // namespace roap
