"""For checks that test themselves: each finds nothing in what is good, and every fault that is planted."""


def verdict(good, planted):
    """Prints what went wrong and gives the exit code. `good`: problems found where there are none; `planted`: of each fault its name, a part
    of the expected problem, and the problems found."""
    failures = [f"what is good: {problem}" for problem in good]
    failures += [f"{fault}: expected \"{expected}\", found {found}" for fault, expected, found in planted
                 if not any(expected in problem for problem in found)]
    for failure in failures:
        print(f"self-test: {failure}")
    print(f"self-test: {len(planted)} planted faults, {len(failures)} problems")
    return 1 if failures else 0
