"""How right each rule was, a day at a time: rows of what was decided in, measures out."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.codec import utc_text
from shared.flows.backtest import MATURITY
from shared.flows.book_of_rules import publish_book
from shared.flows.ports import Ports
from shared.flows.rule_health import DEAD_AFTER, Measure, health_of, measured, subject_of
from shared.fraud.book import SHIPPED, Book, Contents
from shared.fraud.rules import State, Table
from tests.builders import DAY, HOUR
from tests.flows.test_book_of_rules import a_rule

TODAY = datetime(2026, 11, 24, tzinfo=UTC)
LIVE = a_rule("large", "amount >= 100")
SHADOW = a_rule("tiny", "amount < 1", state=State.SHADOW)
DRAFT = a_rule("draft", "amount < 1", state=State.DRAFT)


@pytest.fixture
def revision(ports: Ports) -> int:
    return publish_book(ports, Contents(rules=(LIVE, SHADOW, DRAFT)), TODAY, after=None, author="ana", why="a wave")


def decisions(ports: Ports, day: datetime, number: int, revision: int | None = 1, **members: Any) -> None:
    """So many captured payments of `day`, each told twice; `rules` held for them, and `shadow`."""
    held = members.pop("rules", ())
    version = Table([LIVE, SHADOW]).version if revision else SHIPPED.table.version
    rows = [
        {
            "event_id": f"{day:%m%d}-{number}-{'-'.join(held)}-{n}-{members}",
            "occurred_at": utc_text(day + HOUR),
            "decided_at": utc_text(day + HOUR),
            "book_revision": revision,
            "rules_version": version,
            "sample": "7f",
            "step": "captured",
            "reasons": [
                {"source": "list", "code": "snoozed_large", "weight": None},
                *({"source": "rule", "code": code, "weight": None} for code in held),
                {"source": "model", "code": "amount", "weight": 1.0},
            ],
            **members,
        }
        for n in range(number)
    ]
    ports.warehouse.append("fraud_decisions", [*rows, *rows])


def test_a_rule_is_told_with_its_hits_and_with_the_precision_of_those_that_became_old_enough(
    ports: Ports, revision: int
) -> None:
    decisions(ports, TODAY, 3, rules=["large"])
    decisions(ports, TODAY, 5)
    decisions(ports, TODAY, 2, shadow=["tiny"])
    then = TODAY - MATURITY
    decisions(ports, then, 1, rules=["large"], fraud_reported_at=utc_text(TODAY), claims_revision=1)
    decisions(ports, then, 3, rules=["large"])
    decisions(ports, then, 4, rules=["large"], step="declined")
    decisions(ports, then, 4, rules=["large"], step=None)
    found = {(one.measure, one.subject): one for one in measured(ports, TODAY)}
    large, tiny = subject_of(LIVE), subject_of(SHADOW)
    assert {key: (one.value, one.payments) for key, one in found.items()} == {
        ("rule_hits", large): (3, 10),
        ("rule_hits", tiny): (2, 10),
        ("rule_precision", large): (0.25, 4),
    }
    low, high = found["rule_precision", large].usual or (0, 0)
    assert 0.04 < low < 0.05
    assert 0.69 < high < 0.71


def test_what_a_reviewer_found_to_be_fraud_is_fraud_that_the_rule_hit(ports: Ports, revision: int) -> None:
    then = TODAY - MATURITY
    for name, step, label in (
        ("a", "captured", "third_party_fraud"),
        ("b", None, "first_party_fraud"),  # refused, and so never paid
        ("c", None, "genuine"),
        ("d", "captured", None),
    ):
        paid: dict[str, Any] = {"event_id": name, "payment_id": f"pi_{name}", "provider": "stripe"}
        decisions(ports, then, 1, rules=["large"], step=step, **paid)
        if label:
            said = {"label_id": f"{name}/review", "label": label, "source": "manual_review", "revision": 0}
            at = {"known_at": utc_text(then + 2 * HOUR)}
            ports.warehouse.append("fraud_labels", [{**said, **at, "provider": "stripe", "payment_id": f"pi_{name}"}])
    [found] = [one for one in measured(ports, TODAY) if one.measure == "rule_precision"]
    assert (found.value, found.payments) == (0.5, 4)


def test_a_rule_that_was_changed_begins_anew_and_an_older_ones_hits_stay_its_own(ports: Ports, revision: int) -> None:
    changed = a_rule("large", "amount >= 500")
    publish_book(ports, Contents(rules=(changed,)), TODAY, after=revision, author="ana", why="too many")
    decisions(ports, TODAY, 3, rules=["large"])
    hits = {one.subject: one.value for one in measured(ports, TODAY) if one.measure == "rule_hits"}
    assert hits == {subject_of(LIVE): 3, subject_of(SHADOW): 0, subject_of(changed): 0}
    assert subject_of(LIVE) != subject_of(changed)


def test_hits_of_a_book_that_is_not_here_go_by_its_own_version(ports: Ports, revision: int) -> None:
    decisions(ports, TODAY, 2, rules=["gone"], rules_version="0" * 16, revision=7)
    hits = {one.subject: one.value for one in measured(ports, TODAY)}
    assert hits[f"gone {'0' * 16}"] == 2


def test_a_rule_that_never_holds_is_dead_after_a_month_and_not_a_day_before(ports: Ports, revision: int) -> None:
    def tell(day: datetime, found: list[Measure]) -> None:
        rows = [
            {
                "row_id": f"{day:%Y-%m-%d}/{one.measure}/{one.subject}",
                "day": utc_text(day),
                "measured_at": utc_text(day + DAY),
                "measure": one.measure,
                "subject": one.subject,
                "value": one.value,
                "payments": one.payments,
            }
            for one in found
        ]
        ports.warehouse.append("model_health", [*rows, *rows])

    days = DEAD_AFTER // DAY
    dead: dict[int, set[str]] = {}
    for n in range(days):
        day = TODAY + n * DAY
        decisions(ports, day, 1, rules=["large"] if n == days - 2 else [])
        found = list(measured(ports, day))
        tell(day, found)
        dead[n] = {one.subject for one in found if one.measure == "rule_dead"}
    assert {n: subjects for n, subjects in dead.items() if subjects} == {days - 1: {subject_of(SHADOW)}}
    book = Book(Contents(rules=(LIVE, SHADOW, DRAFT)))
    health = health_of(ports.warehouse, book, TODAY + days * DAY + HOUR)
    assert health.keys() == {"large", "tiny"}
    assert (health["tiny"].dead, health["tiny"].days, health["tiny"].hits) == (True, days, 0)
    assert (health["large"].dead, health["large"].hits) == (False, 1)
    assert health["large"].last_hit == TODAY + (days - 2) * DAY


def test_of_no_decisions_the_rules_that_stand_have_no_hits(ports: Ports) -> None:
    found = list(measured(ports, TODAY))
    assert {one.value for one in found} == {0}
    assert {one.subject for one in found} == {subject_of(rule) for rule in SHIPPED.contents.rules}
