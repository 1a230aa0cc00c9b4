#include "models/programs/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "kernels/common/error.h"

namespace roap::programs {
namespace {

constexpr int kSum = 1;
constexpr int kProduct = 2;
constexpr int kSign = 3;
constexpr int kPower = 4;
constexpr int kAtom = 5;

// In the order of the enumerators.
constexpr std::array<OperatorInfo, 9> kTable = {{
    {Operator::add, "add", "+", Notation::infix, kSum, true, true, [](double a, double b) { return a + b; }},
    {Operator::sub, "sub", "-", Notation::infix, kSum, false, true, [](double a, double b) { return a - b; }},
    {Operator::mul, "mul", "*", Notation::infix, kProduct, true, true, [](double a, double b) { return a * b; }},
    {Operator::noop, "noop", "noop", Notation::infix, kSum, false, true, [](double a, double) { return a; }},
    {Operator::div, "div", "/", Notation::infix, kProduct, false, false, [](double a, double b) { return a / b; }},
    {Operator::min, "min", "min", Notation::function, kAtom, true, false,
     [](double a, double b) { return a < b ? a : b; }},
    {Operator::max, "max", "max", Notation::function, kAtom, true, false,
     [](double a, double b) { return a > b ? a : b; }},
    {Operator::neg, "neg", "-", Notation::prefix, kSign, false, true, [](double a, double) { return -a; }},
    {Operator::square, "square", "^2", Notation::postfix, kPower, false, true, [](double a, double) { return a * a; }},
}};

}  // namespace

const OperatorInfo& info(Operator op) { return kTable[static_cast<std::size_t>(op)]; }

std::span<const OperatorInfo> all_operators() { return kTable; }

std::vector<Operator> parse_operators(std::string_view names) {
  std::array<bool, kTable.size()> chosen{};
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    const std::string_view name = names.substr(0, comma);
    const auto found = std::ranges::find(kTable, name, &OperatorInfo::name);
    if (found == kTable.end() || found->op == Operator::noop) {
      std::string known;
      for (const OperatorInfo& row : kTable) {
        if (row.op != Operator::noop) known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
      }
      throw UsageError(fmt::format("unknown operator \"{}\": choose from {}, separated by commas", name, known));
    }
    chosen[static_cast<std::size_t>(found->op)] = true;
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  std::vector<Operator> operators;
  for (const OperatorInfo& row : kTable) {
    if (chosen[static_cast<std::size_t>(row.op)]) operators.push_back(row.op);
  }
  if (operators.empty()) throw UsageError("no operators given: for example add,sub,mul");
  return operators;
}

}  // namespace roap::programs
