#pragma once

#include <string>
#include <string_view>

namespace roap::io {

/// Base64 of bytes, with padding and without line breaks.
std::string base64(std::string_view bytes);

}  // namespace roap::io
