"""`make contracts`: every contract, from the code. `--check`: that what is written is what the code says, and breaks no
promise. `--release`: make a promise of it."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.contracts import asyncapi, called, schemas
from shared.contracts.compatibility import Contract, broken, of_function, of_messages, of_topic
from shared.contracts.messages import TOPICS
from shared.runtime import assessments, disputes, notifications, reviews

FOLDER = Path(__file__).parent
RELEASED = FOLDER / "released"
_TOPOLOGY = FOLDER.parents[1] / "functions" / "topology.json"

_WHY = (
    "Whoever goes by a released contract must be able to go on. Where that is meant to end, tell them, and delete the"
    " document from shared/contracts/released."
)

FUNCTIONS: Mapping[str, Callable[[], bytes]] = {
    "assess_payment": assessments.openapi,
    "manage_dispute": disputes.openapi,
    "manage_rules": called.manage_rules,
    "notify": notifications.openapi,
    "replay_deliveries": called.replay_deliveries,
    "review_payment": reviews.openapi,
}


def contracts() -> dict[str, bytes]:
    """Path below the folder to contents, of everything that the code says."""
    by_provider = json.loads(_TOPOLOGY.read_text(encoding="utf-8"))["by_provider"]
    return {
        "asyncapi.json": _text(asyncapi.document(tuple(by_provider))),
        **{f"topics/{name}.json": _text(schemas.document(name)) for name in TOPICS},
        **{f"functions/{name}.json": document() for name, document in FUNCTIONS.items()},
    }


def written(folder: Path) -> dict[str, bytes]:
    """What stands in `folder`, and in what is released."""
    names = ("asyncapi.json", "topics/*.json", "functions/*.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for name in names for path in folder.glob(name)}


def promises(documents: Mapping[str, bytes]) -> dict[str, Contract]:
    """What `documents` promise, by what it is called."""
    found: dict[str, Contract] = {}
    for name, text in documents.items():
        kind, _, own = name.removesuffix(".json").rpartition("/")
        document = json.loads(text)
        match kind:
            case "topics":
                found |= of_topic(own, document, TOPICS[own].sides if own in TOPICS else ())
            case "functions":
                found |= of_function(own, document)
            case _:
                found |= of_messages(document)
    return found


def _text(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def _stale(folder: Path, present: Mapping[str, bytes]) -> Iterator[str]:
    there = written(folder)
    for name in sorted(there.keys() | present):
        if there.get(name) != present.get(name):
            yield f"shared/contracts/{name} is not what the code says: run `make contracts`"


def _write(folder: Path, present: Mapping[str, bytes]) -> None:
    for name in written(folder).keys() - present:
        (folder / name).unlink()
    for name, text in present.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """0 when all is as it should be; else each sentence that says what is not, and 1."""
    parser = argparse.ArgumentParser(prog="python -m shared.contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--release", action="store_true", help="what is written becomes what is promised")
    asked = parser.parse_args(arguments)
    present, released = contracts(), folder / "released"
    wrong = list(_stale(folder, present)) if asked.check else []
    if not asked.check:
        _write(folder, present)
    if breaks := broken(promises(written(released)), promises(present)):
        wrong += [*breaks, _WHY]
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if wrong:
        return 1
    if asked.release:
        _write(released, present)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
