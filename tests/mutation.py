"""`python -m tests.mutation [GROUP …]`: break the code on purpose, a line at a time, and see which tests notice.

mutmut changes one thing in one function (a comparison, a number, a call) and runs the tests that reach that function. A
change that no test notices survives: either a test is missing, or the change means the same. Each group is a part of
the code with the tests that speak of it, and works in a copy of its own under `.payin/mutation`. Takes an hour or more
for all; not part of the tests.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".payin" / "mutation"
BESIDE = ROOT.parent / "shared"
"""Payloads and data sets that some tests read, where they are present."""


# Code that counts who calls it is slower than it should be: what holds it to a time says nothing about a change.
TIMED = ("millisecond", "microseconds")


@dataclass(frozen=True)
class Group:
    """What is changed, by file and by name of the changed function, and the tests that should notice, without those
    whose names hold one of `without`."""

    only: tuple[str, ...]
    tests: tuple[str, ...]
    names: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


GROUPS = {
    "domain": Group(
        ("shared/domain/*",), ("tests/domain", "tests/payments", "tests/disputes", "tests/runtime/test_logs.py")
    ),
    "disputes": Group(
        ("shared/disputes/*",),
        ("tests/disputes", "tests/flows/test_check_deadlines.py", "tests/flows/test_track_dispute.py"),
    ),
    "fraud": Group(("shared/fraud/*",), ("tests/fraud", "tests/flows/test_score_payment.py")),
    "learning": Group(("shared/learning/*",), ("tests/learning", "tests/flows/test_train_model.py")),
    "flows": Group(("shared/flows/*",), ("tests/flows",)),
    "verify": Group(
        ("shared/providers/*",),
        ("tests/providers",),
        ("shared.providers.*verify*", "shared.providers.kit.signing*"),
        # Minutes for each change that survives, and the last two have names that pytest does not take back.
        ("changed_byte_of_the_body", "changed_value", "card_number", "real_payload", "mebibyte", "no_message"),
    ),
}
CAUGHT = ("killed", "timeout", "suspicious", "caught by type check", "segfault")


def run(name: str, group: Group) -> dict[str, str]:
    """How each change ended, by its name. mutmut shows how far it is."""
    folder = HOME / name
    _copied(folder, group)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    # mutmut forks: where OpenMP already has threads, what trains in a fork waits for ever and counts as timed out.
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run([mutmut, "run", *group.names], cwd=folder, env=alone, check=False).returncode
    if ended != 0:
        # Before the first change: a test that fails without any. Later: from outside, and what was tried is kept.
        raise SystemExit(f"{name}: mutmut ended with {ended}; `mutmut run {' '.join(group.names)}` in {folder} goes on")
    told = subprocess.run([mutmut, "results", "--all", "true"], cwd=folder, check=True, capture_output=True, text=True)
    ends = (line.strip().rpartition(": ") for line in told.stdout.splitlines())
    asked = {
        mutant: end for mutant, _, end in ends if mutant and any(fnmatch(mutant, one) for one in group.names or ("*",))
    }
    if left := sum(end == "not checked" for end in asked.values()):
        raise SystemExit(f"{name}: {left} of {len(asked)} changes were not tried; `mutmut run` in {folder} goes on")
    return asked


def tell_of_survivors(console: Console, name: str, ends: dict[str, str]) -> None:
    """By function, where most survived first, with the numbers that `mutmut show` takes."""
    survivors: dict[str, list[str]] = {}
    for mutant, end in ends.items():
        if end not in CAUGHT:
            function, _, number = mutant.partition("__mutmut_")
            survivors.setdefault(function, []).append(f"{number} ({end})" if end != "survived" else number)
    table = Table("function", "left", "__mutmut_…", title=f"{name}: what no test noticed", title_justify="left")
    for function, numbers in sorted(survivors.items(), key=lambda item: -len(item[1])):
        table.add_row(function, str(len(numbers)), " ".join(numbers))
    console.print(table)


def _copied(folder: Path, group: Group) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    told = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for file in told.splitlines():
        target = folder / file
        if (ROOT / file).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target)
    if BESIDE.is_dir():
        # The changed copy stands in `mutants/`, so this is where its tests look beside the project.
        for part in ("samples", "data"):
            (folder / "shared" / part).symlink_to(BESIDE / part)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + _settings(group))


def _settings(group: Group) -> str:
    def listed(texts: tuple[str, ...]) -> str:
        return "[" + ", ".join(f'"{text}"' for text in texts) + "]"

    left_out = " or ".join((*TIMED, *group.without))
    settings = f"""
[tool.mutmut]
source_paths = ["shared"]
only_mutate = {listed(group.only)}
also_copy = {listed(tuple(sorted({"functions", "terraform", "README.md", "Makefile", "requirements.txt"})))}
pytest_add_cli_args_test_selection = {listed(group.tests)}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly", "-x", "-k", "not ({left_out})"]
"""
    tomllib.loads(settings)
    return settings


def main(names: list[str]) -> None:
    if unknown := set(names) - set(GROUPS):
        raise SystemExit(f"no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}")
    console = Console()
    score = Table("part", "changes", "noticed", "survived", "no test", "score", "minutes")
    for place, name in enumerate(names or GROUPS, start=1):
        console.print(f"{name} ({place} of {len(names or GROUPS)})")
        began = monotonic()
        ends = run(name, GROUPS[name])
        count = Counter(ends.values())
        caught = sum(count[end] for end in CAUGHT)
        tell_of_survivors(console, name, ends)
        score.add_row(
            name,
            str(len(ends)),
            str(caught),
            str(len(ends) - caught - count["no tests"]),
            str(count["no tests"]),
            f"{caught / len(ends):.1%}" if ends else "–",
            f"{(monotonic() - began) / 60:.0f}",
        )
    console.print(score)


if __name__ == "__main__":
    main(sys.argv[1:])
