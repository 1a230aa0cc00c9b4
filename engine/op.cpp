#include "engine/op.h"

#include <fmt/format.h>

#include <map>
#include <string>

namespace roap {

namespace {
std::map<std::string, Reference, std::less<>>& references() {
  static std::map<std::string, Reference, std::less<>> table;
  return table;
}
}  // namespace

std::string_view to_string(DeviceKind device) {
  switch (device) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::reference_f32:
      return "reference-f32";
    case DeviceKind::reference_f64:
      return "reference-f64";
  }
  return "?";
}

void Op::gradient(GradientContext& /*context*/) const {
  throw ShapeError(fmt::format("[{}] has no gradient, but one of its inputs needs it", type()));
}

void register_reference(std::string_view type, Reference reference) { references()[std::string(type)] = reference; }

const Reference* find_reference(std::string_view type) {
  const auto found = references().find(type);
  return found == references().end() ? nullptr : &found->second;
}

}  // namespace roap
