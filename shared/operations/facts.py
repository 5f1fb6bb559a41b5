"""The facts that the code tells: event names by severity, read from the sources."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

TOLD_BY = {"fact": "INFO", "alarm": "ERROR", "failure": "ERROR"}
_TELLS = b"from shared.domain.telemetry import"


@dataclass(frozen=True)
class Told:
    """One call: the event's name, who tells it, and the names of its fields (None for `**`: not known here)."""

    event: str
    by: str
    fields: frozenset[str | None]


def told(root: Path) -> list[Told]:
    """Every call of `telemetry.fact`, `alarm` and `failure` under `root`/shared and `root`/functions."""
    found: list[Told] = []
    for folder in ("shared", "functions"):
        for path in sorted((root / folder).rglob("*.py")):
            if _TELLS in (source := path.read_bytes()):
                found += _of(ast.parse(source), path)
    return found


def unknown(events: Sequence[str], root: Path) -> dict[str, list[str]]:
    """Those of `events` that no code under `root` tells, each with known ones that are near."""
    known = sorted({one.event for one in told(root)})
    return {event: get_close_matches(event, known, n=3, cutoff=0.5) for event in events if event not in known}


def _of(tree: ast.Module, path: Path) -> Iterator[Told]:
    for scope in tree.body:
        aliases: dict[str, set[str]] = {name: {name} for name in TOLD_BY}
        texts: dict[str, set[str]] = {}
        for node in ast.walk(scope):
            # `say = alarm if … else fact`, `name = "a" if … else "b"`: both are told here.
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                values = list(_either(node.value))
                called = {one.id for one in values if isinstance(one, ast.Name) and one.id in TOLD_BY}
                named = {one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)}
                if called:
                    aliases[node.targets[0].id] = called
                if named:
                    texts[node.targets[0].id] = named
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in aliases:
                continue
            first = node.args[0]
            events = {first.value} if isinstance(first, ast.Constant) else texts.get(getattr(first, "id", ""), set())
            if not events:
                raise ValueError(f"{path}:{node.lineno}: an event's name is a text in this function, to be found by")
            for event in events:
                for by in aliases[node.func.id]:
                    yield Told(str(event), by, frozenset(one.arg for one in node.keywords))


def _either(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _either(node.body)
        yield from _either(node.orelse)
    else:
        yield node
