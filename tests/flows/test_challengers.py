"""A model beside the champion: asked and logged, never in the way, given a share, promoted, dismissed."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.codec import decode, encode
from shared.domain.decisions import Decision
from shared.domain.errors import Rejected
from shared.domain.events import AnyEvent
from shared.flows.assess_payment import Assessor
from shared.flows.challengers import line_in, roll_back
from shared.flows.champions import Canary, Champion, Line, with_line
from shared.flows.decisions import of_stored, stored
from shared.flows.ports import Create, Ports
from shared.flows.recompute_decisions import recompute_decisions
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS, on_request
from shared.fraud.features import SCHEMA_VERSION, Attempt
from shared.fraud.judges import Judges
from shared.fraud.model import Model
from tests.builders import DAY, HOUR, MINUTE, NOON, a_payment_event, an_assessment
from tests.fraud.forests import artifact, fitted, loaded
from tests.local import local_ports, published


def a_model(ports: Ports, iterations: int) -> str:
    return ports.models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=iterations)))


def beside(ports: Ports, share: float = 0.0) -> tuple[str, str]:
    """A champion and its challenger, by digest, in the registry."""
    champion, challenger = a_model(ports, 20), a_model(ports, 10)
    line = Line(
        current=Champion(digest=champion, since=NOON - DAY),
        challenger=Champion(digest=challenger, since=NOON),
        canary=Canary(share=share, since=NOON) if share else None,
    )
    ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, line))])
    return champion, challenger


def line(ports: Ports) -> Line:
    return line_in(ports.documents.get([CHAMPION])[0])


def decided(ports: Ports, *events: AnyEvent, scorer: Scorer | None = None) -> list[Decision]:
    scorer = scorer or Scorer()
    for event in events:
        score_payment(event, ports, event.occurred_at, scorer)
    return [decode(json.dumps(row), Decision) for row in published(ports, "fraud-decisions")]


def ask(ports: Ports, **asked: object) -> None:
    on_request(ports, NOON + HOUR, json.dumps(asked).encode())


def test_a_challenger_is_asked_and_logged_and_decides_nothing(tmp_path: Path) -> None:
    alone, both = local_ports(tmp_path / "alone"), local_ports(tmp_path / "both")
    champion, challenger = beside(both)
    line_alone = Line(current=Champion(digest=a_model(alone, 20), since=NOON - DAY))
    alone.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, line_alone))])
    event = a_payment_event()
    [expected], [found] = decided(alone, event), decided(both, event)
    assert found.model_digest == champion
    assert found.challenger == challenger[:12]
    values = {feature.name: feature.value for feature in found.features}
    model = loaded(COLUMNS, fitted(COLUMNS, iterations=10))
    assert found.challenger_score == round(model.score([values[name] for name in model.names]).score, 6)
    assert replace(found, challenger=None, challenger_score=None) == expected
    assert of_stored(stored(found)) == found


def test_a_challenger_that_cannot_be_loaded_is_alarmed_once_and_hinders_nobody(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    champion = a_model(ports, 20)
    foreign = ports.models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=10), schema_version="0" * 16))
    told = Line(
        current=Champion(digest=champion, since=NOON),
        challenger=Champion(digest=foreign, since=NOON),
        canary=Canary(share=1.0, since=NOON),
    )
    ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, told))])
    scorer = Scorer()
    events = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + 2 * n * MINUTE) for n in range(3)]
    found = decided(ports, *events, scorer=scorer)
    assert {(one.model_digest, one.challenger) for one in found} == {(champion, None)}
    alarms = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert alarms == ["challenger_not_loaded"]


def test_where_a_canary_gives_everyone_to_the_challenger_the_champion_is_logged_beside_it_at_both_doors(
    ports: Ports,
) -> None:
    champion, challenger = beside(ports, share=1.0)
    scorer = Scorer()
    assessor = Assessor(lambda: ports, scorer, {}, 2)
    answer = assessor.assess(an_assessment(merchant_reference="other"), NOON, monotonic() + 60).decision
    [told] = decided(ports, a_payment_event(), scorer=scorer)
    for decision in (answer, told):
        assert (decision.model_digest, decision.challenger) == (challenger, champion[:12])


def test_a_decision_of_a_canary_computes_again_to_the_byte(ports: Ports) -> None:
    beside(ports, share=0.5)
    events = [a_payment_event(payment_id=f"pi_{n}", customer_id=f"cus_{n}") for n in range(20)]
    found = decided(ports, *events)
    assert len({one.model_digest for one in found}) == 2
    ports.warehouse.append("fraud_decisions", [json.loads(encode(one)) for one in found])
    recomputed = recompute_decisions(ports, NOON + HOUR, 100, DAY)
    assert (recomputed.equal, recomputed.different) == (20, 0)


@pytest.fixture(scope="module")
def models() -> tuple[Model, Model]:
    return loaded(COLUMNS, fitted(COLUMNS, iterations=20)), loaded(COLUMNS, fitted(COLUMNS, iterations=10))


@given(customer=st.text(min_size=1, max_size=20), number=st.integers(0, 10**6), share=st.floats(0, 1))
def test_a_customer_draws_the_same_at_both_doors_for_each_payment_and_stays_drawn_as_the_share_grows(
    models: tuple[Model, Model], customer: str, number: int, share: float
) -> None:
    attempts = [
        Attempt.of(a_payment_event(customer_id=customer, payment_id=f"pi_{number}")),
        Attempt.of(a_payment_event(customer_id=customer, payment_id="pi_other")),
        Attempt.of(an_assessment(customer_id=customer, request_id=f"req_{number}")),
    ]
    drawn = {Judges(*models, share).of(attempt) for attempt in attempts}
    assert drawn in ({models}, {models[::-1]})
    more = Judges(*models, (1 + share) / 2).of(attempts[0])
    assert more == models[::-1] or drawn == {models}


def test_a_share_is_of_the_customers(models: tuple[Model, Model]) -> None:
    judges = Judges(*models, 0.1)
    drawn = sum(judges.of(Attempt.of(a_payment_event(customer_id=f"cus_{n}")))[0] is models[1] for n in range(3000))
    assert 240 < drawn < 360
    assert Judges(None, models[1], 1.0).of(Attempt.of(a_payment_event())) == (None, None)


def test_an_operator_gives_a_share_promotes_and_dismisses_and_a_repeat_does_nothing_more(ports: Ports) -> None:
    champion, challenger = beside(ports)
    for _ in range(2):
        ask(ports, canary=challenger, share=0.05)
        assert line(ports).canary == Canary(share=0.05, since=NOON + HOUR)
    ask(ports, canary=challenger, share=0)
    assert line(ports).canary is None
    for _ in range(2):
        ask(ports, promote=challenger)
        promoted = line(ports)
        assert promoted.current == Champion(digest=challenger, since=NOON + HOUR)
        assert [one.digest for one in promoted.former] == [champion]
        assert promoted.challenger is None
    assert roll_back(ports, NOON + DAY, challenger) == champion


def test_a_dismissed_challenger_is_asked_no_more_and_another_one_stays(ports: Ports) -> None:
    _, challenger = beside(ports, share=0.5)
    ask(ports, dismiss="a" * 64)
    assert line(ports).challenger is not None
    for _ in range(2):
        ask(ports, dismiss=challenger)
        assert (line(ports).challenger, line(ports).canary) == (None, None)


def test_what_is_not_the_challenger_gets_no_share_and_is_not_promoted_and_a_pin_holds(ports: Ports) -> None:
    champion, challenger = beside(ports)
    for asked in ({"canary": champion, "share": 0.1}, {"promote": "a" * 64}):
        with pytest.raises(Rejected, match="the challenger is another one"):
            ask(ports, **asked)
    ask(ports, pin=champion)
    with pytest.raises(Rejected, match="unpin it first"):
        ask(ports, promote=challenger)
    with pytest.raises(Rejected, match="share"):
        ask(ports, canary=challenger, share=1.5)
