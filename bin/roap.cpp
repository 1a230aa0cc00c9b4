#include "bin/roap_commands.h"
#include "bin/roap_main.h"
#include "engine/device.h"

int main(int argc, char** argv) {
  roap::restart_with_short_waits(argv);
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
  return roap::bin::run_program(app, argc, argv, exit_code);
}
