#pragma once

#include <algorithm>
#include <vector>

#include "kernels/soft_exec/soft_exec.h"

// The definition of soft_exec: plain loops in float or double.

namespace roap::reference {

/// All values of one program on one pair, and both arguments of every line.
template <class Real>
struct SoftExecTrace {
  std::vector<Real> values, left, right;
};

template <class Real>
SoftExecTrace<Real> soft_exec_pair(const StraightLineLayout& layout, const Real* z, const Real* symbols) {
  SoftExecTrace<Real> trace;
  trace.values.assign(symbols, symbols + layout.symbols);
  for (int line = 0; line < layout.lines; ++line) {
    const Real* o = z + layout.operators(line);
    Real a{0}, b{0};
    for (int i = 0; i < layout.choices(line); ++i) {
      a += z[layout.left(line) + i] * trace.values[static_cast<std::size_t>(i)];
      b += z[layout.right(line) + i] * trace.values[static_cast<std::size_t>(i)];
    }
    trace.left.push_back(a);
    trace.right.push_back(b);
    trace.values.push_back(o[0] * (a + b) + o[1] * (a - b) + o[2] * a * b + o[3] * a);
  }
  return trace;
}

template <class Real>
void soft_exec_forward(const SoftExecDims& d, const Real* z, const Real* symbols, Real* yhat) {
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t i = 0; i < d.pairs; ++i) {
      const Real* row = z + t * d.layout.count();
      yhat[t * d.pairs + i] = soft_exec_pair(d.layout, row, symbols + i * d.layout.symbols).values.back();
    }
  }
}

/// Adds the gradients of one pair to dz [P] and dsymbols [V].
template <class Real>
void soft_exec_pair_backward(const StraightLineLayout& layout, Real dyhat, const Real* z, const Real* symbols, Real* dz,
                             Real* dsymbols) {
  const SoftExecTrace<Real> trace = soft_exec_pair(layout, z, symbols);
  std::vector<Real> gradients(trace.values.size(), Real{0});
  gradients.back() = dyhat;
  for (int line = layout.lines - 1; line >= 0; --line) {
    const Real* o = z + layout.operators(line);
    const Real g = gradients[static_cast<std::size_t>(layout.choices(line))];
    const Real a = trace.left[static_cast<std::size_t>(line)], b = trace.right[static_cast<std::size_t>(line)];
    dz[layout.operators(line) + 0] += g * (a + b);
    dz[layout.operators(line) + 1] += g * (a - b);
    dz[layout.operators(line) + 2] += g * a * b;
    dz[layout.operators(line) + 3] += g * a;
    const Real da = g * (o[0] + o[1] + o[2] * b + o[3]);
    const Real db = g * (o[0] - o[1] + o[2] * a);
    for (int i = 0; i < layout.choices(line); ++i) {
      dz[layout.left(line) + i] += da * trace.values[static_cast<std::size_t>(i)];
      dz[layout.right(line) + i] += db * trace.values[static_cast<std::size_t>(i)];
      gradients[static_cast<std::size_t>(i)] += z[layout.left(line) + i] * da + z[layout.right(line) + i] * db;
    }
  }
  for (int j = 0; j < layout.symbols; ++j) dsymbols[j] += gradients[static_cast<std::size_t>(j)];
}

template <class Real>
void soft_exec_backward(const SoftExecDims& d, const Real* dyhat, const Real* z, const Real* symbols, Real* dz,
                        bool accumulate_z, Real* dsymbols, bool accumulate_symbols) {
  std::vector<Real> unwanted_z, unwanted_symbols;
  const auto prepare = [](Real*& target, std::vector<Real>& unwanted, std::int64_t count, bool accumulate) {
    if (target == nullptr) {
      unwanted.resize(static_cast<std::size_t>(count));
      target = unwanted.data();
    } else if (!accumulate) {
      std::fill_n(target, count, Real{0});
    }
  };
  prepare(dz, unwanted_z, d.tasks * d.layout.count(), accumulate_z);
  prepare(dsymbols, unwanted_symbols, d.pairs * d.layout.symbols, accumulate_symbols);
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t i = 0; i < d.pairs; ++i) {
      soft_exec_pair_backward(d.layout, dyhat[t * d.pairs + i], z + t * d.layout.count(),
                              symbols + i * d.layout.symbols, dz + t * d.layout.count(),
                              dsymbols + i * d.layout.symbols);
    }
  }
}

}  // namespace roap::reference
