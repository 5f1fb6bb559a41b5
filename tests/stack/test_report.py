"""What the door did is counted against the truth, and histories against the decisions."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.disputes.strategy import WORTH_IT
from shared.domain.answers import Act
from shared.domain.decisions import Outcome
from shared.domain.disputes import Answer, AnswerState, Dispute, Rung
from shared.domain.events import DisputeStatus
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
from tests.simulator.desks import Taken
from tests.simulator.facts import Attempt, Fact, FactKind, SimulatedCard
from tests.simulator.world import START, Fraud
from tests.stack.checkout import Asked
from tests.stack.demo import said_of
from tests.stack.report import Report, Turned, door, judge_the_answers, miscounted


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


def a_dispute(name: str, state: AnswerState, act: Act | None, status: DisputeStatus) -> Dispute:
    answer = Answer(state=state, act=act, at=START, why=(WORTH_IT, "no rule of a network"), completeness=0.5)
    return Dispute(provider="stripe", dispute_id=name, account="a", status=status, answers={"chargeback/0": answer})


def answered(tmp_path: Path, **changes: Any) -> Report:
    """What is found of a story in which one dispute was fought and won, one accepted, and one answered by people."""
    disputes = [
        a_dispute("du_fought", AnswerState.TAKEN, Act.SUBMIT, DisputeStatus.WON),
        a_dispute("du_accepted", AnswerState.TAKEN, Act.ACCEPT, DisputeStatus.LOST),
        a_dispute("du_people", AnswerState.ELSEWHERE, Act.SUBMIT, DisputeStatus.WON),
    ]
    tracked = {("stripe", one.dispute_id): one for one in disputes}
    attempt = asked("a1", Outcome.APPROVE, let_through=True).attempt
    taken = [Taken("du_fought", Act.SUBMIT, START, {}), Taken("du_accepted", Act.ACCEPT, START, {})]
    told: dict[str, Any] = {
        "desks": SimpleNamespace(taken={"stripe": taken + changes.pop("more_taken", [])}),
        "parked": {("stripe", "du_people"): SimpleNamespace(told=None, why=("its own pages only",))},
        "disputes": {key: Fact(kind=FactKind.DISPUTE_OPENED, attempt=attempt, at=START) for key in tracked},
        "won": {("stripe", "du_fought"), ("stripe", "du_people")},
        "can_be_answered": set(tracked),
        "by_people": {("stripe", "du_people"): Rung.DAY},
        "not_taken": [],
    }
    report = Report()
    stack = SimpleNamespace(ports=local_ports(tmp_path), home=tmp_path)
    judge_the_answers(report, cast(Any, stack), cast(Any, SimpleNamespace(**{**told, **changes})), tracked)
    return report


def test_who_answered_is_told_with_what_it_brought(tmp_path: Path) -> None:
    report = answered(tmp_path)
    assert report.problems == []
    found = report.answers
    assert (found.fought, found.accepted, found.by_people) == ({"stripe": 1}, {"stripe": 1}, {"stripe": 1})
    assert (found.won, found.by_others, found.disputed) == ({"EUR": 1000}, {"EUR": 1000}, {"EUR": 3000})
    assert found.why == {WORTH_IT: 2}
    assert found.parked == {"its own pages only": 1}
    assert found.outcomes == {("fought", "won"): 1, ("accepted", "lost"): 1, ("by people", "won"): 1}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"more_taken": [Taken("du_fought", Act.SUBMIT, START, {})]}, "1 answers were sent twice"),
        ({"more_taken": [Taken("du_other", Act.SUBMIT, START, {})]}, "1 answers are known to one side only"),
        ({"by_people": {}}, "1 disputes that take an answer got none"),
        ({"not_taken": ["stripe du_fought"]}, "1 answers were late"),
    ],
)
def test_an_answer_too_many_too_few_or_too_late_is_a_broken_promise(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    assert [one for one in answered(tmp_path, **changes).problems if problem in one]
