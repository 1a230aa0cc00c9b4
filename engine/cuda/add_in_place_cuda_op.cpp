#include "engine/add_in_place.h"
#include "engine/cuda/add_in_place_cuda.h"
#include "engine/cuda/storage.h"

namespace roap {

namespace {

void run_add_in_place(const Op& /*op*/, const RunContext& c) {
  cuda::with_storage(c.in_dtype(0), [&]<class T>() {
    cuda::add_in_place(c.in_shape(0).count(), c.in<T>(0), c.out<T>(0), c.accumulate(0), c.stream());
  });
}

}  // namespace

void add_in_place_register_cuda() { register_cuda("add_in_place", {run_add_in_place}); }

}  // namespace roap
