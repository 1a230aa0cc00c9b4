#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace roap::io {

struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;                  ///< 1 (grey) or 3 (RGB)
  std::vector<std::uint8_t> pixels;  ///< [height, width, channels]
};

/// Reads a PNG or JPEG file as 8-bit grey (`channels` 1) or RGB (3); transparency is dropped. DataError with the path
/// and the reason for anything else: another format, a damaged or truncated file, sides above 8192 pixels.
Image read_image(const std::filesystem::path& path, int channels);

/// The same for a file's content; `label` names it in messages.
Image decode_image(std::string_view bytes, int channels, std::string_view label);

/// DataError "LABEL: image is 40 x 30 pixels, the model expects 32 x 32" unless the size fits.
void require_image_size(const Image& image, int width, int height, std::string_view label);

/// An image as the bytes of a PNG file. DataError that begins with `label` where size and pixels do not fit.
std::string encode_png(const Image& image, std::string_view label);

/// Writes an image as PNG, whole or not at all. DeviceError when the disk refuses.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace roap::io
