#pragma once

#include <algorithm>
#include <vector>

#include "kernels/tree_exec/tree_exec.h"

// The definition of tree_exec: the recursion over the tree, one pair at a time, in float or double.

namespace roap::reference {

template <class Real>
Real tree_value(const TreeLayout& layout, int node, const Real* z, const Real* symbols) {
  if (node >= layout.inner_nodes()) {
    const Real* weights = z + layout.leaf(node - layout.inner_nodes());
    Real value{0};
    for (int j = 0; j < layout.symbols; ++j) value += weights[j] * symbols[j];
    return value;
  }
  const Real* o = z + layout.operators(node);
  const Real a = tree_value(layout, 2 * node + 1, z, symbols);
  const Real b = tree_value(layout, 2 * node + 2, z, symbols);
  return o[0] * (a + b) + o[1] * (a - b) + o[2] * a * b + o[3] * a;
}

/// Adds the gradients of the subtree under `node`, whose value has gradient g, to dz [P] and dsymbols [V].
template <class Real>
void tree_backward(const TreeLayout& layout, int node, Real g, const Real* z, const Real* symbols, Real* dz,
                   Real* dsymbols) {
  if (node >= layout.inner_nodes()) {
    const std::int64_t first = layout.leaf(node - layout.inner_nodes());
    for (int j = 0; j < layout.symbols; ++j) {
      dz[first + j] += g * symbols[j];
      dsymbols[j] += g * z[first + j];
    }
    return;
  }
  const Real* o = z + layout.operators(node);
  Real* dO = dz + layout.operators(node);
  const Real a = tree_value(layout, 2 * node + 1, z, symbols);
  const Real b = tree_value(layout, 2 * node + 2, z, symbols);
  dO[0] += g * (a + b);
  dO[1] += g * (a - b);
  dO[2] += g * a * b;
  dO[3] += g * a;
  tree_backward(layout, 2 * node + 1, g * (o[0] + o[1] + o[2] * b + o[3]), z, symbols, dz, dsymbols);
  tree_backward(layout, 2 * node + 2, g * (o[0] - o[1] + o[2] * a), z, symbols, dz, dsymbols);
}

template <class Real>
void tree_exec_forward(const TreeExecDims& d, const Real* z, const Real* symbols, Real* yhat) {
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t i = 0; i < d.pairs; ++i) {
      yhat[t * d.pairs + i] = tree_value(d.layout, 0, z + t * d.layout.count(), symbols + i * d.layout.symbols);
    }
  }
}

template <class Real>
void tree_exec_backward(const TreeExecDims& d, const Real* dyhat, const Real* z, const Real* symbols, Real* dz,
                        bool accumulate_z, Real* dsymbols, bool accumulate_symbols) {
  std::vector<Real> row(static_cast<std::size_t>(d.layout.count()));
  std::vector<Real> pair(static_cast<std::size_t>(d.layout.symbols));
  if (dz != nullptr && !accumulate_z) std::fill_n(dz, d.tasks * d.layout.count(), Real{0});
  if (dsymbols != nullptr && !accumulate_symbols) std::fill_n(dsymbols, d.pairs * d.layout.symbols, Real{0});
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t i = 0; i < d.pairs; ++i) {
      tree_backward(d.layout, 0, dyhat[t * d.pairs + i], z + t * d.layout.count(), symbols + i * d.layout.symbols,
                    dz != nullptr ? dz + t * d.layout.count() : row.data(),
                    dsymbols != nullptr ? dsymbols + i * d.layout.symbols : pair.data());
    }
  }
}

}  // namespace roap::reference
