"""What the door did is counted against the truth, and histories against the decisions."""

from pathlib import Path

from shared.domain.decisions import Outcome
from shared.domain.money import Money
from shared.flows.assess_payment import count
from shared.flows.judged import entity_key
from shared.flows.ports import Accumulate
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.decide import decide
from shared.fraud.features import Entity
from tests.builders import NOON, a_payment_event, an_assessment
from tests.local import local_ports
from tests.simulator.facts import Attempt, SimulatedCard
from tests.simulator.world import START, Fraud
from tests.stack.checkout import Asked
from tests.stack.demo import said_of
from tests.stack.report import Turned, door, miscounted


def asked(
    name: str,
    outcome: Outcome,
    *,
    let_through: bool = False,
    minor: int = 1000,
    currency: str = "EUR",
    refused: str | None = None,
) -> Asked:
    attempt = Attempt(
        id=name,
        provider="stripe",
        at=START,
        amount=Money(minor, currency),
        customer="c1",
        email="ana@music.example",
        card=SimulatedCard(token="card-1", bin="424242", last4="4242", network="visa", country="DE"),
        decline_code=refused,
    )
    return Asked(attempt, outcome, (), let_through, 0.01)


def test_what_fraud_did_not_get_and_whom_that_cost_a_payment() -> None:
    found = door(
        [
            asked("thief", Outcome.DECLINE, minor=5000),
            asked("tester", Outcome.CHALLENGE, minor=100, currency="JPY"),
            asked("missed", Outcome.APPROVE, let_through=True),
            asked("empty", Outcome.DECLINE, refused="stolen_card"),  # its issuer would have refused it
            asked("owner", Outcome.CHALLENGE, let_through=True),
            asked("gave up", Outcome.CHALLENGE, minor=700),
            asked("good", Outcome.APPROVE, let_through=True),
        ],
        {
            "thief": Fraud.STOLEN_CARD,
            "tester": Fraud.CARD_TESTING,
            "missed": Fraud.FRIENDLY,
            "empty": Fraud.STOLEN_CARD,
        },
    )
    assert found.kept == Turned(2, 3, {"EUR": 5000, "JPY": 100})
    assert found.hindered == Turned(1, 3, {"EUR": 700})
    assert found.by_kind[Fraud.STOLEN_CARD] == Turned(1, 1, {"EUR": 5000})
    assert found.by_kind[Fraud.FRIENDLY] == Turned(0, 1, {})
    assert found.proved == 1
    told = dict(said_of(found))
    assert "EUR 50.00, JPY 100" in told["kept from fraud"]
    assert "1 of 3 good payments, 33.33%" in told["hindered"]


def test_a_history_that_counts_a_payment_twice_is_found(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    scorer = Scorer(use_model=False)
    request = an_assessment()
    count(request, ports, NOON, scorer, lambda known, judges, book, _: decide(known, judges.champion, NOON, book))
    payment = a_payment_event(merchant_reference="order-1")
    for _ in range(2):
        score_payment(payment, ports, NOON, scorer)
    assert miscounted(ports.documents) == []
    twice = entity_key(Entity.CUSTOMER, "cus_1")
    ports.documents.commit([Accumulate(twice, add={("ever", "payments"): 1})])
    assert miscounted(ports.documents) == [twice.id]
