#pragma once

#include <cstddef>

// Short vectors with the sizes and alignments they have on a GPU.

#define ROAP_SIMT_VECTORS(name, type, align2, align4)                            \
  struct name##1 {                                                               \
    type x;                                                                      \
  };                                                                             \
  struct alignas(align2) name##2 {                                               \
    type x, y;                                                                   \
  };                                                                             \
  struct name##3 {                                                               \
    type x, y, z;                                                                \
  };                                                                             \
  struct alignas(align4) name##4 {                                               \
    type x, y, z, w;                                                             \
  };                                                                             \
  constexpr name##1 make_##name##1(type x) { return {x}; }                       \
  constexpr name##2 make_##name##2(type x, type y) { return {x, y}; }            \
  constexpr name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; } \
  constexpr name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

ROAP_SIMT_VECTORS(char, signed char, 2, 4)
ROAP_SIMT_VECTORS(uchar, unsigned char, 2, 4)
ROAP_SIMT_VECTORS(short, short, 4, 8)
ROAP_SIMT_VECTORS(ushort, unsigned short, 4, 8)
ROAP_SIMT_VECTORS(int, int, 8, 16)
ROAP_SIMT_VECTORS(uint, unsigned, 8, 16)
ROAP_SIMT_VECTORS(float, float, 8, 16)
ROAP_SIMT_VECTORS(double, double, 16, 16)
ROAP_SIMT_VECTORS(longlong, long long, 16, 16)
ROAP_SIMT_VECTORS(ulonglong, unsigned long long, 16, 16)

#undef ROAP_SIMT_VECTORS

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
