#include "models/search_cuda/search_device_cuda.h"

#include <algorithm>
#include <bit>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_select.cuh>

#include "kernels/common/launch.h"
#include "models/programs/modular.h"
#include "models/search_cuda/device_array.h"

namespace roap::search {

namespace {

using cuda::blocks_for;
using cuda::launch;
using programs::Operator;

constexpr int kThreads = 256;
constexpr int kKeyBits = 62;  // of keys and of the mark of a candidate that is none
constexpr std::uint64_t kNoKey = (std::uint64_t{1} << 62) - 1;
constexpr std::uint64_t kPrime0 = programs::kPrimes[0], kPrime1 = programs::kPrimes[1];
static_assert(std::max(kPrime0, kPrime1) < kNoKey);

__device__ __forceinline__ std::uint32_t thread_index() { return blockIdx.x * kThreads + threadIdx.x; }

struct Candidate {
  Operator op;
  std::uint32_t left, right;
  bool mirrored;  ///< the same as another candidate, because the operator is commutative
};

__host__ __device__ inline Candidate candidate(const CandidateRange& range, std::uint32_t index) {
  const std::uint32_t pair = index / range.operator_count, choice = index % range.operator_count;
  const std::uint32_t left = range.left_begin + pair / range.right_count;
  const std::uint32_t right = range.unary ? left : range.right_begin + pair % range.right_count;
  const bool mirrored = !range.unary && (range.commutative >> choice & 1) != 0 &&
                        (range.left_first || (range.same_level && left > right));
  return {static_cast<Operator>(range.operators >> (8 * choice) & 0xff), left, right, mirrored};
}

/// Integers modulo a prime.
template <std::uint64_t Prime>
struct Modulo {
  using Value = std::uint64_t;
  __extension__ typedef unsigned __int128 Wide;
  static __device__ Value add(Value a, Value b) { return (a + b) % Prime; }
  static __device__ Value sub(Value a, Value b) { return (a + Prime - b) % Prime; }
  static __device__ Value mul(Value a, Value b) { return static_cast<Value>(static_cast<Wide>(a) * b % Prime); }
};

struct Real {
  using Value = double;
  static __device__ Value add(Value a, Value b) { return a + b; }
  static __device__ Value sub(Value a, Value b) { return a - b; }
  static __device__ Value mul(Value a, Value b) { return a * b; }
};

/// programs::apply() on the device.
template <class Ring>
__device__ typename Ring::Value apply(Operator op, typename Ring::Value a, typename Ring::Value b) {
  switch (op) {
    case Operator::add:
      return Ring::add(a, b);
    case Operator::sub:
      return Ring::sub(a, b);
    case Operator::mul:
      return Ring::mul(a, b);
    case Operator::neg:
      return Ring::sub(0, a);
    case Operator::square:
      return Ring::mul(a, a);
    default:
      return a;
  }
}

/// Computes  key0[kept + i], key1[kept + i] of candidate i, and index[j] = j
/// Shapes    key0, key1, index [kept + count]
/// Mapping   a thread owns an entry, kept or new
/// Memory    two kept keys are read per candidate (neighbours share the left one), both keys written
/// Numerics  integers modulo the two primes
__global__ void __launch_bounds__(kThreads)
    make_keys_kernel(CandidateRange range, std::uint32_t kept, std::uint32_t count, std::uint64_t* key0,
                     std::uint64_t* key1, std::uint32_t* index) {
  const std::uint32_t i = thread_index();
  if (i >= kept + count) return;
  index[i] = i;
  if (i < kept) return;
  const Candidate c = candidate(range, i - kept);
  key0[i] = c.mirrored ? kNoKey : apply<Modulo<kPrime0>>(c.op, key0[c.left], key0[c.right]);
  key1[i] = c.mirrored ? kNoKey : apply<Modulo<kPrime1>>(c.op, key1[c.left], key1[c.right]);
}

/// Computes  out[i] = in[index[i]]
/// Shapes    out, index [count]
/// Mapping   a thread owns an entry
/// Memory    index and out once, coalesced; in scattered
template <class T>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(std::uint32_t count, const T* in, const std::uint32_t* index, T* out) {
  const std::uint32_t i = thread_index();
  if (i < count) out[i] = in[index[i]];
}

/// Computes  out[i] = i
/// Shapes    out [count]
/// Mapping   a thread owns an entry
/// Memory    out once
__global__ void __launch_bounds__(kThreads) count_up_kernel(std::uint32_t count, std::uint32_t* out) {
  const std::uint32_t i = thread_index();
  if (i < count) out[i] = i;
}

/// Computes  is_new[c] = candidate c has a key, and no entry before it has the same one
/// Shapes    index [kept + count] in the order of keys, equal ones by entry; is_new [count]
/// Mapping   a thread owns a place in that order
/// Memory    index once, keys scattered, is_new scattered
__global__ void __launch_bounds__(kThreads)
    mark_new_kernel(std::uint32_t kept, std::uint32_t count, const std::uint64_t* key0, const std::uint64_t* key1,
                    const std::uint32_t* index, std::uint8_t* is_new) {
  const std::uint32_t place = thread_index();
  if (place >= kept + count) return;
  const std::uint32_t entry = index[place];
  if (entry < kept) return;
  const std::uint32_t before = place == 0 ? entry : index[place - 1];
  const bool repeated = place > 0 && key0[before] == key0[entry] && key1[before] == key1[entry];
  is_new[entry - kept] = !repeated && key0[entry] != kNoKey;
}

/// Computes  values[r, k] = op_k(values[r, left_k], values[r, right_k]) for formulas [begin, end), symbols as given
/// Shapes    op, left, right [kept], symbols [variables, rows], values [rows, kept]
/// Mapping   a thread owns a formula and walks the rows; blockIdx.y strides them
/// Memory    two values read, one written per formula and row, coalesced over formulas with neighbouring arguments
/// Numerics  f64
/// Limits    arguments lie below begin
__global__ void __launch_bounds__(kThreads)
    fill_values_kernel(std::uint32_t begin, std::uint32_t end, std::size_t kept, std::uint32_t rows, const Operator* op,
                       const std::uint32_t* left, const std::uint32_t* right, std::uint32_t variables,
                       const double* symbols, double* values) {
  const std::uint32_t k = begin + thread_index();
  if (k >= end) return;
  for (std::uint32_t r = blockIdx.y; r < rows; r += gridDim.y) {
    double* row = values + r * kept;
    row[k] = k < variables ? symbols[std::size_t{k} * rows + r] : apply<Real>(op[k], row[left[k]], row[right[k]]);
  }
}

/// Computes  error[u] = sum_r (op(values[r, left], values[r, right]) - y[r])^2 of chosen candidate u, as bits, and
///           is_better[u] = it is below the bound
/// Shapes    chosen, error, is_better [count], values [rows, kept], y [rows]
/// Mapping   a thread owns a candidate
/// Memory    two values per candidate and row: neighbours share the left one and have neighbouring right ones
/// Numerics  f64, eight partial sums as on the CPU; stops at the bound, infinite then and where it is no number
__global__ void __launch_bounds__(kThreads)
    score_kernel(CandidateRange range, std::uint32_t count, const std::uint32_t* chosen, std::size_t kept,
                 std::uint32_t rows, const double* values, const double* y, double bound, std::uint64_t* error,
                 std::uint8_t* is_better) {
  constexpr std::uint32_t kLanes = 8;
  const std::uint32_t u = thread_index();
  if (u >= count) return;
  const Candidate c = candidate(range, chosen[u]);
  const double *a = values + c.left, *b = values + c.right;
  const auto squared = [&](std::uint32_t r) {
    const double difference = apply<Real>(c.op, a[r * kept], b[r * kept]) - y[r];
    return difference * difference;
  };
  double lanes[kLanes] = {};
  double sum = 0;
  std::uint32_t r = 0;
  for (; r + kLanes <= rows && sum < bound; r += kLanes) {
#pragma unroll
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) lanes[lane] += squared(r + lane);
    sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
  if (sum < bound) {
    for (; r < rows; ++r) sum += squared(r);
  }
  is_better[u] = sum < bound;
  error[u] =
      static_cast<std::uint64_t>(__double_as_longlong(sum));  // of numbers that are not negative bits keep the order
}

/// What NVIDIA's CUB does, with a workspace that grows.
class Primitives {
 public:
  explicit Primitives(cudaStream_t stream) : stream_(stream) {}

  void sort(const std::uint64_t* keys, std::uint64_t* sorted, const std::uint32_t* values, std::uint32_t* sorted_values,
            std::uint32_t count, int bits) {
    run("sort candidates", [&](void* workspace, std::size_t& bytes) {
      return cub::DeviceRadixSort::SortPairs(workspace, bytes, keys, sorted, values, sorted_values,
                                             static_cast<std::int64_t>(count), 0, bits, stream_);
    });
  }
  std::uint32_t select(const std::uint32_t* in, const std::uint8_t* flags, std::uint32_t* out, std::uint32_t count) {
    std::uint32_t* selected = selected_.at_least(1);
    run("choose candidates", [&](void* workspace, std::size_t& bytes) {
      return cub::DeviceSelect::Flagged(workspace, bytes, in, flags, out, selected, static_cast<std::int64_t>(count),
                                        stream_);
    });
    return selected_.download(1)[0];
  }

 private:
  template <class Call>
  void run(const char* what, Call&& call) {
    std::size_t bytes = 0;
    cuda::check_cuda(call(nullptr, bytes), what);
    cuda::check_cuda(call(workspace_.at_least(std::max<std::size_t>(bytes, 1)), bytes), what);
  }

  cudaStream_t stream_;
  DeviceArray<std::byte> workspace_;
  DeviceArray<std::uint32_t> selected_;
};

class CudaSearchDevice : public SearchDevice {
 public:
  CudaSearchDevice() : stream_(backend_of(DeviceKind::cuda).stream()), primitives_(stream_) {}

  void keep(std::span<const Key> keys) override {
    std::vector<std::uint64_t> parts[2];
    for (const Key& key : keys) {
      parts[0].push_back(key[0]);
      parts[1].push_back(key[1]);
    }
    for (int part = 0; part < 2; ++part) keys_[part].upload(kept_, parts[part]);
    kept_ += static_cast<std::uint32_t>(keys.size());
  }
  void truncate(std::size_t count) override { kept_ = static_cast<std::uint32_t>(count); }

  std::size_t choose_new(const CandidateRange& range) override {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 31;
    if (range.count() + kept_ > kMost) {
      throw DeviceError(
          "the search on the GPU takes at most 2^31 formulas at once; use fewer operators or --device cpu");
    }
    range_ = range;
    chosen_keys_ = kept_;
    const auto count = static_cast<std::uint32_t>(range.count());
    const std::uint32_t all = kept_ + count;
    std::uint64_t *key0 = keys_[0].at_least(all, kept_), *key1 = keys_[1].at_least(all, kept_);
    std::uint32_t *index = index_.at_least(all), *order = order_.at_least(all);
    std::uint64_t *sorted = sorted_.at_least(all), *gathered = gathered_.at_least(all);
    std::uint8_t* is_new = flags_.at_least(count);
    issue("search_make_keys", all, make_keys_kernel, range_, kept_, count, key0, key1, index);
    // Stable, the second key part first: by both parts, equal keys in the order of entries.
    primitives_.sort(key1, sorted, index, order, all, kKeyBits);
    issue("search_gather", all, gather_kernel<std::uint64_t>, all, key0, order, gathered);
    primitives_.sort(gathered, sorted, order, index, all, kKeyBits);
    issue("search_mark_new", all, mark_new_kernel, kept_, count, key0, key1, index, is_new);
    issue("search_count_up", count, count_up_kernel, count, order);
    chosen_count_ = primitives_.select(order, is_new, chosen_.at_least(count), count);
    return chosen_count_;
  }

  void choose_kept(std::uint32_t begin, std::uint32_t end) override {
    CandidateRange range;
    range.left_begin = begin;
    range.left_count = end - begin;
    range.unary = true;
    range.add(Operator::noop, false);
    range_ = range;
    chosen_keys_ = begin;
    chosen_count_ = range.left_count;
    issue("search_count_up", chosen_count_, count_up_kernel, chosen_count_, chosen_.at_least(chosen_count_));
  }

  std::vector<NewFormula> chosen() override {
    const std::uint32_t n = chosen_count_;
    if (n == 0) return {};
    const std::vector<std::uint32_t> candidates = chosen_.download(n);
    const std::vector<Key> keys = keys_at(chosen_.data(), n);
    std::vector<NewFormula> formulas(n);
    for (std::uint32_t u = 0; u < n; ++u) {
      const Candidate c = candidate(range_, candidates[u]);
      formulas[u] = {c.op, c.left, c.right, keys[u]};
    }
    return formulas;
  }

  void set_rows(const SearchRows& rows) override {
    const auto count = static_cast<std::uint32_t>(rows.y.size());
    y_.upload(0, rows.y);
    op_.upload(0, rows.op);
    left_.upload(0, rows.left);
    right_.upload(0, rows.right);
    values_rows_ = kept_;
    double* values = values_.at_least(std::size_t{kept_} * count);
    symbols_.upload(0, rows.symbols);
    constexpr unsigned kRowBlocks = 32;
    for (std::size_t level = 0; level + 1 < rows.level_begin.size(); ++level) {
      const auto begin = static_cast<std::uint32_t>(rows.level_begin[level]);
      const auto end = static_cast<std::uint32_t>(rows.level_begin[level + 1]);
      if (begin == end) continue;
      launch("search_fill_values", {.grid = {blocks_for(end - begin, kThreads), kRowBlocks}, .block = kThreads},
             stream_, fill_values_kernel, begin, end, std::size_t{kept_}, count, op_.data(), left_.data(),
             right_.data(), static_cast<std::uint32_t>(rows.variables), symbols_.data(), values);
    }
  }

  std::vector<TriedFormula> best(const RowSegment& rows, double bound, std::size_t count) override {
    const std::uint32_t n = chosen_count_;
    if (n == 0 || rows.begin == rows.end) return {};
    std::uint64_t *error = gathered_.at_least(n), *sorted = sorted_.at_least(n);
    std::uint32_t *index = index_.at_least(n), *order = order_.at_least(n);
    std::uint8_t* is_better = flags_.at_least(n);
    const auto row_count = static_cast<std::uint32_t>(rows.end - rows.begin);
    issue("search_score", n, score_kernel, range_, n, chosen_.data(), values_rows_, row_count,
          values_.data() + rows.begin * values_rows_, y_.data() + rows.begin, bound, error, is_better);
    issue("search_count_up", n, count_up_kernel, n, order);
    const std::uint32_t better = primitives_.select(order, is_better, index, n);
    if (better == 0) return {};
    std::uint64_t* errors = better_.at_least(better);
    issue("search_gather", better, gather_kernel<std::uint64_t>, better, error, index, errors);
    constexpr int kErrorBits = 63;  // no sign
    primitives_.sort(errors, sorted, index, order, better, kErrorBits);
    const auto taken = static_cast<std::uint32_t>(std::min<std::size_t>(count, better));
    issue("search_gather", taken, gather_kernel<std::uint32_t>, taken, chosen_.data(), order, index);
    const std::vector<std::uint32_t> candidates = index_.download(taken);
    const std::vector<std::uint64_t> bits = sorted_.download(taken);
    const std::vector<Key> keys = keys_at(index, taken);
    std::vector<TriedFormula> list;
    for (std::uint32_t i = 0; i < taken; ++i) {
      const Candidate c = candidate(range_, candidates[i]);
      list.push_back({std::bit_cast<double>(bits[i]), c.op, c.left, c.right, keys[i]});
    }
    return list;
  }

 private:
  template <class... Parameters, class... Arguments>
  void issue(const char* name, std::uint32_t threads, void (*kernel)(Parameters...), Arguments&&... arguments) {
    if (threads == 0) return;
    launch(name, {.grid = blocks_for(threads, kThreads), .block = kThreads}, stream_, kernel,
           std::forward<Arguments>(arguments)...);
  }

  /// Keys of candidates, an array on the device.
  std::vector<Key> keys_at(const std::uint32_t* candidates, std::uint32_t count) {
    std::vector<Key> keys(count);
    for (int part = 0; part < 2; ++part) {
      std::uint64_t* parts = parts_.at_least(count);
      issue("search_gather", count, gather_kernel<std::uint64_t>, count, keys_[part].data() + chosen_keys_, candidates,
            parts);
      const std::vector<std::uint64_t> values = parts_.download(count);
      for (std::uint32_t i = 0; i < count; ++i) keys[i][static_cast<std::size_t>(part)] = values[i];
    }
    return keys;
  }

  cudaStream_t stream_;
  Primitives primitives_;
  std::uint32_t kept_ = 0;
  CandidateRange range_;  ///< of the candidates that were chosen from
  std::uint32_t chosen_count_ = 0;
  std::uint32_t chosen_keys_ = 0;       ///< where the key of candidate 0 is
  DeviceArray<std::uint64_t> keys_[2];  ///< of the kept formulas, then of the candidates
  DeviceArray<std::uint64_t> sorted_, gathered_, better_, parts_;
  DeviceArray<std::uint32_t> index_, order_, chosen_, left_, right_;
  DeviceArray<std::uint8_t> flags_;
  DeviceArray<Operator> op_;
  std::size_t values_rows_ = 0;  ///< kept formulas when values_ was filled
  DeviceArray<double> values_, symbols_, y_;
};

}  // namespace

std::unique_ptr<SearchDevice> make_cuda_search_device() { return std::make_unique<CudaSearchDevice>(); }

}  // namespace roap::search
