"""`make bench`: every figure beside a baseline measured in the same run. `python -m tests.benchmarks NAME ...` for some.

`python -m tests.benchmarks fraud_quality --help`: this one and `training` are asked by options."""

import importlib
import sys

BENCHMARKS = (
    *("acknowledgement", "cold_start", "bundles", "adapters", "scoring", "growth", "throughput"),
    *("door", "training"),
)
ON_REQUEST = (
    "fraud_quality",
    "rule_harm",
    "night",
    "deadlines",
    "silence",
    "lists",
    "candidates",
)  # takes minutes, and data that is not part of the project

BY_OPTIONS = ("fraud_quality", "training")


def main(names: list[str]) -> None:
    if names and names[0] in BY_OPTIONS:
        importlib.import_module(f"tests.benchmarks.{names[0]}").main(names[1:])
        return
    for name in names or BENCHMARKS:
        if name not in BENCHMARKS + ON_REQUEST:
            raise SystemExit(f"no benchmark is called {name!r}; there are: {', '.join(BENCHMARKS + ON_REQUEST)}")
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
