"""`python -m tests.mutation [--sample 120 --seed 1] [GROUP …]`: break the code on purpose and see which tests notice.

mutmut changes one thing in one function (a comparison, a number, a call) and runs the tests that reach that function. A
change that no test notices survives: either a test is missing, or the change means the same. Each group is a part of
the code with the tests that speak of it, and works in a copy of its own under `.payin/mutation`. Takes hours for all;
not part of the tests. A sample is drawn from all changes of a group by its seed, so that who repeats it tries the same
ones and a larger sample holds the smaller one; its score is an estimate and is told with its interval.

What a test sets up once for others (a fixture of a module, a cache) counts for the first test alone, and what runs when
its module is imported (most of `fraud.point_in_time`) is unchanged in every run: such a survivor has to be tried by hand,
in a copy.

Scores of 2026-11-26:

- disputes, every change, in an earlier run: 95.5 %.
- `learning.fit`, `export` and `promote` by their own tests, every change: 490 tried, 449 noticed (91.6 %). Of the 41
  others 6 have a test since (92.9 %) and 35 mean the same: where Newton's method starts and how it steps towards the same
  optimum, `strict` of lists of one length, a setting of a library that is its default here.
- `providers.kit.signing` by its own tests, a sample of 60 of 144 by seed 1: 56 noticed, 93.3 % (84 to 97 %); 2 have a
  test since, 2 mean the same.
- fraud, a sample of 60 by seed 1 that was cut off: 39 of 42, two of these only by running out of time. What the quickest
  tests reach is tried first, so this is no random part and gives no score. Of the 3 others 1 has a test since, 1 is seen
  by hand (it runs on import) and 1 means the same.

Scores of 2026-11-27, on a busy machine:

- the adapters' verify, a sample of 60 by seed 1: 52 noticed, none of them cut off, 86.7 % (76 to 93 %). Of the 8 others 1
  has a test since (88.3 %), 7 change what an error says to people, which no stranger and no line of the log is told.

Scores of 2026-11-28, on a busy machine, each a sample of 60 by seed 1, none of it cut off:

- domain, of 3,179 changes: 53 noticed, 88.3 % (78 to 94 %). Of the 7 others 4 are noticed by the tests of erasure, of the
  warehouse's features and by every import, which this part is tried without, and 3 have a test since (60 of 60, 94 to 100 %).
- disputes: 45 noticed, 75.0 % (63 to 84 %). Of the 15 others 6 are noticed by the tests of flows and of the warehouse's flags
  and 4 have a test since (55 of 60, 91.7 %, 82 to 96 %); 5 mean the same: SQL in capitals, a picture format in small letters,
  the alignment of one column, a digest before it is known, and pages that ours never fills.
- flows and operations, of 23,714 changes: 44 noticed, 73.3 % (61 to 83 %). Of the 16 others 7 are noticed by tests that this
  part is tried without (those of functions, of the command line and of providers' endpoints) and 7 have a test since
  (58 of 60, 96.7 %, 89 to 99 %); 2 mean the same: `strict` of lists of one length, a query's parameter in capitals.
- fraud, of 3,277: 47 noticed, 78.3 % (66 to 87 %). Of the 13 others 3 are noticed by tests of other parts and 8 have a test
  since (58 of 60, 96.7 %, 89 to 99 %), two of these tried by hand: `_magnitude_sql` from 2 on and `_late_sql` with a bucket
  fewer; 2 mean the same: columns in capitals, a draw of exactly the share.
- learning, of 2,887, with what was scored before: 50 noticed, 83.3 % (72 to 91 %). Of the 10 others 1 is noticed by the tests
  of `monitor_model` and 7 have a test since (58 of 60, 96.7 %, 89 to 99 %); 2 mean the same: `strict`, the type of what is
  text already.

Not scored: nothing.
"""

import argparse
import math
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
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
        ("shared/domain/*",),
        (
            "tests/domain",
            "tests/payments",
            "tests/disputes",
            "tests/runtime/test_logs.py",
            "tests/flows/test_reviews.py",
            "tests/functions/test_review_payment.py",
        ),
        without=("gcp",),
    ),
    "disputes": Group(
        ("shared/disputes/*",),
        ("tests/disputes", "tests/flows/test_check_deadlines.py", "tests/flows/test_track_dispute.py"),
    ),
    "fraud": Group(
        ("shared/fraud/*",), ("tests/fraud", "tests/flows/test_score_payment.py", "tests/flows/test_skew.py")
    ),
    "learning": Group(
        ("shared/learning/*",), ("tests/learning", "tests/flows/test_train_model.py", "tests/fraud/test_model.py")
    ),
    # What the emulators' copies of these tests notice, those on the embedded backend do. What kills processes takes minutes, and
    # what they reach is not seen.
    "flows": Group(
        ("shared/flows/*", "shared/operations/*"),
        ("tests/flows", "tests/operations"),
        without=("gcp", "emulators", "postgresql", "test_crashes", "test_answers_killed", "test_copies"),
    ),
    "verify": Group(
        ("shared/providers/*",),
        ("tests/providers",),
        ("shared.providers.*verify*", "shared.providers.kit.signing*"),
        # Minutes for each change that survives, and the last two have names that pytest does not take back.
        ("changed_byte_of_the_body", "changed_value", "card_number", "real_payload", "mebibyte", "no_message"),
    ),
}
CAUGHT = ("killed", "timeout", "suspicious", "caught by type check", "segfault")
CUT_OFF = ("timeout", "segfault")
"""Ended from outside, by the clock or by the system: a busy machine does the same to a change that no test notices."""
PATIENCE, PATIENCE_ALONE = 6, 30
"""Times what the tests of a change take unchanged. What takes longer is tried again, alone and with more patience: a change
that is cut off then too runs for ever."""

# What `mutmut run` does before it runs a test: from then on each change has a name and `mutmut results` tells it.
GENERATE = """
import sys
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, setup_source_paths
from mutmut.mutation.trampoline import set_mutant_under_test
set_mutant_under_test("mutant_generation")
copy_src_dir(); copy_also_copy_files(); setup_source_paths()
create_mutants(int(sys.argv[1]))
"""

# `mutmut run`, but sooner red: a change's tests are run in the order of a set, and all of them once more without any
# change, which the run that measures them has just done. And on a busy machine what a change may take is told in seconds
# of its own work: by the clock it has twenty times as long, enough for one that waits for ever.
RUN = """
from collections import Counter
from mutmut.workers import isolation
from mutmut.__main__ import cli
from mutmut.state import state
from mutmut.workers.isolation import ForkServerRunner
submit = ForkServerRunner.submit
def sooner(self, mutant, tests, *limits):
    took, file = state().duration_by_test, {test: test.partition("::")[0] for test in tests}
    together = Counter()
    for test in tests:
        together[file[test]] += took[test]
    own = "/test_" + mutant.split(".x")[0].rpartition(".")[2] + ".py"
    def turn(test):
        return took[test] > 5, not file[test].endswith(own), together[file[test]], file[test], took[test]
    submit(self, mutant, sorted(tests, key=turn), *limits)
ForkServerRunner.submit = sooner
watch = isolation.register_timeout
isolation.register_timeout = lambda pid, seconds: watch(pid, 20 * seconds)
ForkServerRunner.run_clean_tests = lambda self, tests: 0
cli()
"""


@dataclass(frozen=True)
class Sample:
    """`size` changes of each group, or all where it has no more; drawn by `seed`."""

    size: int
    seed: int

    def drawn(self, mutants: list[str]) -> list[str]:
        shuffled = sorted(mutants)
        random.Random(self.seed).shuffle(shuffled)
        return sorted(shuffled[: self.size])


def run(name: str, group: Group, sample: Sample | None, children: int) -> dict[str, str]:
    """How each change ended, by its name: of all, or of `sample`. mutmut shows how far it is and works on `children`
    changes at once."""
    folder = HOME / name
    _copied(folder, group)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    # Changes are tried in forks, of a process that has imported the tests and run none: where a library already has
    # threads, a fork waits for ever and counts as timed out. OpenMP has them from its import on.
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    wanted: list[str] | tuple[str, ...] = group.names
    if sample is not None:
        generate = [sys.executable, "-c", GENERATE, str(children)]
        subprocess.run(generate, cwd=folder, env=alone, check=True, stdout=subprocess.DEVNULL)
        wanted = sample.drawn(list(_ends(mutmut, folder, group)))

    def tried(changes: Sequence[str], at_once: int) -> dict[str, str]:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", RUN, "run", "--max-children", str(at_once), *changes],
            cwd=folder,
            env=alone,
            check=False,
        ).returncode
        if ended != 0:
            # Before the first change: a test that fails without any. Later: from outside, and what was tried is kept.
            raise SystemExit(f"{name}: mutmut ended with {ended}; `mutmut run {' '.join(changes)}` in {folder} goes on")
        return _ends(mutmut, folder, group)

    ends = tried(wanted, children)
    asked = list(ends) if sample is None else list(wanted)
    if cut_off := [mutant for mutant in asked if ends[mutant] in CUT_OFF]:
        _configured(folder, group, PATIENCE_ALONE)
        ends = tried(cut_off, 1)
    if left := sum(ends[mutant] == "not checked" for mutant in asked):
        raise SystemExit(f"{name}: {left} of {len(asked)} changes were not tried; `mutmut run` in {folder} goes on")
    return {mutant: ends[mutant] for mutant in asked}


def _ends(mutmut: str, folder: Path, group: Group) -> dict[str, str]:
    """Each change of `group` and how it ended, as far as mutmut has come."""
    told = subprocess.run([mutmut, "results", "--all", "true"], cwd=folder, check=True, capture_output=True, text=True)
    ends = (line.strip().rpartition(": ") for line in told.stdout.splitlines())
    return {
        mutant: end for mutant, _, end in ends if mutant and any(fnmatch(mutant, one) for one in group.names or ("*",))
    }


def interval(caught: int, tried: int) -> tuple[float, float]:
    """Where the part of all changes that is noticed lies with 95 %, when `caught` of `tried` drawn ones were (Wilson
    1927: unlike the textbook's, it stands near 100 %)."""
    z = 1.959964
    centre = (caught + z * z / 2) / (tried + z * z)
    reach = z / (tried + z * z) * math.sqrt(caught * (tried - caught) / tried + z * z / 4)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


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
    _configured(folder, group, PATIENCE)


def _configured(folder: Path, group: Group, patience: int) -> None:
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + _settings(group, patience))


def _settings(group: Group, patience: int) -> str:
    def listed(texts: tuple[str, ...]) -> str:
        return "[" + ", ".join(f'"{text}"' for text in texts) + "]"

    left_out = " or ".join((*TIMED, *group.without))
    settings = f"""
[tool.mutmut]
source_paths = ["shared"]
only_mutate = {listed(group.only)}
also_copy = {listed(tuple(sorted({"functions", "terraform", "README.md", "Makefile", "requirements.txt"})))}
timeout_multiplier = {patience}
process_isolation = "forkserver"
pytest_add_cli_args_test_selection = {listed(group.tests)}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly", "-x", "-k", "not ({left_out})"]
"""
    tomllib.loads(settings)
    return settings


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS) + "; all when none is named")
    parser.add_argument("--sample", type=int, metavar="CHANGES", help="how many changes of each group; all when absent")
    parser.add_argument("--seed", type=int, default=1, help="which changes a sample draws (1)")
    parser.add_argument("--children", type=int, default=2, help="changes tried at once (2)")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.groups) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}")
    if asked.children < 1 or (asked.sample is not None and asked.sample < 1):
        parser.error("--sample and --children are 1 or more")
    sample = None if asked.sample is None else Sample(asked.sample, asked.seed)
    console = Console()
    title = (
        "all changes" if sample is None else f"a sample of {sample.size} changes of each part, by seed {sample.seed}"
    )
    score = Table(
        "part", "changes", "noticed", "of these cut off", "survived", "no test", "score", "95 %", "minutes", title=title
    )
    names = asked.groups or list(GROUPS)
    for place, name in enumerate(names, start=1):
        console.print(f"{name} ({place} of {len(names)})")
        began = monotonic()
        ends = run(name, GROUPS[name], sample, asked.children)
        count = Counter(ends.values())
        caught = sum(count[end] for end in CAUGHT)
        tell_of_survivors(console, name, ends)
        low, high = interval(caught, len(ends)) if ends else (0.0, 1.0)
        score.add_row(
            name,
            str(len(ends)),
            str(caught),
            str(sum(count[end] for end in CUT_OFF)),
            str(len(ends) - caught - count["no tests"]),
            str(count["no tests"]),
            f"{caught / len(ends):.1%}" if ends else "–",
            f"{low:.0%} to {high:.0%}" if sample is not None else "–",
            f"{(monotonic() - began) / 60:.0f}",
        )
    console.print(score)


if __name__ == "__main__":
    main(sys.argv[1:])
