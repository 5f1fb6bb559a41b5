"""Stored decisions computed again: what differs is told, by the message that an operator sends."""

import json
import logging
from typing import Any

import pytest

from shared.domain.codec import encode, from_document, utc_text
from shared.domain.decisions import Outcome
from shared.flows.book_of_rules import BOOKS
from shared.flows.ports import Create, Ports
from shared.flows.recompute_decisions import Recomputed, recompute_decisions
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS, on_request
from shared.fraud import model
from shared.fraud.book import FORMER_RULES, SHIPPED, Book, Contents
from shared.fraud.decide import SMALLEST_WEIGHT
from shared.fraud.policy import hardest
from shared.fraud.rules import Rule, State
from tests.builders import DAY, HOUR, MINUTE, NOON, a_payment_event, eur
from tests.fraud.forests import artifact, fitted
from tests.local import published


def decided(ports: Ports, number: int, scorer: Scorer) -> list[dict[str, Any]]:
    """Rows of so many decisions, a minute apart."""
    for n in range(number):
        at = NOON + n * MINUTE
        score_payment(a_payment_event(payment_id=f"pi_{n}", amount=eur(n), occurred_at=at), ports, at, scorer)
    return published(ports, "fraud-decisions")


def a_champion(ports: Ports) -> Scorer:
    digest = ports.models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=20)))
    ports.documents.commit([Create(CHAMPION, {"digest": digest, "since": NOON, "former": []})])
    return Scorer()


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


def test_decisions_come_out_as_they_were_stored(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    rows = decided(ports, 5, a_champion(ports))
    ports.warehouse.append("fraud_decisions", [*rows, *rows])
    assert recompute_decisions(ports, NOON + HOUR, 100, DAY) == Recomputed(5, 5, 0, 0)
    assert recompute_decisions(ports, NOON + HOUR, 3, DAY) == Recomputed(3, 3, 0, 0)
    assert recompute_decisions(ports, NOON + 3 * DAY, 100, DAY) == Recomputed(0, 0, 0, 0)
    assert alarms(caplog) == []


def test_a_difference_is_an_alarm_that_names_the_event(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    first, second = decided(ports, 2, a_champion(ports))
    ports.warehouse.append("fraud_decisions", [first, {**second, "score": second["score"] / 2}])
    caplog.set_level(logging.INFO)
    on_request(ports, NOON + HOUR, json.dumps({"recompute": 10}).encode())
    assert alarms(caplog) == ["decisions_differ"]
    told = {record.message: record.__dict__ for record in caplog.records}
    assert second["event_id"] in str(told["decisions_differ"])
    assert first["event_id"] not in str(told["decisions_differ"])


@pytest.mark.parametrize(
    "changes",
    [
        {"rules_version": "0" * 16},
        {"policy_version": "0" * 16},
        {"model_digest": "0" * 64},
    ],
)
def test_what_was_decided_by_what_is_not_kept_is_counted_and_left(
    changes: dict[str, str], ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    rows = decided(ports, 3, a_champion(ports))
    ports.warehouse.append("fraud_decisions", [rows[0], *({**row, **changes} for row in rows[1:])])
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(3, 1, 0, 2)
    assert alarms(caplog) == []


def test_decisions_by_rules_alone_need_no_model(ports: Ports) -> None:
    ports.warehouse.append("fraud_decisions", decided(ports, 3, Scorer(use_model=False)))
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(3, 3, 0, 0)


FORMER = {"f_left_since": 3.0, "amount": 999.0, "three_d_secure_passed": None, "card_frauds_ever": 2.0}
COLUMNS_THEN = ("amount", "f_left_since", *(f"former_{n}" for n in range(10)))


def of_an_earlier_release(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """That decision as a release with other features would have stored it, but for what it comes to."""
    values = dict.fromkeys(COLUMNS_THEN, 1.0) | FORMER
    features = [{"name": name, "value": value} for name, value in values.items()]
    return {**row, "schema_version": "0" * 16, "features": features, **changes}


def test_a_decision_of_a_release_with_other_features_is_computed_by_its_own(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    # Its model knows only its features, and so does a rule of the book that stood then.
    data = artifact(COLUMNS_THEN, fitted(COLUMNS_THEN, iterations=20), schema_version="0" * 16)
    digest = ports.models.store(data)
    then = model.load(data, digest, "0" * 16)
    scored = then.score([FORMER.get(name, 1.0) for name in then.names])
    rule = Rule(
        code="left", outcome=Outcome.REVIEW, sql="f_left_since >= 2", tree=[">=", "f_left_since", 2], state=State.LIVE
    )
    book = Contents(rules=(rule,))
    kept = {"revision": 1, "after": None, "author": "ana", "why": "then", "at": NOON, "contents": encode(book).decode()}
    ports.documents.commit([Create(BOOKS.kept("00000001"), kept)])
    judged_by = Book(book, 1, frozenset(COLUMNS_THEN))
    [row] = decided(ports, 1, Scorer(use_model=False))
    outcome = hardest([Outcome.REVIEW, then.thresholds.outcome(scored.score)])
    reasons: list[dict[str, Any]] = [{"source": "rule", "code": "left", "weight": None}]
    raised = sorted(zip(scored.contributions, then.names, strict=True), key=lambda one: -one[0])
    reasons += [
        {"source": "model", "code": name, "weight": amount} for amount, name in raised[:4] if amount >= SMALLEST_WEIGHT
    ]
    old = of_an_earlier_release(
        row,
        model_digest=digest,
        book_revision=1,
        rules_version=judged_by.table.version,
        policy_version=judged_by.policy.version(then.thresholds),
        fallback=None,
        raw_score=scored.raw,
        score=scored.score,
        outcome=outcome,
        reasons=reasons,
        shadow=[],
    )
    ports.warehouse.append("fraud_decisions", [old])
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 1, 0, 0)
    damaged = {**old, "raw_score": scored.raw + 1, "decided_at": utc_text(NOON + MINUTE)}
    ports.warehouse.append("fraud_decisions", [damaged])
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 0, 1, 0)
    assert alarms(caplog) == ["scoring_without_model", "decisions_differ"]


RELEASED = frozenset({"c58d3059f0b7768e", "30ef5ab28bda833a", "70c5df32fe709864", "01529ed923f8dbb9"})
"""Every version of rules that was ever shipped, and that decisions therefore name."""


def test_no_rules_that_were_ever_shipped_are_forgotten() -> None:
    assert SHIPPED.table.version in RELEASED, (
        f"shipped_rules.json changed: keep what stood there in {FORMER_RULES.name} under its version, "
        f"then name {SHIPPED.table.version} here"
    )
    assert json.loads(FORMER_RULES.read_bytes()).keys() == RELEASED - {SHIPPED.table.version}


def test_what_an_earlier_release_shipped_judges_its_decisions(ports: Ports) -> None:
    kept = json.loads(FORMER_RULES.read_bytes())
    for version, rules in kept.items():
        former = Book(Contents(rules=from_document(rules, tuple[Rule, ...])))
        assert former.table.version == version != SHIPPED.table.version
    version = next(iter(kept))
    # A card of which fraud was claimed was declined then, and is challenged now.
    [row] = decided(ports, 1, Scorer(use_model=False))
    for feature in row["features"]:
        feature["value"] = 1.0 if feature["name"] == "card_frauds_ever" else feature["value"]
    reasons = [{"source": "rule", "code": "known_fraud_on_card", "weight": None}]
    then = {**row, "rules_version": version, "outcome": "decline", "reasons": reasons}
    ports.warehouse.append("fraud_decisions", [then])
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 1, 0, 0)


def test_a_vector_that_lacks_what_is_asked_is_counted_and_left(ports: Ports) -> None:
    [row] = decided(ports, 1, a_champion(ports))
    ports.warehouse.append("fraud_decisions", [{**row, "features": row["features"][:-1]}])
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 0, 0, 1)
