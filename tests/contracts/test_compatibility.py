"""A promise that is broken is told, with what to do instead; one that is kept is not."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.contracts import __main__ as command
from shared.contracts.__main__ import promises
from shared.contracts.compatibility import breaks, broken
from shared.contracts.messages import Side

MONEY = {
    "title": "Money",
    "type": "object",
    "properties": {"minor": {"type": "integer", "maximum": 10}, "currency": {"type": "string"}},
    "required": ["minor", "currency"],
}
BEFORE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "outcome": {"enum": ["approve", "decline"]},
        "amount": {"anyOf": [{"$ref": "#/$defs/Money"}, {"type": "null"}], "default": None},
        "tags": {"type": "array", "items": {"type": "string"}},
        "done": {"type": "object", "additionalProperties": {"type": "string"}},
        "count": {"type": "integer", "minimum": 1, "default": 1},
        "free": {},
    },
    "required": ["id", "at"],
    "additionalProperties": False,
    "$defs": {"Money": MONEY},
}
GONE = object()
contracts = cache(command.contracts)


def changed(path: str, value: object) -> dict[str, Any]:
    """BEFORE, in which the member of the schema at `path` is `value`, or gone."""
    after = copy.deepcopy(BEFORE)
    *steps, last = path.split("/")
    inner: Any = after
    for step in steps:
        inner = inner[step]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return after


def told(after: dict[str, Any], side: Side) -> list[str]:
    return breaks(BEFORE, after, side, BEFORE, after)


@pytest.mark.parametrize(
    ("path", "value", "sent", "taken"),
    [
        ("properties/outcome", GONE, "outcome is gone", "outcome is gone"),
        ("properties/new", {"type": "string"}, None, None),
        ("required", ["id", "at", "count"], None, "count is now required"),
        ("required", ["id"], "at is no longer on every message", None),
        ("properties/id/type", "integer", "id was string, and is integer", "id was string, and is integer"),
        ("properties/count/type", "number", "count was integer, and is number", None),
        ("properties/count/type", "string", "count was integer, and is string", "count was integer, and is string"),
        ("properties/id/type", ["string", "null"], "id can now be null, which no reader expects", None),
        ("properties/amount/anyOf", [{"$ref": "#/$defs/Money"}], None, "amount can no longer be null"),
        ("properties/amount/anyOf", [{"type": "null"}], "amount can no longer be Money", "amount can no longer be Money"),
        ("properties/outcome/enum", ["approve", "decline", "review"], None, None),
        ("properties/outcome/enum", ["approve"], "outcome no longer knows the word 'decline'", "outcome no longer knows"),
        ("properties/outcome", {"type": "string"}, "outcome was anything, and is string", "outcome was anything"),
        ("properties/id/enum", ["one"], None, "id takes only 'one' now"),
        ("properties/at/format", GONE, "at had format date-time, and has none", None),
        ("properties/id/pattern", "^a", None, "id had pattern none, and has ^a"),
        ("properties/count/minimum", 0, "count had minimum 1, and has 0", None),
        ("properties/count/minimum", 2, None, "count had minimum 1, and has 2"),
        ("properties/count/maximum", 9, None, "count had maximum none, and has 9"),
        ("$defs/Money/properties/minor/maximum", 11, "amount.minor had maximum 10, and has 11", None),
        ("$defs/Money/properties/minor/maximum", 9, None, "amount.minor had maximum 10, and has 9"),
        ("$defs/Money/properties/minor", GONE, "amount.minor is gone", "amount.minor is gone"),
        ("properties/count/default", 2, None, "count means 2 where it is missing, and meant 1"),
        ("properties/amount/default", 0, None, "amount means 0 where it is missing, and meant None"),
        ("properties/tags/items/type", "integer", "tags[] was string, and is integer", "tags[] was string"),
        ("properties/done/additionalProperties", False, "done.* no longer says", "done.* is no longer taken"),
        ("properties/done/additionalProperties/type", "integer", "done.* was string", "done.* was string"),
        ("properties/free/type", "string", "free was anything, and is string", "free was anything, and is string"),
        ("additionalProperties", True, None, None),
        ("title", "Another", None, None),
        ("properties/id/description", "In other words", None, None),
    ],
)  # fmt: skip
def test_a_change_is_a_break_for_whom_it_breaks(path: str, value: object, sent: str | None, taken: str | None) -> None:
    for side, sentence in ((Side.SENT, sent), (Side.TAKEN, taken)):
        found = told(changed(path, value), side)
        assert len(found) == (sentence is not None), found
        assert not found or (found[0].startswith(sentence or "") and ": " in found[0])


def test_what_leads_back_to_itself_is_compared_once() -> None:
    node = {
        "title": "Node",
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    }
    tree = {"$ref": "#/$defs/Node", "$defs": {"Node": node}}
    assert breaks(tree, tree, Side.SENT, tree, tree) == []
    other = json.loads(json.dumps(tree).replace("null", "string"))
    assert breaks(tree, other, Side.SENT, tree, other) == [
        "next can now be string, which no reader expects: tell it in a new member beside this one"
    ]


def edited(name: str, before: str, after: str) -> list[str]:
    """What is broken of the present contracts by replacing text in one of them."""
    present = contracts()
    assert before in present[name].decode()
    there = {**present, name: present[name].decode().replace(before, after).encode()}
    return broken(promises(present), promises(there))


def test_of_our_own_contracts_too_a_break_is_told() -> None:
    renamed = edited("topics/fraud-decisions.json", '"outcome"', '"verdict"')
    assert renamed == ["fraud-decisions, sent: outcome is gone: keep it, and let it say what it always said"]
    # What we read ourselves, of messages that are days old, may not need more than they have.
    needed = edited("topics/payment-events.json", '"required": [', '"required": ["delivery_id",')
    assert any("payment-events, taken: delivery_id is now required" in one for one in needed)
    assert any("POST /v1/reviews/claim is gone" in one for one in edited(
        "functions/review_payment.json", '"/v1/reviews/claim"', '"/v1/reviews/take"'
    ))  # fmt: skip
    assert any("message decision: attributes: outcome is gone" in one for one in edited(
        "asyncapi.json", '"outcome"', '"verdict"'
    ))  # fmt: skip
    present = contracts()
    gone = {name: text for name, text in present.items() if name != "topics/fraud-labels.json"}
    assert broken(promises(present), promises(gone)) == ["fraud-labels, sent is gone: keep it until nobody follows it"]


def test_the_command_writes_refuses_what_breaks_and_releases_what_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--check"], tmp_path) == 1
    assert "shared/contracts/asyncapi.json is not what the code says: run `make contracts`" in capsys.readouterr().err
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics" / "of-long-ago.json").write_text("{}")
    assert command.main([], tmp_path) == 0
    assert command.main(["--check"], tmp_path) == 0
    assert not (tmp_path / "topics" / "of-long-ago.json").exists()
    assert command.main(["--release"], tmp_path) == 0
    promised = tmp_path / "released" / "topics" / "fraud-labels.json"
    promised.write_text(promised.read_text().replace('"known_at"', '"heard_at"'))
    before = promised.read_text()
    assert command.main(["--release"], tmp_path) == 1
    told = capsys.readouterr().err
    assert "fraud-labels, sent: heard_at is gone: keep it" in told
    assert "delete the document from shared/contracts/released" in told
    assert promised.read_text() == before
    promised.unlink()
    assert command.main(["--release"], tmp_path) == 0
    assert '"known_at"' in promised.read_text()


def test_one_of_two_texts_is_told_from_the_other() -> None:
    day, instant = ({"type": "string", "format": form} for form in ("date", "date-time"))
    both = {"anyOf": [day, instant]}
    for side in Side:
        assert breaks(both, both, side, both, both) == []
        assert breaks(both, {"anyOf": [instant, day]}, side, both, both) == []
    assert breaks(both, {"anyOf": [instant, {"type": "null"}]}, Side.TAKEN, both, both) != []
