"""What stands: rules, lists, models, and what is due in disputes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.domain.codec import to_document, utc_text
from shared.domain.disputes import Answer, AnswerState, Dispute
from shared.domain.events import DisputeStage, DisputeStatus
from shared.domain.health import HealthMeasured
from shared.flows.champions import Canary, Champion, Line, with_line
from shared.flows.ports import Create
from shared.flows.scorer import CHAMPION
from shared.fraud.features import SCHEMA_VERSION
from shared.operations.deadlines import risks
from shared.runtime.rule_book import manage_rules
from tests.builders import DAY, HOUR, a_dispute_event, dispute_after
from tests.builders import NOON as OUR_NOON
from tests.cli.calling import payin, told
from tests.cli.shop import Shop
from tests.providers.kits import NOON

RULE = {
    "code": "any_amount",
    "outcome": "review",
    "sql": "amount >= 0",
    "state": "live",
    "owner": "ana",
    "reason": "a wave",
}
WHO = {"author": "ana", "reason": "a wave"}


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One published book, one listed customer, a champion with a challenger that has a share, and a day of measures."""
    shop = Shop(tmp_path_factory.mktemp("standing"))

    def call(**members: Any) -> None:
        manage_rules(json.dumps(members).encode(), shop.ports, shop.now)

    call(act="publish", book={"rules": [RULE]}, after=None, **WHO)
    until = utc_text(NOON + 30 * DAY)
    call(act="list", action="block", kind="customer", value="customer-1", until=until, owner="ana", **WHO)
    line = Line(
        current=Champion(digest="a" * 64, since=NOON - DAY, quality={"average_precision": 0.75}),
        challenger=Champion(digest="b" * 64, since=NOON - HOUR),
        canary=Canary(share=0.05, since=NOON),
        former=(Champion(digest="c" * 64, since=NOON - 9 * DAY),),
        pinned=True,
    )
    shop.ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, line))])
    for number, unusual in enumerate((False, True)):
        measured = HealthMeasured(
            row_id=f"r{number}",
            day=NOON - DAY,
            measured_at=NOON,
            measure="score_drift",
            subject=f"s{number}",
            model="a" * 64,
            value=0.5,
            low=0.0,
            high=0.25,
            payments=100,
            unusual=unusual,
        )
        rows = [to_document(measured) | {"measured_at": NOON - HOUR, "value": 9.0}, to_document(measured)]
        shop.ports.warehouse.append("model_health", rows)
    return shop


def test_rules_are_listed_as_they_decide_and_as_they_were(standing: Shop) -> None:
    shown = told(standing.home, "rules", "list")
    assert (shown["revision"], [rule["sql"] for rule in shown["book"]["rules"]]) == (1, ["amount >= 0"])
    assert shown["health"] is None
    assert told(standing.home, "rules", "list", "--revision", "1", "--health")["health"] is not None
    assert "any_amount  live   review   amount >= 0" in payin(standing.home, "rules", "list").stdout
    assert payin(standing.home, "rules", "list", "--revision", "7").exit_code == 65


def test_revisions_say_who_made_them_and_why(standing: Shop) -> None:
    [revision] = told(standing.home, "rules", "history")["revisions"]
    assert (revision["author"], revision["why"], revision["after"]) == ("ana", "a wave", None)
    assert "shipped" in payin(standing.home, "rules", "history").stdout


def test_two_books_are_compared_member_by_member(standing: Shop) -> None:
    changed = told(standing.home, "rules", "diff", "shipped", "1")["rules"]
    assert changed["any_amount"][0] is None
    assert "any_amount.sql" in payin(standing.home, "rules", "diff", "shipped", "1").stdout
    assert payin(standing.home, "rules", "diff", "1", "1").stdout.strip() == "no difference"
    assert payin(standing.home, "rules", "diff", "shipped", "ours").exit_code == 2


def test_lists_say_what_stands_and_of_one_entity_all_that_was_ever_said(standing: Shop) -> None:
    [listed] = told(standing.home, "lists", "show")
    assert (listed["kind"], listed["value"], list(listed["standing"])) == ("customer", "customer-1", ["block"])
    [same] = told(standing.home, "lists", "show", "customer", "customer-1")
    assert [change["author"] for change in same["changes"]] == ["ana"]
    assert "in 30 d 0 h" in payin(standing.home, "lists", "show").stdout
    assert payin(standing.home, "lists", "show", "customer").exit_code == 2
    assert payin(standing.home, "lists", "show", "country", "DE").exit_code == 65


def test_models_say_who_decides_and_for_how_many(standing: Shop) -> None:
    shown = told(standing.home, "models", "show")
    assert (shown["line"]["current"]["digest"], shown["line"]["canary"]["share"]) == ("a" * 64, 0.05)
    said = payin(standing.home, "models", "show").stdout
    assert "challenger, decides for 5%" in said
    assert "pinned" in said
    assert said.index("a" * 12) < said.index("b" * 12) < said.index("c" * 12)


def test_measures_are_told_by_their_last_word(standing: Shop) -> None:
    assert [one["value"] for one in told(standing.home, "models", "health")] == [0.5, 0.5]
    assert [one["subject"] for one in told(standing.home, "models", "health", "--unusual")] == ["s1"]
    assert told(standing.home, "models", "health", "--measure", "another") == []
    assert told(standing.home, "models", "health", "--days", "1") == told(standing.home, "models", "health")


def test_where_nothing_was_published_what_is_shipped_decides(home: Path) -> None:
    assert told(home, "rules", "list")["revision"] is None
    assert "as shipped" in payin(home, "rules", "history").stdout
    assert "rules alone" in payin(home, "models", "show").stdout
    assert payin(home, "lists", "show").stdout.strip() == "nothing is listed"


def test_what_is_due_is_told_the_first_deadline_first(shop: Shop, home: Path) -> None:
    [due] = told(home, "deadlines", "--days", "30")
    assert (due["provider"], due["dispute_id"], due["payment_id"]) == ("stripe", shop.dispute, shop.payment)
    assert (due["amount"], due["risks"]) == ({"minor": 1999, "currency": "EUR"}, [])
    assert told(home, "deadlines", "--days", "30", "--at-risk") == []
    assert "EUR 19.99" in payin(home, "deadlines", "--days", "30").stdout
    assert "1 of which something is to be done within 30 days" in payin(home, "deadlines", "--days", "30").stdout
    assert "nothing is to be done" in payin(home, "deadlines", "--days", "0").stdout


def open_dispute(**fields: Any) -> Dispute:
    told_of = {"stage": DisputeStage.CHARGEBACK, "status": DisputeStatus.NEEDS_RESPONSE, "can_respond": True, **fields}
    return dispute_after(a_dispute_event(**told_of))


@pytest.mark.parametrize(
    ("fields", "after", "says"),
    [
        ({"respond_by": OUR_NOON + 9 * DAY}, 0 * HOUR, []),
        ({"respond_by": OUR_NOON + 23 * HOUR}, 0 * HOUR, ["less than a day is left"]),
        ({"respond_by": OUR_NOON + 23 * HOUR, "status": DisputeStatus.UNDER_REVIEW}, 0 * HOUR, []),
        ({"respond_by": OUR_NOON + DAY}, 2 * DAY, ["check_deadlines", "the deadline has passed"]),
        ({"respond_by": OUR_NOON + 9 * DAY, "can_respond": False}, 0 * HOUR, []),
        ({"respond_by": OUR_NOON + 9 * DAY, "unsigned": ("respond_by",)}, 0 * HOUR, ["no signature"]),
        ({"respond_by": OUR_NOON + 9 * DAY, "status_unknown": True}, 0 * HOUR, ["one that we do not know"]),
        ({"respond_by": OUR_NOON + 9 * DAY, "status": DisputeStatus.WON}, 0 * HOUR, []),
    ],
)
def test_a_dispute_that_may_end_without_an_answer_says_why(fields: dict[str, Any], after: Any, says: list[str]) -> None:
    found = list(risks(open_dispute(**fields), OUR_NOON + after))
    assert len(found) == len(says), found
    assert all(part in text for part, text in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (AnswerState.PARKED, ["parked, only a person can go on: refused", "less than a day is left"]),
        (AnswerState.TAKEN, []),
        (AnswerState.ELSEWHERE, []),
        (AnswerState.HELD, ["less than a day is left"]),
    ],
)
def test_our_own_answer_may_be_the_risk(state: AnswerState, says: list[str]) -> None:
    dispute = open_dispute(respond_by=OUR_NOON + 23 * HOUR)
    assert dispute.round is not None
    answer = Answer(state=state, at=OUR_NOON, code="refused", wake_at=OUR_NOON + 10 * DAY)
    assert list(risks(replace(dispute, answers={dispute.round: answer}), OUR_NOON)) == says


def test_who_is_listed_by_a_pseudonym_is_told_by_its_key_and_whether_they_are_found_by_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "home")
    until = utc_text(NOON + 30 * DAY)
    for version in ("dev", "1"):
        value = f"mail-{version}-{'3f' * 32}"
        said = {"act": "list", "action": "block", "kind": "customer", "value": value, "until": until, "owner": "risk"}
        manage_rules(json.dumps({**said, **WHO}).encode(), shop.ports, shop.now)
    found = [(one["version"], one["name"], one["owner"], one["holds"]) for one in told(shop.home, "lists", "keys")]
    assert found == [("1", "block", "risk", False), ("dev", "block", "risk", True)]
    assert "risk" in payin(shop.home, "lists", "keys").stdout
    # By a name under one key it is told that another one may be meant.
    assert "under another key" in payin(shop.home, "lists", "show", "customer", f"mail-dev-{'5a' * 32}").stdout
