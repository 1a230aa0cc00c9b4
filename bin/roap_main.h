#pragma once

#include <CLI/CLI.hpp>

namespace roap::bin {

/// Parses the command line, which runs what the options' callbacks do, and gives the exit code: `exit_code` where
/// nothing failed, else that of the error, told on stderr as "PROGRAM: what, where, why, what to do".
int run_program(CLI::App& app, int argc, char** argv, const int& exit_code);

}  // namespace roap::bin
