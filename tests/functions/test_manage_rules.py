"""The operator's hand on the book of rules, through the function itself, and what the next payment makes of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.book import SHIPPED
from tests.builders import DAY, NOON, a_payment_event
from tests.functions.test_inputs import client
from tests.local import local_ports, published

RULE = {"code": "any_amount", "outcome": "review", "sql": "amount >= 0", "state": "live"}
WHO = {"author": "ana", "reason": "a wave"}


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setenv("PAYIN_HOME", str(tmp_path))
    return client("manage_rules")


def told(function: FlaskClient, act: str, status: int = 200, /, **members: Any) -> Any:
    answer = function.post("/", json={"act": act, **members})
    assert answer.status_code == status, answer.data
    return answer.get_json(force=True)


def publish(rules: FlaskClient, *book: dict[str, Any], after: int | None = None, status: int = 200) -> Any:
    return told(rules, "publish", status, book={"rules": book}, after=after, **WHO)


def decision(home: Path) -> dict[str, Any]:
    ports = local_ports(home)
    score_payment(a_payment_event(), ports, NOON, Scorer(use_model=False))
    [row] = published(ports, "fraud-decisions")
    return row


def test_what_is_published_is_shown_and_decides_the_next_payment(rules: FlaskClient, tmp_path: Path) -> None:
    assert told(rules, "show")["revision"] is None
    assert publish(rules, RULE) == {"revision": 1}
    shown = told(rules, "show")
    assert (shown["revision"], [rule["sql"] for rule in shown["book"]["rules"]]) == (1, ["amount >= 0"])
    row = decision(tmp_path)
    assert (row["outcome"], row["book_revision"], row["rules_version"]) == ("review", 1, shown["rules_version"])


def test_what_is_shown_may_be_sent_back_as_it_is(rules: FlaskClient) -> None:
    shipped = told(rules, "show")
    assert told(rules, "publish", book=shipped["book"], after=None, **WHO) == {"revision": 1}
    assert told(rules, "show") == {**shipped, "revision": 1}
    assert shipped["rules_version"] == SHIPPED.table.version


def test_a_wrong_condition_is_told_with_the_nearest_feature_and_nothing_is_written(rules: FlaskClient) -> None:
    problem = publish(rules, RULE, RULE | {"code": "typo", "sql": "amuont > 5"}, status=400)
    assert "book.rules[1].sql of typo: no feature is called amuont; the nearest: amount" in problem["detail"]
    assert told(rules, "show")["revision"] is None


def test_conditions_are_checked_and_nothing_is_written(rules: FlaskClient) -> None:
    checked = told(rules, "check", rules=["amount * 2 > 5", "amuont > 5", "amount"])
    assert [one["tree"] for one in checked["rules"]] == [[">", ["*", 2, "amount"], 5], None, None]
    assert (checked["fits"], checked["rules"][0]["features"]) == (False, ["amount"])
    assert "the nearest: amount" in checked["rules"][1]["wrong"]
    assert told(rules, "history") == {"revisions": []}


def test_who_comes_too_late_is_told_so(rules: FlaskClient) -> None:
    publish(rules, RULE)
    problem = publish(rules, status=400)
    assert (problem["reason"], problem["detail"]) == ("book_changed", "the book is at revision 1 by now, and not None")


def test_an_older_revision_is_published_again_as_a_new_one(rules: FlaskClient, tmp_path: Path) -> None:
    publish(rules, RULE)
    publish(rules, after=1)
    assert told(rules, "back", to=1, author="ben", reason="it was right") == {"revision": 3}
    assert decision(tmp_path)["book_revision"] == 3
    revisions = told(rules, "history")["revisions"]
    assert [(one["revision"], one["after"], one["author"]) for one in revisions] == [
        (3, 2, "ben"),
        (2, 1, "ana"),
        (1, None, "ana"),
    ]
    assert [one["revision"] for one in told(rules, "history", before=3, limit=1)["revisions"]] == [2]
    assert told(rules, "back", to=None, **WHO) == {"revision": 4}
    assert told(rules, "show")["rules_version"] == SHIPPED.table.version


def test_two_revisions_are_compared(rules: FlaskClient) -> None:
    publish(rules, RULE)
    publish(rules, RULE | {"state": "retired"}, after=1)
    changed = told(rules, "diff", **{"from": 1, "to": 2})
    [(was, now)] = changed["rules"].values()
    assert (was["state"], now["state"], changed["policy"]) == ("live", "retired", None)


def test_an_entity_is_listed_shown_and_taken_back(rules: FlaskClient, tmp_path: Path) -> None:
    entry = {"action": "block", "kind": "card", "value": "fp_1"}
    until = (datetime.now(UTC) + 30 * DAY).isoformat()
    said = told(rules, "list", **entry, until=until, owner="risk", author="ana", reason="a mule")
    assert said["standing"]["block"]["reason"] == "a mule"
    assert told(rules, "listed")["entities"] == [{**said, "changes": []}]
    assert decision(tmp_path)["listed"] == [{"action": "block", "kind": "card", "rule": None}]
    assert told(rules, "unlist", **entry, author="ben", reason="a mistake")["standing"] == {}
    assert told(rules, "listed")["entities"] == []
    alone = told(rules, "listed", kind="card", value="fp_1")
    assert [one["author"] for one in alone["changes"]] == ["ana", "ben"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"act": "back", "to": 7, **WHO}, "there is no revision 7"),
        ({"act": "burn"}, "act"),
        ({"act": "publish", "book": {"rules": [RULE | {"state": "on"}]}, "after": None, **WHO}, "book.rules[0].state"),
        ({"act": "publish", "book": {"rule": []}, "after": None, **WHO}, "book.rule: "),
        ({"act": "publish", "book": {}, "after": None, "author": " ", "reason": "x"}, "author: "),
        (
            {
                "act": "publish",
                "book": {
                    "policy": {"limits": [{"name": "a", "thresholds": {"challenge": 2, "review": 1, "decline": 1}}]}
                },
                "after": None,
                **WHO,
            },
            "thresholds rise",
        ),
        (
            {
                "act": "publish",
                "book": {
                    "entries": [{"action": "block", "kind": "moon", "value": "x", "until": "2027-01-01T00:00:00Z"}]
                },
                "after": None,
                **WHO,
            },
            "does not list by moon",
        ),
    ],
)
def test_what_does_not_fit_is_named(rules: FlaskClient, call: dict[str, Any], says: str) -> None:
    answer = rules.post("/", json=call)
    assert answer.status_code == 400
    assert says in answer.get_json(force=True)["detail"]
