"""Stored decisions computed again: what differs is told, by the message that an operator sends."""

import json
import logging
from typing import Any

import pytest

from shared.flows.ports import Create, Ports
from shared.flows.recompute_decisions import Recomputed, recompute_decisions
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS, on_request
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
        {"schema_version": "0" * 16},
        {"rules_version": "0" * 16},
        {"policy_version": "0" * 16},
        {"model_digest": "0" * 64},
    ],
)
def test_what_another_release_decided_is_counted_and_left(
    changes: dict[str, str], ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    [row] = decided(ports, 1, a_champion(ports))
    ports.warehouse.append("fraud_decisions", [{**row, **changes}])
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 0, 0, 1)
    assert alarms(caplog) == []


def test_decisions_by_rules_alone_need_no_model(ports: Ports) -> None:
    ports.warehouse.append("fraud_decisions", decided(ports, 3, Scorer(use_model=False)))
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(3, 3, 0, 0)
