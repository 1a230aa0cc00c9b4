#pragma once

#include <span>
#include <string>
#include <string_view>

namespace roap::io {

/// Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
int edit_distance(std::string_view a, std::string_view b);

/// The known name nearest to `name`, or "" when none is near enough to be a likely typing error.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

/// "; did you mean \"X\"?" with the nearest known name, or "" when none is near.
std::string suggestion(std::string_view name, std::span<const std::string> known);

}  // namespace roap::io
