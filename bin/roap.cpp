#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "bin/roap_commands.h"
#include "io/suggest.h"
#include "kernels/common/error.h"

namespace {

int fail(roap::ExitCode code, const std::string& message) {
  fmt::print(stderr, "roap: {}\n", message);
  return static_cast<int>(code);
}

std::string first_word(int argc, char** argv) { return argc > 1 ? argv[1] : ""; }

/// Help and version are no errors; a mistyped command gets a suggestion.
int usage_failure(const CLI::App& app, const CLI::ParseError& error, const std::string& word) {
  if (error.get_exit_code() == 0) return app.exit(error);
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  const bool known = std::find(commands.begin(), commands.end(), word) != commands.end();
  if (!known && !word.empty() && word[0] != '-') {
    return fail(roap::ExitCode::usage,
                fmt::format("unknown command \"{}\"{}. See: roap --help", word, roap::io::suggestion(word, commands)));
  }
  return fail(roap::ExitCode::usage,
              fmt::format("{}. See: roap {}--help", error.what(), known ? word + " " : std::string()));
}

/// Results that did not reach a file or pipe are a failure, not a success.
void flush_results() {
  if (std::fflush(stdout) == 0) return;
  throw roap::DeviceError(
      fmt::format("cannot write results to standard output: {}", std::generic_category().message(errno)));
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file above the size limit then is an error of write(), like a full disk
  CLI::App app(
      "Learns perception and programs together: finds out what images stand for and the formula of every task.",
      "roap");
  app.set_version_flag("--version", roap::bin::kVersion);
  app.require_subcommand(1);
  int exit_code = 0;
  roap::bin::add_train_commands(app, exit_code);
  roap::bin::add_use_commands(app, exit_code);
  roap::bin::add_search_commands(app, exit_code);
  roap::bin::add_trace_command(app, exit_code);
  roap::bin::add_profile_command(app, exit_code);
  roap::bin::add_report_command(app, exit_code);
  roap::bin::add_info_commands(app, exit_code);
  try {
    app.parse(argc, argv);
    flush_results();
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return usage_failure(app, error, first_word(argc, argv));
  } catch (const roap::Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(roap::ExitCode::device, "out of memory: use fewer pairs per step or a smaller model");
  } catch (const std::exception& error) {
    return fail(roap::ExitCode::device, fmt::format("unexpected error: {}", error.what()));
  }
}
