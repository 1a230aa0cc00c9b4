#include <dnnl.hpp>

#include "kernels/common/one_thread.h"
#include "kernels/common/parallel.h"
#include "kernels/linear/linear.h"

// Products through oneDNN's sgemm, one fixed block of rows (or of output features) per piece.

namespace roap::cpu {

namespace {
constexpr std::int64_t kRowGrain = 64;
constexpr std::int64_t kFeatureGrain = 64;
}  // namespace

void linear_forward(const LinearDims& d, const float* x, const float* w, const float* b, float* y) {
  parallel_ranges(d.rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    const OneThread one_thread;
    for (std::int64_t r = begin; b != nullptr && r < end; ++r) std::copy_n(b, d.out, y + r * d.out);
    dnnl::sgemm('N', 'T', end - begin, d.out, d.in, 1.0f, x + begin * d.in, d.in, w, d.in, b != nullptr ? 1.0f : 0.0f,
                y + begin * d.out, d.out);
  });
}

void linear_backward_data(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate) {
  parallel_ranges(d.rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    const OneThread one_thread;
    dnnl::sgemm('N', 'N', end - begin, d.in, d.out, 1.0f, dy + begin * d.out, d.out, w, d.in, accumulate ? 1.0f : 0.0f,
                dx + begin * d.in, d.in);
  });
}

void linear_backward_weight(const LinearDims& d, const float* dy, const float* x, float* dw, float* db) {
  parallel_ranges(d.out, kFeatureGrain, [&](std::int64_t begin, std::int64_t end) {
    const OneThread one_thread;
    dnnl::sgemm('T', 'N', end - begin, d.in, d.rows, 1.0f, dy + begin, d.out, x, d.in, 0.0f, dw + begin * d.in, d.in);
    if (db == nullptr) return;
    std::fill(db + begin, db + end, 0.0f);
    for (std::int64_t r = 0; r < d.rows; ++r) {
      for (std::int64_t o = begin; o < end; ++o) db[o] += dy[r * d.out + o];
    }
  });
}

}  // namespace roap::cpu
