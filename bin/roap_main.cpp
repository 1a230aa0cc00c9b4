#include "bin/roap_main.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "io/suggest.h"
#include "kernels/common/error.h"

namespace roap::bin {

namespace {

int fail(const CLI::App& app, ExitCode code, const std::string& message) {
  fmt::print(stderr, "{}: {}\n", app.get_name(), message);
  return static_cast<int>(code);
}

/// Help and version are no errors; a mistyped command gets a suggestion.
int usage_failure(const CLI::App& app, const CLI::ParseError& error, const std::string& word) {
  if (error.get_exit_code() == 0) return app.exit(error);
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  const bool known = std::find(commands.begin(), commands.end(), word) != commands.end();
  const std::string program = app.get_name();
  if (!commands.empty() && !known && !word.empty() && word[0] != '-') {
    return fail(app, ExitCode::usage,
                fmt::format("unknown command \"{}\"{}. See: {} --help", word, io::suggestion(word, commands), program));
  }
  return fail(app, ExitCode::usage,
              fmt::format("{}. See: {} {}--help", error.what(), program, known ? word + " " : std::string()));
}

/// Results that did not reach a file or pipe are a failure, not a success.
void flush_results() {
  if (std::fflush(stdout) == 0) return;
  throw DeviceError(fmt::format("cannot write results to standard output: {}", std::generic_category().message(errno)));
}

}  // namespace

int run_program(CLI::App& app, int argc, char** argv, const int& exit_code) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file above the size limit then is an error of write(), like a full disk
  try {
    app.parse(argc, argv);
    flush_results();
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return usage_failure(app, error, argc > 1 ? argv[1] : "");
  } catch (const Error& error) {
    return fail(app, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(app, ExitCode::device, "out of memory: use fewer pairs per step or a smaller model");
  } catch (const std::exception& error) {
    return fail(app, ExitCode::device, fmt::format("unexpected error: {}", error.what()));
  }
}

}  // namespace roap::bin
