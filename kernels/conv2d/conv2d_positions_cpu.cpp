#include <algorithm>
#include <cstring>

#include "kernels/common/parallel.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_onednn.h"

// Computes: a convolution as matrix products over the batch. For every output position the live taps that meet the
//   image are products [images, ci] x [ci, co]; neighbouring taps of a kernel row are one product, because both the
//   image (NHWC) and the weights [co, ky, kx, ci] hold them side by side. No product touches padding. Weights that hold
//   dead taps, too, are copied without them.
// Mapping: a piece owns a block of images and of channels at one position (forward: of y, backward data: of x), or a
//   block of output channels of one tap (backward weight, over all images).
// Numerics: one sgemm after the other into the piece's result, kernel rows and taps ascending.

namespace roap::cpu {

namespace {

constexpr std::int64_t kImageBlock = 256;
constexpr std::int64_t kManyPositions = 4;

class PositionsPlan : public Conv2dPlan {
 public:
  PositionsPlan(Conv2dPass pass, const Conv2dDims& dims)
      : pass_(pass),
        d_(dims),
        y_(vertical_axis(dims)),
        x_(horizontal_axis(dims)),
        weight_row_(y_.taps * x_.taps * dims.ci),
        in_place_(live_window(dims) == stored_window(dims)),
        weights_(dims, dnnl::memory::desc({dims.co, dims.ci, y_.taps, x_.taps}, dnnl::memory::data_type::f32,
                                          dnnl::memory::format_tag::ohwi)) {}

  [[nodiscard]] std::size_t workspace_bytes() const override { return in_place_ ? 0 : weights_.bytes(); }

  void run(const float* a, const float* b, float* result, bool accumulate, std::byte* workspace) override {
    float* live = reinterpret_cast<float*>(workspace);
    if (pass_ == Conv2dPass::backward_weight) {
      weight(a, b, in_place_ ? result : live);
      if (!in_place_) weights_.scatter(workspace, result);
      return;
    }
    if (!in_place_) weights_.gather(b, workspace);
    const float* w = in_place_ ? b : live;
    pass_ == Conv2dPass::forward ? forward(a, w, result) : data(a, w, result, accumulate);
  }

 private:
  struct Piece {
    std::int64_t image, images, row, column, channel, channels;
  };

  /// Calls body(piece) for all blocks of a map [n, rows, columns, channels].
  template <class Body>
  void for_each_piece(std::int64_t rows, std::int64_t columns, std::int64_t channels, Body&& body) const {
    const std::int64_t channel_block = rows * columns >= kManyPositions ? 128 : 64;
    const std::int64_t channel_blocks = pieces_of(channels, channel_block);
    parallel_for(pieces_of(d_.n, kImageBlock) * rows * columns * channel_blocks, [&](std::int64_t i) {
      const OneThread one_thread;
      const std::int64_t channel = i % channel_blocks * channel_block;
      const std::int64_t position = i / channel_blocks % (rows * columns);
      const std::int64_t image = i / (channel_blocks * rows * columns) * kImageBlock;
      body(Piece{image, std::min(kImageBlock, d_.n - image), position / columns, position % columns, channel,
                 std::min(channel_block, channels - channel)});
    });
  }

  [[nodiscard]] std::int64_t x_index(std::int64_t n, std::int64_t iy, std::int64_t ix) const {
    return ((n * d_.h + iy) * d_.w + ix) * d_.ci;
  }
  [[nodiscard]] std::int64_t y_index(std::int64_t n, std::int64_t oy, std::int64_t ox) const {
    return ((n * y_.out + oy) * x_.out + ox) * d_.co;
  }
  [[nodiscard]] std::int64_t w_index(std::int64_t o, std::int64_t ky, std::int64_t kx) const {
    return o * weight_row_ + (ky * x_.taps + kx) * d_.ci;
  }
  [[nodiscard]] std::int64_t x_image() const { return d_.h * d_.w * d_.ci; }
  [[nodiscard]] std::int64_t y_image() const { return y_.out * x_.out * d_.co; }

  void forward(const float* x, const float* w, float* y) const {
    for_each_piece(y_.out, x_.out, d_.co, [&](const Piece& p) {
      const std::int64_t kx = std::max<std::int64_t>(0, -x_.input(p.column, 0));
      const std::int64_t taps = std::min(x_.taps, x_.in - x_.input(p.column, 0)) - kx;
      float beta = 0;
      for (std::int64_t ky = 0; ky < y_.taps; ++ky) {
        if (!y_.valid(p.row, ky)) continue;
        dnnl::sgemm('N', 'T', p.images, p.channels, taps * d_.ci, 1,
                    x + x_index(p.image, y_.input(p.row, ky), x_.input(p.column, kx)), x_image(),
                    w + w_index(p.channel, ky, kx), weight_row_, beta,
                    y + y_index(p.image, p.row, p.column) + p.channel, y_image());
        beta = 1;
      }
    });
  }

  /// Output position that tap t carries input i to, or -1.
  static std::int64_t output(const Conv2dAxis& axis, std::int64_t i, std::int64_t t) {
    const std::int64_t distance = i + axis.padding - t;
    return distance >= 0 && distance % axis.stride == 0 && distance / axis.stride < axis.out ? distance / axis.stride
                                                                                             : -1;
  }

  void data(const float* dy, const float* w, float* dx, bool accumulate) const {
    for_each_piece(y_.in, x_.in, d_.ci, [&](const Piece& p) {
      float* target = dx + x_index(p.image, p.row, p.column) + p.channel;
      float beta = accumulate ? 1 : 0;
      for (std::int64_t ky = 0; ky < y_.taps; ++ky) {
        for (std::int64_t kx = 0; kx < x_.taps; ++kx) {
          const std::int64_t oy = output(y_, p.row, ky);
          const std::int64_t ox = output(x_, p.column, kx);
          if (oy < 0 || ox < 0) continue;
          dnnl::sgemm('N', 'N', p.images, p.channels, d_.co, 1, dy + y_index(p.image, oy, ox), y_image(),
                      w + w_index(0, ky, kx) + p.channel, weight_row_, beta, target, x_image());
          beta = 1;
        }
      }
      if (beta != 0) return;  // something was written or is kept
      for (std::int64_t n = 0; n < p.images; ++n) std::fill_n(target + n * x_image(), p.channels, 0.0f);
    });
  }

  void weight(const float* dy, const float* x, float* dw) const {
    constexpr std::int64_t kChannelBlock = 64;
    const std::int64_t blocks = pieces_of(d_.co, kChannelBlock);
    parallel_for(y_.taps * x_.taps * blocks, [&](std::int64_t piece) {
      const OneThread one_thread;
      const std::int64_t o = piece % blocks * kChannelBlock;
      const std::int64_t ky = piece / blocks / x_.taps;
      const std::int64_t kx = piece / blocks % x_.taps;
      float beta = 0;
      for (std::int64_t oy = 0; oy < y_.out; ++oy) {
        for (std::int64_t ox = 0; ox < x_.out; ++ox) {
          if (!y_.valid(oy, ky) || !x_.valid(ox, kx)) continue;
          dnnl::sgemm('T', 'N', std::min(kChannelBlock, d_.co - o), d_.ci, d_.n, 1, dy + y_index(0, oy, ox) + o,
                      y_image(), x + x_index(0, y_.input(oy, ky), x_.input(ox, kx)), x_image(), beta,
                      dw + w_index(o, ky, kx), weight_row_);
          beta = 1;
        }
      }
      if (beta != 0) return;  // an inner tap that meets no input with this stride has no gradient
      for (std::int64_t k = o; k < std::min(o + kChannelBlock, d_.co); ++k) {
        std::fill_n(dw + w_index(k, ky, kx), d_.ci, 0.0f);
      }
    });
  }

  Conv2dPass pass_;
  Conv2dDims d_;
  Conv2dAxis y_, x_;
  std::int64_t weight_row_;
  bool in_place_;
  LiveWeights weights_;
};

}  // namespace

std::unique_ptr<Conv2dPlan> conv2d_positions_plan(Conv2dPass pass, const Conv2dDims& dims) {
  return std::make_unique<PositionsPlan>(pass, dims);
}

}  // namespace roap::cpu
