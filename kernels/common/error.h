#pragma once

#include <stdexcept>
#include <string>

namespace roap {

/// Process exit codes; also the kinds of error a user can meet.
enum class ExitCode : int {
  ok = 0,
  usage = 2,       ///< command line or configuration
  data = 3,        ///< data set, image or table
  checkpoint = 4,  ///< checkpoint or run folder
  device = 5,      ///< device, memory or disk
  diverged = 6,    ///< training produced only non-finite steps
};

/// Base of every error a user may see: the message says what, where, why and what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ExitCode::usage, message) {}
};

class DataError : public Error {
 public:
  explicit DataError(const std::string& message) : Error(ExitCode::data, message) {}
};

class CheckpointError : public Error {
 public:
  explicit CheckpointError(const std::string& message) : Error(ExitCode::checkpoint, message) {}
};

class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& message) : Error(ExitCode::device, message) {}
};

class DivergedError : public Error {
 public:
  explicit DivergedError(const std::string& message) : Error(ExitCode::diverged, message) {}
};

/// A graph or operator was built with shapes that do not fit: a programming or configuration error.
class ShapeError : public Error {
 public:
  explicit ShapeError(const std::string& message) : Error(ExitCode::usage, message) {}
};

}  // namespace roap
