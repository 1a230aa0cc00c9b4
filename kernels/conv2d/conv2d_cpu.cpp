#include <algorithm>
#include <cstring>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_onednn.h"

// Live taps and weights, and the choice between the two ways of computing a convolution.

namespace roap {

std::int64_t Conv2dAxis::useful_pairs() const {
  std::int64_t pairs = 0;
  for (std::int64_t o = 0; o < out; ++o) {
    for (std::int64_t t = 0; t < taps; ++t) pairs += valid(o, t) ? 1 : 0;
  }
  return pairs;
}

Conv2dAxis live_taps(std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  const Conv2dAxis whole{in, (in + 2 * padding - kernel) / stride + 1, stride, 0, kernel, padding};
  const auto live = [&](std::int64_t tap) {
    for (std::int64_t o = 0; o < whole.out; ++o) {
      if (whole.valid(o, tap)) return true;
    }
    return false;
  };
  std::int64_t first = 0;
  while (first < padding && !live(first)) ++first;
  std::int64_t last = kernel - 1;
  while (last > padding && !live(last)) --last;
  return {in, whole.out, stride, first, last - first + 1, padding - first};
}

TapWindow live_window(const Conv2dDims& d) {
  const Conv2dAxis y = vertical_axis(d), x = horizontal_axis(d);
  return {y.first_tap, x.first_tap, y.taps, x.taps};
}

TapWindow stored_window(const Conv2dDims& d) { return d.live_taps_only ? live_window(d) : TapWindow{0, 0, d.kh, d.kw}; }

TapWindow live_in_stored(const Conv2dDims& d) {
  const TapWindow live = live_window(d), stored = stored_window(d);
  return {live.first_row - stored.first_row, live.first_column - stored.first_column, live.rows, live.columns};
}

namespace cpu {

namespace {

dnnl::memory::desc live_part(const Conv2dDims& d) {
  using Memory = dnnl::memory;
  const TapWindow stored = stored_window(d), live = live_in_stored(d);
  const Memory::desc whole({d.co, d.ci, stored.rows, stored.columns}, Memory::data_type::f32, Memory::format_tag::ohwi);
  return whole.submemory_desc({d.co, d.ci, live.rows, live.columns}, {0, 0, live.first_row, live.first_column});
}

dnnl::reorder reorder_primitive(const dnnl::memory& from, const dnnl::memory& to) {
  return dnnl::reorder(dnnl::reorder::primitive_desc(from, to));
}

/// Measured: products by position win where a map is too small for oneDNN's blocking over its width, and, for weights,
/// as soon as a product per tap is large enough.
bool prefers_positions(Conv2dPass pass, const Conv2dDims& d) {
  const std::int64_t positions = vertical_axis(d).out * horizontal_axis(d).out;
  return positions <= 4 || (pass == Conv2dPass::backward_weight && positions <= 16 && d.ci >= 32);
}

}  // namespace

LiveWeights::LiveWeights(const Conv2dDims& d, const dnnl::memory::desc& layout)
    : weights_(live_part(d), onednn_engine(), nullptr),
      live_(layout, onednn_engine(), nullptr),
      weight_bytes_(static_cast<std::size_t>(weight_count(d)) * sizeof(float)),
      all_live_(live_window(d) == stored_window(d)),
      gather_(reorder_primitive(weights_, live_)),
      scatter_(reorder_primitive(live_, weights_)) {}

void LiveWeights::gather(const float* w, std::byte* live) {
  weights_.set_data_handle(const_cast<float*>(w));
  live_.set_data_handle(live);
  gather_.execute(onednn_stream(), weights_, live_);
}

void LiveWeights::scatter(std::byte* live, float* w) {
  if (!all_live_) std::memset(w, 0, weight_bytes_);
  weights_.set_data_handle(w);
  live_.set_data_handle(live);
  scatter_.execute(onednn_stream(), live_, weights_);
}

std::unique_ptr<Conv2dPlan> conv2d_plan(Conv2dPass pass, const Conv2dDims& dims) {
  return prefers_positions(pass, dims) ? conv2d_positions_plan(pass, dims) : conv2d_chunked_plan(pass, dims);
}

}  // namespace cpu
}  // namespace roap
