#pragma once

#include <math.h>

#include <cmath>
#include <type_traits>

// Functions of numbers that CUDA has beside those of <cmath>. The fast ones are the exact ones here: a kernel's
// tolerance must allow for the GPU's errors, which the emulator does not imitate.

inline float __expf(float x) { return std::exp(x); }
inline float __exp10f(float x) { return std::pow(10.0f, x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __tanhf(float x) { return std::tanh(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __frsqrt_rn(float x) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x))); }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline double __fma_rn(double x, double y, double z) { return std::fma(x, y, z); }

// min and max of the global namespace: the type to which both arguments convert; of numbers with a NaN, the other.
template <class T, class U>
constexpr auto max(T x, U y) -> std::common_type_t<T, U> {
  using Common = std::common_type_t<T, U>;
  if constexpr (std::is_floating_point_v<Common>) return std::fmax(static_cast<Common>(x), static_cast<Common>(y));
  return static_cast<Common>(x) < static_cast<Common>(y) ? static_cast<Common>(y) : static_cast<Common>(x);
}
template <class T, class U>
constexpr auto min(T x, U y) -> std::common_type_t<T, U> {
  using Common = std::common_type_t<T, U>;
  if constexpr (std::is_floating_point_v<Common>) return std::fmin(static_cast<Common>(x), static_cast<Common>(y));
  return static_cast<Common>(y) < static_cast<Common>(x) ? static_cast<Common>(y) : static_cast<Common>(x);
}
