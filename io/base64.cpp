#include "io/base64.h"

#include <openssl/evp.h>

namespace roap::io {

std::string base64(std::string_view bytes) {
  const std::size_t groups = (bytes.size() + 2) / 3;
  std::string text(4 * groups + 1, '\0');  // OpenSSL ends it with a zero byte
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

}  // namespace roap::io
