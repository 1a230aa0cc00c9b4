#pragma once

#include <cstdint>
#include <vector>

// Adds to a loss how unlikely the synthesizer finds its own successful samples, the wake phase of reweighted wake-sleep
// (Bornschein & Bengio 2015): with c_tsg the largest entry of group g in sample s of task t, p the softmax of the logits within
// a group and weights w_ts = r_ts / sum_s r_ts, r_ts = 1 / (floor + error_ts),
//   total = base + weight mean_t [ - sum_s w_ts sum_g log p_tg(c_tsg) ].
// Unlike the gradient through a relaxed sample this one does not vanish where the softmax is saturated. The samples and their
// errors are constants: dlogits = dtotal weight / T (p - sum_s w_ts onehot(c_tsg)), dbase = dtotal.

namespace roap {

struct WakeLossParams {
  std::vector<int> group_sizes;  ///< in the order of the row; their sum is P
  double weight = 1;
  double floor = 1;
};

struct WakeLossDims {
  std::int64_t tasks = 0, samples = 1, logits = 0;
};

namespace cpu {

/// base [1], logits [T, P], z [T S, P], error [T S] -> total [1]. `partial` [T] is scratch.
void wake_loss_forward(const WakeLossDims& d, const WakeLossParams& params, const float* base, const float* logits,
                       const float* z, const float* error, double* partial, float* total);
/// dtotal [1], logits [T, P], z [T S, P], error [T S] -> dbase [1], dlogits [T, P]; each may be null.
void wake_loss_backward(const WakeLossDims& d, const WakeLossParams& params, const float* dtotal, const float* logits,
                        const float* z, const float* error, float* dbase, float* dlogits);

}  // namespace cpu
}  // namespace roap
