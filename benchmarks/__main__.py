"""`python -m benchmarks [NAME...]`: run all benchmarks, or those named, and print their tables."""

import importlib
import sys

NAMES = ("restart", "hang", "verify", "training_time", "runner_cpu", "listing", "fold", "memory", "step_cost")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
