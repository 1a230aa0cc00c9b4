#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace roap::io {

/// Markup that is safe to stand in a page. Only text() and element() make it, and they escape what they are given, so
/// that a formula, a file's name or an error message can never be taken for markup.
class Html {
 public:
  Html() = default;
  Html& operator+=(const Html& other) {
    markup_ += other.markup_;
    return *this;
  }
  friend Html operator+(Html left, const Html& right) { return left += right; }
  [[nodiscard]] const std::string& str() const { return markup_; }
  [[nodiscard]] bool empty() const { return markup_.empty(); }

 private:
  explicit Html(std::string markup) : markup_(std::move(markup)) {}
  std::string markup_;
  friend Html text(std::string_view words);
  friend Html element(std::string_view tag, std::initializer_list<struct Attribute> attributes, const Html& content);
};

struct Attribute {
  std::string_view name;
  std::string value;
};

/// Words as they are; bytes that are not UTF-8 become the replacement character.
Html text(std::string_view words);

/// <tag name="value">content</tag>; for HTML and SVG alike.
Html element(std::string_view tag, std::initializer_list<Attribute> attributes, const Html& content = {});
inline Html element(std::string_view tag, const Html& content) { return element(tag, {}, content); }
inline Html element(std::string_view tag, std::string_view words) { return element(tag, {}, text(words)); }

/// A paragraph of a class of the style sheet: "note", "warn" or "".
Html paragraph(std::string_view words, const std::string& style = "");

/// A whole page that needs no other file: style sheet and script are built in. `body` follows the heading.
std::string html_page(std::string_view title, const Html& body);

}  // namespace roap::io
