#include "io/metrics_log.h"

#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

namespace roap::io {
namespace {

bool belongs(std::string_view line, std::int64_t step) {
  constexpr bool kThrow = false;
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, kThrow);
  if (!json.is_object()) return false;
  const auto found = json.find("step");
  return found == json.end() || (found->is_number_integer() && found->get<std::int64_t>() <= step);
}

}  // namespace

void MetricsLog::append(const nlohmann::ordered_json& line) { file_.write(line.dump() + "\n"); }

void truncate_metrics(const std::filesystem::path& path, std::int64_t step) {
  if (!is_present(path)) return;
  const std::string text = read_file(path);
  std::size_t kept = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', kept)) {
    if (!belongs(std::string_view(text).substr(kept, end - kept), step)) break;
    kept = end + 1;
  }
  if (kept == text.size()) return;
  if (::truncate(path.c_str(), static_cast<off_t>(kept)) != 0) throw_system_error("shorten", path, errno);
}

}  // namespace roap::io
