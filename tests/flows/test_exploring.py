"""What exploration may lose in a day, at both doors, on SQLite."""

from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from shared.domain.decisions import Decision, Outcome
from shared.domain.events import PaymentAssessed
from shared.flows.assess_payment import Assessor
from shared.flows.book_of_rules import publish_book
from shared.flows.exploring import EXPLORED
from shared.flows.ports import Create, Ports
from shared.flows.recompute_decisions import Recomputed, recompute_decisions
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS
from shared.fraud.book import Contents
from shared.fraud.policy import Exploration
from tests.builders import DAY, NOON, a_card, a_payment_event, an_assessment
from tests.flows.counting import Counting
from tests.fraud.forests import artifact, fitted
from tests.fraud.test_decide import EXPLORING, drawn
from tests.local import local_ports, published

NAMES = [name for _, name in zip(range(8), drawn(EXPLORING), strict=False)]


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    """With a champion by whom every payment is stopped, and 1999 twice a day to explore."""
    ports = local_ports(tmp_path)
    digest = ports.models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=5)))
    ports.documents.commit([Create(CHAMPION, {"digest": digest, "since": NOON, "former": []})])
    owned = tuple(replace(one, owner="risk", reason="nobody passes") for one in EXPLORING.limits)
    policy = replace(EXPLORING, limits=owned, exploration=Exploration(share=0.01, most=5000, most_a_day=4500))
    publish_book(ports, Contents(policy=policy), NOON, after=None, author="ana", why="to learn")
    return ports


def alone(name: str) -> dict[str, Any]:
    """Whom no other payment knows."""
    return {"card": a_card(fingerprint=name), "customer_id": name, "device_id": name, "email_domain": f"{name}.example"}


def asked(name: str, **fields: Any) -> PaymentAssessed:
    return an_assessment(request_id=name, merchant_reference=name, **alone(name), **fields)


def assess(ports: Ports, request: PaymentAssessed) -> Decision:
    assessor = Assessor(lambda: ports, Scorer(), {}, 8)
    return assessor.assess(request, request.occurred_at, monotonic() + 30).decision


def test_a_day_loses_no_more_than_it_may_at_both_doors_together_and_the_next_begins_anew(ports: Ports) -> None:
    scorer = Scorer()
    first = assess(ports, asked(NAMES[0]))
    assert assess(ports, asked(NAMES[0])) == first
    for name in (*NAMES[1:4], NAMES[1]):
        score_payment(a_payment_event(payment_id=name, **alone(name)), ports, NOON, scorer)
    rows = published(ports, "fraud-decisions")
    assert first.explored is True
    assert {row["payment_id"]: row["explored"] for row in rows} == dict(
        zip(NAMES[1:4], (True, False, False), strict=True)
    )
    [counted] = ports.documents.get([EXPLORED])
    assert counted is not None
    assert counted.document == {"day": "2026-11-02", "amount": 2 * 1999}
    spent = assess(ports, asked(NAMES[4]))
    assert (spent.outcome, spent.explored, spent.propensity) == (Outcome.DECLINE, False, 1.0)
    assert assess(ports, asked(NAMES[5], occurred_at=NOON + DAY)).explored is True
    ports.warehouse.append("fraud_decisions", rows)
    told = recompute_decisions(ports, NOON + DAY, 10, 2 * DAY)
    assert (told.different, told.other_versions, told.equal) == (0, 0, told.looked_at)
    assert isinstance(told, Recomputed)


def test_only_a_drawn_payment_costs_a_further_read(ports: Ports) -> None:
    scorer = Scorer()
    scorer.start(ports, NOON)
    for name, reads in (("pi_other", 1), (NAMES[0], 2)):
        counting = Counting(ports.documents)
        event = a_payment_event(payment_id=name, **alone(name))
        score_payment(event, replace(ports, documents=counting), NOON, scorer)
        assert (counting.reads, counting.commits) == (reads, 1)
