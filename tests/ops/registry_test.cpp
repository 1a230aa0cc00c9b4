#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/ops/run_case.h"

namespace roap {
namespace {

namespace fs = std::filesystem;

TEST(Registry, EveryOperatorFolderHasALineInOpsDef) {
  std::set<std::string> registered;
  for (const NamedOperatorTests& op : all_operator_tests()) registered.insert(op.name);
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(fs::path(ROAP_SOURCE_DIR) / "kernels")) {
    if (entry.is_directory() && entry.path().filename() != "common") folders.insert(entry.path().filename().string());
  }
  EXPECT_EQ(registered, folders);
}

TEST(Registry, EveryOperatorHasCasesReferencesAndAGradientOrAReason) {
  for (const NamedOperatorTests& op : all_operator_tests()) {
    SCOPED_TRACE(op.name);
    const auto& cases = op.tests.cases;
    EXPECT_GE(std::count_if(cases.begin(), cases.end(), [](const OpCase& c) { return !c.performance; }), 3);
    const bool checked = std::any_of(cases.begin(), cases.end(), [](const OpCase& c) { return c.check_gradient; });
    EXPECT_TRUE(checked || !op.tests.no_gradient_reason.empty());
    for (const auto& [type, reference] : op.tests.references) {
      EXPECT_TRUE(reference.run_f32 != nullptr && reference.run_f64 != nullptr) << type;
    }
    for (const OpCase& op_case : cases) EXPECT_NE(find_reference(op_case.op->type()), nullptr) << op_case.op->type();
  }
}

TEST(Registry, EveryOperatorHasAPerformanceCase) {
  for (const NamedOperatorTests& op : all_operator_tests()) {
    EXPECT_TRUE(std::any_of(op.tests.cases.begin(), op.tests.cases.end(), [](const OpCase& c) {
      return c.performance;
    })) << op.name;
  }
}

TEST(Registry, CaseNamesAreUnique) {
  for (const NamedOperatorTests& op : all_operator_tests()) {
    std::set<std::string> names;
    for (const OpCase& op_case : op.tests.cases)
      EXPECT_TRUE(names.insert(op_case.name).second) << op.name << " " << op_case.name;
  }
}

}  // namespace
}  // namespace roap
