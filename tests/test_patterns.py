"""Every regular expression of ours takes time in proportion to its text, whatever the text."""

import importlib
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

import shared
from shared.domain import privacy

SHORT, LONG = 5_000, 20_000
"""Characters. The longer text is four times the shorter: a pattern that goes over its text again and again takes sixteen
times as long for it."""
AT_ONCE = 0.05  # seconds of processor for the longer text, at which nobody is held up whatever the growth


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    found = {}
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                found[f"{module.name}.{name}"] = value
    return found


PATTERNS = patterns()


SOURCE = "\n".join(path.read_text() for path in sorted(Path(shared.__path__[0]).rglob("*.py")))


def pumps(pattern: re.Pattern[str] | re.Pattern[bytes]) -> list[str]:
    """What an attacker would repeat: each kind of character alone and in pairs, and what the pattern itself spells."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    kinds = ["0", "4", "a", "A", "g", " ", "-", ".", "_", "/", "@", ":", "=", "\\", '"', "+", "\x01", "é", "\u00a0"]
    pairs = [
        "4 ",
        "4-",
        "4  ",
        "a.",
        "a-",
        "@a",
        "a@a.",
        "0-0",
        "AB12 ",
        "GPA.",
        "\\u",
        "\\\\",
        "00000000-",
        "a=b&",
        "a ",
        "..0",
    ]
    spelled = re.findall(r"[A-Za-z.:/ <>\-]{2,}", source)
    return [*kinds, *pairs, *spelled]


def seconds(act: Callable[[], object]) -> float:
    began = process_time()
    act()
    return process_time() - began


def grows_in_proportion(act: Callable[[str], object], pump: str, end: str) -> bool:
    def of(length: int) -> float:
        text = pump * (length // len(pump)) + end
        return seconds(lambda: act(text))

    # The least of three, where there is any doubt: the machine may be busy with other work.
    return of(LONG) < AT_ONCE or min(of(LONG) for _ in range(3)) < 9 * min(of(SHORT) for _ in range(3))


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_pattern_takes_time_in_proportion_to_its_text(name: str) -> None:
    pattern = PATTERNS[name]
    searches = re.search(rf"\b{name.rpartition('.')[2]}\.(search|finditer|sub|findall|split)\(", SOURCE)

    def searched(text: str) -> None:
        told = text if isinstance(pattern.pattern, str) else text.encode("utf-8")
        pattern.match(told)  # type: ignore[arg-type]
        pattern.fullmatch(told)  # type: ignore[arg-type]
        for _ in pattern.finditer(told) if searches else ():  # type: ignore[arg-type]
            pass

    for pump in pumps(pattern):
        for end in ("", "!"):
            assert grows_in_proportion(searched, pump, end), (pump, end)


@pytest.mark.parametrize("end", ["", "!", "4"])
def test_masking_takes_time_in_proportion_to_its_text(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "LONGEST", 10 * LONG)
    for pump in {pump for name, pattern in PATTERNS.items() if "privacy" in name for pump in pumps(pattern)}:
        assert grows_in_proportion(privacy.mask, pump, end), pump


def test_every_pattern_is_found() -> None:
    """One that is made in the middle of a function would be fuzzed by nobody."""
    assert len(PATTERNS) > 30
    assert not re.findall(r"\bre\.(?:sub|match|search|fullmatch|findall|finditer|split)\(", SOURCE)
    assert not re.findall(r"^[ \t].*re\.compile\(", SOURCE, flags=re.MULTILINE)
