#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "io/file_util.h"
#include "tests/io/io_test_util.h"

// Runs the program as a user does: as a process of its own, in a temporary folder.

namespace roap::bin {

using io::expect_contains;
using io::TempFolder;
using io::write_text;
using Arguments = std::vector<std::string>;

/// How a process ended and what it printed.
struct Result {
  int exit_code = -1;
  int signal = 0;  ///< that killed it; then exit_code is -1
  std::string out, err;
  long peak_kib = 0;  ///< of its resident memory
};

/// A running roap. Its standard streams go to files of `folder`, which is also its working folder.
class Process {
 public:
  /// `file_size_limit` in bytes imitates a full disk; 0 is none.
  Process(const TempFolder& folder, const Arguments& arguments, rlim_t file_size_limit = 0,
          const char* binary = ROAP_BINARY)
      : folder_(folder.path()) {
    std::vector<char*> words{const_cast<char*>(binary)};
    for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    if (::chdir(folder_.c_str()) != 0) ::_exit(127);
    ::dup2(::open("stdout.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666), STDOUT_FILENO);
    ::dup2(::open("stderr.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666), STDERR_FILENO);
    if (file_size_limit > 0) {
      const rlimit limit{file_size_limit, file_size_limit};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ::execv(binary, words.data());
    ::_exit(127);
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const { ::kill(pid_, signal); }
  [[nodiscard]] pid_t id() const { return pid_; }

  Result wait() {
    int status = 0;
    rusage usage{};
    ::wait4(pid_, &status, 0, &usage);
    pid_ = -1;
    Result result;
    result.peak_kib = usage.ru_maxrss;
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    result.out = io::read_file(folder_ / "stdout.txt");
    result.err = io::read_file(folder_ / "stderr.txt");
    return result;
  }

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
};

inline Result run(const TempFolder& folder, const Arguments& arguments) { return Process(folder, arguments).wait(); }

/// Runs roap and expects that exit code and every one of those parts in what it says on stderr.
inline void expect_failure(const TempFolder& folder, const Arguments& arguments, int exit_code,
                           const std::vector<std::string>& parts) {
  const Result result = run(folder, arguments);
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  for (const std::string& part : parts) expect_contains(result.err, part);
}

/// Waits until `condition` holds; false after `seconds`.
inline bool wait_until(const std::function<bool()>& condition, double seconds = 60) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// The smallest run that has every part: 8 tasks on digits.
inline std::string tiny_config(int steps) {
  return "[tasks]\ncount = 8\nmax_operators = 1\n"
         "[model]\ngrounder_width = 2\nwidth = 8\nlines = 4\n"
         "[train]\nsteps = " +
         std::to_string(steps) +
         "\npairs_per_step = 8\nloss = \"profiled\"\n"
         "[device]\nthreads = 1\n"
         "[checkpoint]\nevery_steps = 5\nkeep = 3\n"
         "[log]\nevery_steps = 1\neval_every_steps = 20\n";
}

/// Trains the tiny run into FOLDER/NAME.
inline Result train_tiny(const TempFolder& folder, const std::string& name, int steps = 10) {
  write_text(folder / "tiny.toml", tiny_config(steps));
  return run(folder, {"train", "--preset", "tiny.toml", "--out", name, "--json"});
}

/// Opens a page in a browser: see tests/report/check_page.py.
inline void expect_good_page(const std::filesystem::path& page) {
  constexpr int kSkipped = 77;
  const std::string log = page.string() + ".log";
  const std::string command =
      "python3 " ROAP_SOURCE_DIR "/tests/report/check_page.py '" + page.string() + "' > '" + log + "' 2>&1";
  const int status = std::system(command.c_str());
  if (WEXITSTATUS(status) == kSkipped) GTEST_SKIP() << io::read_file(log);
  EXPECT_EQ(status, 0) << io::read_file(log);
}

/// Results without what a clock says.
inline nlohmann::json without_clock(nlohmann::json json) {
  for (const char* key : {"seconds", "cpu_seconds"}) json.erase(key);
  return json;
}

/// Lines of a run's metrics.jsonl without what a clock or the folder's name says.
inline std::vector<nlohmann::json> metrics_lines(const std::filesystem::path& run_folder) {
  std::vector<nlohmann::json> lines;
  const std::filesystem::path path = run_folder / "metrics.jsonl";
  if (!io::is_present(path)) return lines;
  const std::string text = io::read_file(path);
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(without_clock(nlohmann::json::parse(text.substr(begin, end - begin))));
    lines.back().erase("run");
  }
  return lines;
}

}  // namespace roap::bin
