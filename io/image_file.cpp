#include "io/image_file.h"

#include <fmt/format.h>
#include <png.h>
#include <turbojpeg.h>

#include <cstddef>
#include <memory>
#include <string>

#include "io/file_util.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMaxSide = 8192;
constexpr std::uintmax_t kMaxFileBytes = 256u << 20;
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kJpegSignature = "\xff\xd8\xff";

[[noreturn]] void fail(std::string_view label, std::string_view reason) {
  throw DataError(fmt::format("{}: {}", label, reason));
}

/// A few bytes of header can ask for gigabytes: refuse before memory is taken.
void require_sane_size(std::uint64_t width, std::uint64_t height, std::string_view label) {
  if (width == 0 || height == 0 || width > kMaxSide || height > kMaxSide) {
    fail(label, fmt::format("image of {} x {} pixels; sides of 1 to {} are accepted", width, height, kMaxSide));
  }
}

struct FreePng {
  void operator()(png_image* image) const { png_image_free(image); }
};

Image decode_png(std::string_view bytes, int channels, std::string_view label) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, FreePng> owner(&png);
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) {
    fail(label, fmt::format("PNG: {}", png.message));
  }
  require_sane_size(png.width, png.height, label);
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  // Read with transparency and drop it here: the library would blend with a background instead.
  png.format = channels == 1 ? PNG_FORMAT_GA : PNG_FORMAT_RGBA;
  std::vector<std::uint8_t> with_alpha(PNG_IMAGE_SIZE(png));
  if (png_image_finish_read(&png, nullptr, with_alpha.data(), 0, nullptr) == 0 || PNG_IMAGE_FAILED(png)) {
    fail(label, fmt::format("PNG: {}", png.message));
  }
  Image image{static_cast<int>(png.width), static_cast<int>(png.height), channels, {}};
  image.pixels.reserve(with_alpha.size());
  const auto group = static_cast<std::size_t>(channels) + 1;
  for (std::size_t i = 0; i < with_alpha.size(); ++i) {
    if (i % group != static_cast<std::size_t>(channels)) image.pixels.push_back(with_alpha[i]);
  }
  return image;
}

struct DestroyTurbo {
  void operator()(void* handle) const { tjDestroy(handle); }
};

Image decode_jpeg(std::string_view bytes, int channels, std::string_view label) {
  const std::unique_ptr<void, DestroyTurbo> turbo(tjInitDecompress());
  if (!turbo) fail(label, "JPEG: the decoder does not start");
  const auto check = [&](int result) {
    if (result != 0) fail(label, fmt::format("JPEG: {}", tjGetErrorStr2(turbo.get())));
  };
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colour_space = 0;
  check(tjDecompressHeader3(turbo.get(), data, bytes.size(), &width, &height, &subsampling, &colour_space));
  require_sane_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), label);
  if (colour_space == TJCS_CMYK || colour_space == TJCS_YCCK)
    fail(label, "JPEG in CMYK is not supported; save it as RGB");
  Image image{width, height, channels, {}};
  image.pixels.resize(static_cast<std::size_t>(width) * height * channels);
  const int format = channels == 1 ? TJPF_GRAY : TJPF_RGB;
  check(tjDecompress2(turbo.get(), data, bytes.size(), image.pixels.data(), width, 0, height, format,
                      TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT));
  return image;
}

}  // namespace

Image decode_image(std::string_view bytes, int channels, std::string_view label) {
  if (channels != 1 && channels != 3) fail(label, fmt::format("images have 1 or 3 channels, not {}", channels));
  if (bytes.starts_with(kPngSignature)) return decode_png(bytes, channels, label);
  if (bytes.starts_with(kJpegSignature)) return decode_jpeg(bytes, channels, label);
  fail(label, bytes.empty() ? "the file is empty" : "not a PNG or JPEG image");
}

Image read_image(const fs::path& path, int channels) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (!error && size > kMaxFileBytes) {
    fail(path.string(), fmt::format("file of {} bytes; at most {} are accepted", size, kMaxFileBytes));
  }
  return decode_image(read_file(path), channels, path.string());
}

void require_image_size(const Image& image, int width, int height, std::string_view label) {
  if (image.width == width && image.height == height) return;
  fail(label, fmt::format("image is {} x {} pixels, the model expects {} x {}; resize it", image.width, image.height,
                          width, height));
}

std::string encode_png(const Image& image, std::string_view label) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  if (image.channels != 1 && image.channels != 3) fail(label, "images have 1 or 3 channels");
  require_sane_size(png.width, png.height, label);
  if (image.pixels.size() != PNG_IMAGE_SIZE(png)) fail(label, "the pixels do not fit the image's size");

  const std::unique_ptr<png_image, FreePng> owner(&png);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) == 0) {
    fail(label, fmt::format("PNG: {}", png.message));
  }
  bytes.resize(size);
  return bytes;
}

void write_png(const fs::path& path, const Image& image) { atomic_write(path, encode_png(image, path.string())); }

}  // namespace roap::io
