"""`make pins`: every function's requirements.txt, completed with what its packages bring along, in the versions installed here.

What a function names itself stays above the mark and is changed by hand; below it stands the rest, so that the bundle of
last month, deployed again, runs on the packages of last month.
"""

from pathlib import Path

from packaging.requirements import Requirement

from terraform.tools import bundle
from tests.functions.alone import closure, normalised

MARK = "# What these bring along, by `make pins`."
PYTHONS = ("3.11", "3.13")  # developed on, deployed on


def completed(text: str) -> str:
    """The requirements in `text` up to the mark, and the pins of everything else that they bring."""
    own = [line for line in text.partition(MARK)[0].splitlines() if line]
    direct = [Requirement(line) for line in own if not line.startswith("#")]
    named = {normalised(one.name) for one in direct}
    brought = {name: found.version for python in PYTHONS for name, found in closure(direct, python).items()}
    pins = [f"{name}=={version}" for name, version in sorted(brought.items()) if name not in named]
    return "\n".join([*own, MARK, *pins]) + "\n"


def files() -> list[Path]:
    return sorted((bundle.ROOT / "functions").glob("*/requirements.txt"))


def main() -> None:
    for file in files():
        file.write_text(completed(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
