#include "io/image_file.h"

#include <gtest/gtest.h>
#include <png.h>
#include <turbojpeg.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "io/file_util.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace {

Image pattern(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int i = 0; i < width * height * channels; ++i) image.pixels.push_back(static_cast<std::uint8_t>(i * 7));
  return image;
}

std::string png_bytes(const std::vector<std::uint8_t>& pixels, unsigned width, unsigned height, unsigned format) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = width;
  png.height = height;
  png.format = format;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  EXPECT_NE(png_image_write_to_memory(&png, bytes.data(), &size, 0, pixels.data(), 0, nullptr), 0);
  bytes.resize(size);
  return bytes;
}

std::string jpeg_bytes(const Image& image) {
  const tjhandle turbo = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;
  const bool grey = image.channels == 1;
  EXPECT_EQ(tjCompress2(turbo, image.pixels.data(), image.width, 0, image.height, grey ? TJPF_GRAY : TJPF_RGB, &data,
                        &size, grey ? TJSAMP_GRAY : TJSAMP_444, 95, 0),
            0);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  tjFree(data);
  tjDestroy(turbo);
  return bytes;
}

/// Decodes; true when it works, false on a DataError. Anything else fails the test.
bool decodes(const std::string& bytes, int channels) {
  try {
    decode_image(bytes, channels, "f");
    return true;
  } catch (const DataError&) {
    return false;
  }
}

TEST(ImageFile, PngComesBackExactly) {
  const TempFolder folder;
  for (const int channels : {1, 3}) {
    const Image image = pattern(13, 7, channels);
    write_png(folder / "a.png", image);
    const Image back = read_image(folder / "a.png", channels);
    EXPECT_EQ(back.width, 13);
    EXPECT_EQ(back.height, 7);
    EXPECT_EQ(back.channels, channels);
    EXPECT_EQ(back.pixels, image.pixels);
  }
}

TEST(ImageFile, GreyAndColourConvert) {
  const Image grey{2, 1, 1, {10, 250}};
  const Image as_colour = decode_image(png_bytes(grey.pixels, 2, 1, PNG_FORMAT_GRAY), 3, "f");
  EXPECT_EQ(as_colour.pixels, (std::vector<std::uint8_t>{10, 10, 10, 250, 250, 250}));
  const std::vector<std::uint8_t> neutral = {80, 80, 80, 200, 200, 200};
  const Image as_grey = decode_image(png_bytes(neutral, 2, 1, PNG_FORMAT_RGB), 1, "f");
  ASSERT_EQ(as_grey.pixels.size(), 2u);
  EXPECT_NEAR(as_grey.pixels[0], 80, 1);
  EXPECT_NEAR(as_grey.pixels[1], 200, 1);
}

TEST(ImageFile, TransparencyIsDropped) {
  const std::vector<std::uint8_t> transparent = {10, 20, 30, 0, 40, 50, 60, 128};
  const Image image = decode_image(png_bytes(transparent, 2, 1, PNG_FORMAT_RGBA), 3, "f");
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{10, 20, 30, 40, 50, 60}));
}

TEST(ImageFile, JpegIsRead) {
  Image flat{16, 8, 3, std::vector<std::uint8_t>(16 * 8 * 3, 120)};
  const Image colour = decode_image(jpeg_bytes(flat), 3, "f");
  EXPECT_EQ(colour.width, 16);
  EXPECT_EQ(colour.height, 8);
  ASSERT_EQ(colour.pixels.size(), flat.pixels.size());
  for (const std::uint8_t value : colour.pixels) EXPECT_NEAR(value, 120, 2);
  EXPECT_EQ(decode_image(jpeg_bytes(flat), 1, "f").pixels.size(), 16u * 8);
  const Image grey = pattern(8, 8, 1);
  EXPECT_EQ(decode_image(jpeg_bytes(grey), 3, "f").pixels.size(), 8u * 8 * 3);
}

TEST(ImageFile, EveryTruncationIsRefused) {
  const Image image = pattern(9, 9, 3);
  constexpr std::size_t kPngEnd = 12;  // the last chunk holds no picture
  constexpr std::size_t kJpegEnd = 2;
  const std::string png = png_bytes(image.pixels, 9, 9, PNG_FORMAT_RGB);
  for (std::size_t size = 0; size < png.size() - kPngEnd; ++size) EXPECT_FALSE(decodes(png.substr(0, size), 3)) << size;
  const std::string jpeg = jpeg_bytes(image);
  for (std::size_t size = 0; size < jpeg.size() - kJpegEnd; ++size) {
    EXPECT_FALSE(decodes(jpeg.substr(0, size), 3)) << size;
  }
}

TEST(ImageFile, DamagedBytesNeverCrash) {
  const Image image = pattern(9, 9, 3);
  for (const std::string& intact : {png_bytes(image.pixels, 9, 9, PNG_FORMAT_RGB), jpeg_bytes(image)}) {
    int refused = 0;
    for (std::size_t byte = 0; byte < intact.size(); ++byte) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string damaged = intact;
        damaged[byte] = static_cast<char>(damaged[byte] ^ flip);
        refused += decodes(damaged, 3) ? 0 : 1;
      }
    }
    EXPECT_GT(refused, 0);
  }
}

TEST(ImageFile, HugeSizesAreRefusedBeforeMemoryIsTaken) {
  std::string jpeg = jpeg_bytes(pattern(8, 8, 1));
  const std::size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xf0\xf0\xf0\xf0");
  expect_contains(message_of<DataError>([&] { decode_image(jpeg, 1, "f"); }), "61680 x 61680 pixels");
  const std::vector<std::uint8_t> row(9000);
  expect_contains(message_of<DataError>([&] { decode_image(png_bytes(row, 9000, 1, PNG_FORMAT_GRAY), 1, "f"); }),
                  "f: image of 9000 x 1 pixels; sides of 1 to 8192 are accepted");
}

TEST(ImageFile, OtherFilesAreNamed) {
  const TempFolder folder;
  write_text(folder / "a.gif", "GIF89a......");
  expect_contains(message_of<DataError>([&] { read_image(folder / "a.gif", 3); }), "a.gif: not a PNG or JPEG image");
  write_text(folder / "empty", "");
  expect_contains(message_of<DataError>([&] { read_image(folder / "empty", 3); }), "the file is empty");
  expect_contains(message_of<DataError>([&] { read_image(folder / "none", 3); }), "No such file");
  message_of<DataError>([&] { read_image(folder.path(), 3); });
}

TEST(ImageFile, WrongSizeForAModelIsSaid) {
  const Image image = pattern(40, 30, 1);
  EXPECT_EQ(message_of<DataError>([&] { require_image_size(image, 32, 32, "a.png"); }),
            "a.png: image is 40 x 30 pixels, the model expects 32 x 32; resize it");
  require_image_size(image, 40, 30, "a.png");
}

TEST(ImageFile, BadPicturesAreNotWritten) {
  const TempFolder folder;
  message_of<DataError>([&] { write_png(folder / "a.png", Image{2, 2, 2, std::vector<std::uint8_t>(8)}); });
  message_of<DataError>([&] { write_png(folder / "a.png", Image{2, 2, 1, std::vector<std::uint8_t>(3)}); });
  message_of<DataError>([&] { write_png(folder / "a.png", Image{0, 2, 1, {}}); });
  message_of<DeviceError>([&] { write_png("/proc/a.png", pattern(2, 2, 1)); });
}

}  // namespace
}  // namespace roap::io
