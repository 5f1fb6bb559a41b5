"""`python -m tests.providers.shapes NAME …`: learn field names from a provider's simulator, real payloads and adapter.

Adds to shared/providers/NAME/shape.json what those have and it lacks, as names, never a value. Maps whose keys are
the merchant's (`metadata`) are to be declared there by hand first, as `"*"`; so are types of a `"?"`.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared import providers
from shared.domain.delivery import Delivery, Verdict
from shared.providers.kit.reading import Node
from tests.providers.declared import DECLARED
from tests.providers.kits import NOON, SAMPLES, a_fact, a_kit
from tests.simulator.facts import FactKind


def shape_of(name: str) -> Path:
    return Path(providers.__file__).parent / name / "shape.json"


@dataclass(frozen=True)
class Told:
    """A message: what the adapter opens of it, the paths that it reads there, and the types that it ignores."""

    tree: Mapping[str, Any]
    read: set[tuple[str, ...]]
    ignored: tuple[str, ...]


def messages(name: str) -> Iterator[Told]:
    """Every simulated and every real payload that there is."""
    with tempfile.TemporaryDirectory() as folder:
        kit = a_kit(name, Path(folder))
        deliveries = [
            kit.signed(body)
            for kind in FactKind
            if kind is not FactKind.UNKNOWN_TYPE
            for body in kit.simulator.requests(a_fact(kind))
        ]
        deliveries += (
            Delivery(name, file.read_bytes(), {}, NOON)
            for file in sorted((SAMPLES / name).rglob("*.json"))
            if not DECLARED[name].is_no_webhook(file.relative_to(SAMPLES).as_posix())
        )
        for delivery in deliveries:
            with _watched() as read:
                normalized = kit.normalize(delivery, Verdict(("k",)))
            followed = kit.provider.opened(delivery).value if normalized.events else {}
            yield Told(followed, read if followed else set(), normalized.ignored)


@contextmanager
def _watched() -> Iterator[set[tuple[str, ...]]]:
    """The paths that are asked for meanwhile, whether or not there is anything."""
    read: set[tuple[str, ...]] = set()
    raw = Node.raw

    def watched(node: Node, *keys: str) -> Any:
        path = [step for step in re.sub(r"\[\d+\]", "", node.path).split(".") if step]
        read.add((*path, *keys))
        return raw(node, *keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Node, "raw", watched)
        yield read


def learn_read(path: tuple[str, ...], message: Any, told: Any, file: dict[str, Any]) -> None:
    """Add to `told`, a shape within `file`, the name at the end of `path`, where all names before it are known."""
    if told == "*":
        return
    if isinstance(told, str):
        told = file[told]
    if "?" in told:
        told = told["of"].get(message.get(told["?"])) if isinstance(message, dict) else None
        if told is not None:
            learn_read(path, message, told, file)
        return
    name, *rest = path
    plain = told.get("", "").split()
    if rest and name in told:
        inner = message.get(name) if isinstance(message, dict) else None
        learn_read(tuple(rest), inner[0] if isinstance(inner, list) and inner else inner, told[name], file)
    elif not rest and not {name, "*"} & set(told) and not any(fits(name, one) for one in plain):
        told[""] = " ".join([*plain, name])


def fits(name: str, known: str) -> bool:
    return name.startswith(known[:-1]) if known.endswith("*") else name == known


def learn(value: Mapping[str, Any], told: Any, file: dict[str, Any]) -> None:
    """Add to `told`, a shape within `file`, what `value` has."""
    if told == "*":
        return
    if isinstance(told, str):
        told = file[told]
    if "?" in told:
        variant = told["of"].get(value.get(told["?"]))
        if variant:
            learn(value, variant, file)
        return
    for name, child in value.items():
        plain = told.get("", "").split()
        objects = [one for one in (child if isinstance(child, list) else [child]) if isinstance(one, dict) and one]
        shape = told.get(name) or (None if name in plain else told.get("*"))
        if shape is None and any(fits(name, one) for one in plain if one.endswith("*")):
            continue
        if shape is None and objects:
            told[""] = " ".join(one for one in plain if one != name)
            shape = told[name] = {}
        elif shape is None and " " in name:
            told[name] = "*"
        elif shape is None and name not in plain:
            told[""] = " ".join([*plain, name])
        for one in objects:
            learn(one, shape, file)


def tidy(told: Any) -> Any:
    """Sorted, without what is empty."""
    if not isinstance(told, dict):
        return " ".join(sorted(told.split())) if isinstance(told, str) else told
    return {name: tidy(inner) for name, inner in sorted(told.items()) if (name, inner) != ("", "")}


def main(names: list[str]) -> None:
    for name in names or providers.names():
        path = shape_of(name)
        file = json.loads(path.read_text()) if path.exists() else {"shape": {}}
        told = list(messages(name))
        for message in told:
            learn(message.tree, file["shape"], file)
        for message in told:
            for read_path in sorted(message.read):
                learn_read(read_path, message.tree, file["shape"], file)
        ignored = {*file.get("ignored", "").split(), *(kind for message in told for kind in message.ignored)}
        file["ignored"] = " ".join(ignored)
        path.write_text(json.dumps(tidy(file), indent=1) + "\n")
        print(f"{name}: {len(path.read_text()):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
