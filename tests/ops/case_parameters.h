#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <ostream>
#include <string>
#include <vector>

#include "tests/ops/run_case.h"

namespace roap {

/// GoogleTest parameter: one case of one operator, named "conv2d_n2_8x8_stride1".
struct CaseParameter {
  std::string name;
  const OpCase* op_case = nullptr;
};

inline void PrintTo(const CaseParameter& parameter, std::ostream* out) { *out << parameter.name; }

inline std::vector<CaseParameter> case_parameters(bool (*wanted)(const OpCase&)) {
  std::vector<CaseParameter> parameters;
  for (const NamedOperatorTests& op : all_operator_tests()) {
    for (const OpCase& op_case : op.tests.cases) {
      if (!wanted(op_case)) continue;
      std::string name = op.name + "_" + op_case.name;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      parameters.push_back({name, &op_case});
    }
  }
  return parameters;
}

inline std::string case_name(const testing::TestParamInfo<CaseParameter>& info) { return info.param.name; }

}  // namespace roap
