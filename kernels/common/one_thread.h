#pragma once

#include <omp.h>

namespace roap::cpu {

/// While it lives, oneDNN creates and runs primitives on the calling thread alone: chunks are the parallel work, and a
/// primitive split over threads would sum in an order that depends on their number.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() { omp_set_num_threads(threads_); }

 private:
  int threads_;
};

}  // namespace roap::cpu
