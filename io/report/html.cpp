#include "io/report/html.h"

#include <algorithm>
#include <array>

#include "io/embedded.h"

namespace roap::io {

namespace {

constexpr std::array<std::string_view, 3> kVoidElements = {"meta", "img", "input"};
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

bool is_continuation(unsigned char byte) { return (byte & 0xc0u) == 0x80u; }

/// Bytes of the UTF-8 character at the beginning of `bytes`, or 0 where it is none. Over-long forms pass: they do no
/// harm here.
std::size_t character_length(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  if (lead < 0x80) return lead >= ' ' || lead == '\n' || lead == '\t' ? 1 : 0;
  const std::size_t length = lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length == 0 || lead >= 0xf5 || bytes.size() < length) return 0;
  const std::string_view rest = bytes.substr(1, length - 1);
  return std::ranges::all_of(rest, [](char c) { return is_continuation(static_cast<unsigned char>(c)); }) ? length : 0;
}

std::string escaped(std::string_view words) {
  std::string result;
  result.reserve(words.size());
  while (!words.empty()) {
    const std::size_t length = character_length(words);
    switch (words[0]) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += length == 0 ? kReplacement : words.substr(0, length);
    }
    words.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

std::string_view asset(std::string_view name) {
  const auto& files = embedded_files();
  return std::ranges::find(files, name, &EmbeddedFile::name)->bytes;
}

}  // namespace

Html text(std::string_view words) { return Html(escaped(words)); }

Html element(std::string_view tag, std::initializer_list<Attribute> attributes, const Html& content) {
  std::string markup = "<" + std::string(tag);
  for (const Attribute& attribute : attributes) {
    markup.append(" ").append(attribute.name).append("=\"").append(escaped(attribute.value)).append("\"");
  }
  markup += ">";
  if (std::ranges::find(kVoidElements, tag) == kVoidElements.end()) {
    markup.append(content.str()).append("</").append(tag).append(">");
  }
  return Html(std::move(markup));
}

Html paragraph(std::string_view words, const std::string& style) {
  return style.empty() ? element("p", words) : element("p", {{"class", style}}, text(words));
}

std::string html_page(std::string_view title, const Html& body) {
  // The style sheet and the script are ours and stand in the page as they are.
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">";
  page += element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}).str();
  // Nothing is loaded from anywhere, and the browser holds us to it.
  page +=
      element("meta",
              {{"http-equiv", "Content-Security-Policy"},
               {"content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"}})
          .str();
  page += element("title", title).str();
  page.append("<style>\n").append(asset("io/report/report.css")).append("</style></head>\n<body><main>\n");
  page += element("h1", title).str() + body.str();
  page.append("\n</main><script>\n").append(asset("io/report/report.js")).append("</script></body></html>\n");
  return page;
}

}  // namespace roap::io
