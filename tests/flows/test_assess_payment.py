"""Before authorisation, for real on SQLite: counted once at whichever door, answered in time whatever fails."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations
from time import monotonic, sleep
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.codec import decode, decode_event, encode, encode_event
from shared.domain.decisions import Decision, Fallback, HistoryState, Outcome
from shared.domain.errors import Unavailable
from shared.domain.events import AnyEvent, PaymentAssessed, PaymentStep
from shared.flows.assess_payment import COMMIT_LATE, NOT_COUNTED, PUBLISH_WAITS, Assessment, Assessor, RequestIdTaken
from shared.flows.decisions import PACKED, of_stored, stored
from shared.flows.ports import Documents, Key, Message, Ports, Snapshot, Write
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.decide import decide, recompute
from shared.fraud.features import Attempt
from shared.fraud.history import Known
from tests.builders import DAY, HOUR, MINUTE, NOON, SECOND, a_card, a_fraud_warning, a_payment_event, an_assessment
from tests.flows.counting import Counting
from tests.local import everything, published, wipe

COLLECTIONS = ("decisions", "known_frauds", "fraud_claims", "feature_state", "assessments")
LONG = 30.0


def by_rules() -> Scorer:
    return Scorer(use_model=False)


def assess(
    ports: Ports, asked: PaymentAssessed, within: float = LONG, without_history: dict[str, Outcome] | None = None
) -> Assessment:
    assessor = Assessor(lambda: ports, by_rules(), without_history or {}, 8)
    return assessor.assess(asked, asked.occurred_at, monotonic() + within)


def told(ports: Ports) -> list[PaymentAssessed]:
    """The requests that were published since we asked."""
    events = [decode_event(msgspec.json.encode(row)) for row in published(ports, "payment-events")]
    assert all(isinstance(event, PaymentAssessed) for event in events)
    return [event for event in events if isinstance(event, PaymentAssessed)]


def score(ports: Ports, *events: AnyEvent) -> list[Decision]:
    for event in events:
        score_payment(event, ports, event.occurred_at + SECOND, by_rules())
    rows = [row for row in published(ports, "fraud-decisions") if not row["claims_revision"]]
    return [decode(msgspec.json.encode(row), Decision) for row in rows]


def answered(asked: PaymentAssessed, decision: Decision) -> PaymentAssessed:
    return replace(asked, decision=stored(decision)[PACKED])


def ever(ports: Ports, entity: str, measure: str = "payments") -> int:
    document = everything(ports, COLLECTIONS).get(Key("feature_state", entity), {})
    return int(document.get("ever", {}).get(measure, 0))


def in_a_month(ports: Ports, entity: str, measure: str) -> int:
    days = everything(ports, COLLECTIONS).get(Key("feature_state", entity), {}).get("days", {})
    return sum(day.get(measure, 0) for day in days.values())


# One history, counted once.


def test_a_request_is_counted_in_the_commit_that_decides_it(ports: Ports) -> None:
    assessment = assess(ports, an_assessment())
    assert (assessment.decision.outcome, assessment.late) == (Outcome.APPROVE, ())
    assert ever(ports, "card:fp_1") == 1
    assert assess(ports, an_assessment(request_id="req_2", merchant_reference="order-2")).decision.features != ()
    assert ever(ports, "card:fp_1") == 2


def test_a_request_costs_one_read_one_commit_and_one_message(ports: Ports) -> None:
    counting = Counting(ports.documents)
    assess(replace(ports, documents=counting), an_assessment())
    assert (counting.reads, counting.commits) == (1, 1)
    assert len(told(ports)) == 1


def test_the_same_request_again_gets_the_same_answer_and_counts_nothing(ports: Ports) -> None:
    first = assess(ports, an_assessment()).decision
    before = everything(ports, COLLECTIONS)
    assert assess(ports, an_assessment(occurred_at=NOON + MINUTE)).decision == first
    assert everything(ports, COLLECTIONS) == before


def test_a_request_id_that_another_request_has_is_refused(ports: Ports) -> None:
    assess(ports, an_assessment())
    with pytest.raises(RequestIdTaken):
        assess(ports, an_assessment(customer_id="cus_2"))
    assert ever(ports, "customer:cus_2") == 0


def test_twenty_copies_of_a_request_at_once_have_one_answer_and_count_once(ports: Ports) -> None:
    assessor = Assessor(lambda: ports, by_rules(), {}, 32)
    asked = an_assessment(merchant_reference=None)
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: assessor.assess(asked, NOON, monotonic() + LONG), range(20)))
    assert len({encode(answer.decision) for answer in answers}) == 1
    assert ever(ports, "card:fp_1") == 1


def test_a_card_tester_whom_nobody_lets_through_to_a_provider_is_counted_and_stopped(ports: Ports) -> None:
    outcomes = [
        assess(
            ports,
            an_assessment(
                request_id=f"r{n}", merchant_reference=f"o{n}", card=a_card(fingerprint=f"fp{n}"), customer_id=f"c{n}"
            ),
        ).decision.outcome
        for n in range(8)
    ]
    assert outcomes[0] is Outcome.APPROVE
    assert outcomes[-1] is not Outcome.APPROVE


def test_the_providers_word_finds_the_decision_and_publishes_it_with_the_payment(ports: Ports) -> None:
    asked = assess(ports, an_assessment()).decision
    before = {entity: ever(ports, entity) for entity in ("card:fp_1", "customer:cus_1")}
    event = a_payment_event(PaymentStep.AUTHORIZED, merchant_reference="order-1", occurred_at=NOON + SECOND)
    [linked] = score(ports, event)
    assert linked == replace(asked, payment_id="pi_1", linked_event_id=event.event_id, step="authorized")
    assert {entity: ever(ports, entity) for entity in before} == before
    # Its later events change nothing, and the same one again publishes the same record again.
    assert score(ports, a_payment_event(PaymentStep.CAPTURED, occurred_at=NOON + MINUTE)) == []
    assert score(ports, event) == [linked]


def test_a_refusal_by_the_issuer_is_added_once_when_it_is_told(ports: Ports) -> None:
    assess(ports, an_assessment())
    refused = a_payment_event(PaymentStep.DECLINED, merchant_reference="order-1", occurred_at=NOON + SECOND)
    score(ports, refused, refused)
    assert (in_a_month(ports, "card:fp_1", "payments"), in_a_month(ports, "card:fp_1", "declined")) == (1, 1)


def test_whom_the_request_did_not_name_is_counted_when_the_provider_names_it(ports: Ports) -> None:
    assess(ports, an_assessment(card=None))
    event = a_payment_event(PaymentStep.AUTHORIZED, merchant_reference="order-1", occurred_at=NOON + SECOND)
    score(ports, event, a_fraud_warning())
    assert (ever(ports, "card:fp_1"), ever(ports, "customer:cus_1")) == (1, 1)
    # Fraud counts on the card too, which the request had not named.
    assert ever(ports, "card:fp_1", "frauds") == 1
    assert ever(ports, "customer:cus_1", "frauds") == 1
    # And they have met.
    [later] = score(ports, a_payment_event(payment_id="pi_2", occurred_at=NOON + HOUR))
    assert {one.name: one.value for one in later.features}["new_card_of_customer"] == 0


@pytest.mark.parametrize("named", [{"payment_id": "pi_1"}, {"payment_id": "pi_9", "aliases": ("pi_1",)}])
def test_a_request_that_names_the_payment_is_found_by_that_name(ports: Ports, named: dict[str, Any]) -> None:
    assess(ports, an_assessment(aliases=("pi_1",), merchant_reference=None))
    [linked] = score(ports, a_payment_event(occurred_at=NOON + SECOND, **named))
    assert linked.request_id == "req_1"
    assert ever(ports, "card:fp_1") == 1


def test_a_payment_of_another_card_or_of_the_next_month_is_not_the_requests(ports: Ports) -> None:
    assess(ports, an_assessment())
    other = a_payment_event(payment_id="pi_2", merchant_reference="order-1", card=a_card(fingerprint="fp_2"))
    renewal = a_payment_event(payment_id="pi_3", merchant_reference="order-1", occurred_at=NOON + 30 * DAY)
    assert [one.request_id for one in score(ports, other, renewal)] == [None, None]
    assert (ever(ports, "card:fp_1"), ever(ports, "card:fp_2")) == (2, 1)


def test_two_attempts_under_one_reference_are_two_and_each_has_its_payment(ports: Ports) -> None:
    for n in (1, 2):
        assess(ports, an_assessment(request_id=f"req_{n}", occurred_at=NOON + n * SECOND))
    linked = score(
        ports,
        *(
            a_payment_event(payment_id=f"pi_{n}", merchant_reference="order-1", occurred_at=NOON + n * MINUTE)
            for n in (1, 2)
        ),
    )
    assert [(one.request_id, one.payment_id) for one in linked] == [("req_1", "pi_1"), ("req_2", "pi_2")]
    assert ever(ports, "card:fp_1") == 2
    assert [key for key in everything(ports, COLLECTIONS) if key.collection == "assessments"] == []


def counted(ports: Ports) -> dict[str, dict[str, int]]:
    """What each entity's document has counted, whenever."""
    documents = everything(ports, ("feature_state",))
    sums: dict[str, dict[str, int]] = {}
    for key, document in documents.items():
        totals: dict[str, int] = {}
        for day in document.get("days", {}).values():
            for measure, number in day.items():
                totals[measure] = totals.get(measure, 0) + number
        sums[key.id] = {measure: number for measure, number in totals.items() if number}
    return sums


def happenings() -> Sequence[AnyEvent]:
    """A request that could not be counted when it was answered, the provider's word, and news of fraud."""
    asked = an_assessment(card=None)
    late = answered(asked, unread(asked))
    refused = a_payment_event(PaymentStep.DECLINED, merchant_reference="order-1", occurred_at=NOON + SECOND)
    return (
        late,
        refused,
        replace(refused, event_id="stripe:acct_1:evt_later"),
        a_fraud_warning(occurred_at=NOON + HOUR),
    )


def test_in_any_order_and_however_often_the_payment_is_counted_once(shared_ports: Ports) -> None:
    events = happenings()
    outcomes = []
    for order in permutations(events):
        for again in (order, (*order, *order), tuple(event for event in order for _ in range(2))):
            wipe(shared_ports, (*COLLECTIONS, "reviews"))
            score(shared_ports, *again)
            outcomes.append(counted(shared_ports))
    assert all(outcome == outcomes[0] for outcome in outcomes), "the order decides what is counted"
    assert outcomes[0]["card:fp_1"]["payments"] == 1
    assert outcomes[0]["card:fp_1"]["declined"] == 1
    assert outcomes[0]["customer:cus_1"]["payments"] == 1
    assert outcomes[0]["customer:cus_1"]["new_cards"] == 1
    assert outcomes[0]["card:fp_1"]["frauds"] == outcomes[0]["device:dev_1"].get("frauds", 1) == 1


def unread(asked: PaymentAssessed) -> Decision:
    """What is answered where nothing could be read."""
    known = Known(Attempt.of(asked), {}, read=False)
    return decide(known, None, NOON, fallback=Fallback.STORE_DOWN, without_history=Outcome.APPROVE)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "tell", "count"]), st.integers(0, 2), st.integers(0, 1)),
        min_size=1,
        max_size=9,
    )
)
def test_every_request_and_every_payment_beyond_them_counts_once(
    shared_ports: Ports, acts: list[tuple[str, int, int]]
) -> None:
    """Requests and payments of one order and card, interleaved at will: as many attempts as the larger number of both."""
    wipe(shared_ports, (*COLLECTIONS, "reviews"))
    asked, paid = set[int](), set[int]()
    for place, (act, number, _) in enumerate(acts):
        at = NOON + place * SECOND
        request = an_assessment(request_id=f"r{number}")
        if act == "tell":
            paid.add(number)
            score(
                shared_ports,
                a_payment_event(payment_id=f"pi_{number}", merchant_reference="order-1", occurred_at=at),
            )
        elif act == "ask":
            asked.add(number)
            assess(shared_ports, replace(request, occurred_at=at))
        else:
            asked.add(number)
            score(shared_ports, answered(request, unread(request)))
    assert ever(shared_ports, "card:fp_1") == max(len(asked), len(paid))


def test_an_assessed_decision_computed_again_gives_the_same_bytes(ports: Ports) -> None:
    decision = assess(ports, an_assessment()).decision
    assert encode(recompute(decision, None)) == encode(decision)
    linked = replace(decision, payment_id="pi_1", linked_event_id="stripe:acct_1:evt_1")
    assert encode(recompute(linked, None)) == encode(linked)


# Within the budget.


class Troubled:
    """Documents that answer after `seconds` (None: when they are let go), or not at all."""

    def __init__(self, real: Documents, seconds: float | None = 0.0, *, of: str = "get", down: bool = False) -> None:
        self._real, self._seconds, self._of, self._down = real, seconds, of, down
        self.let_go = threading.Event()
        self.asked = 0

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        self._suffer("get")
        return self._real.get(keys)

    def commit(self, writes: Sequence[Write]) -> None:
        self._suffer("commit")
        self._real.commit(writes)

    def due(self, *told: Any) -> list[Snapshot]:
        return self._real.due(*told)

    def find(self, *told: Any) -> list[Snapshot]:
        return self._real.find(*told)

    def listed(self, *told: Any) -> list[Snapshot]:
        return self._real.listed(*told)

    def scan(self, *told: Any) -> list[Snapshot]:
        return self._real.scan(*told)

    def _suffer(self, what: str) -> None:
        if what == self._of:
            self.asked += 1
            if self._down:
                raise Unavailable("nobody answers", reason="database_down")
            if self._seconds is None:
                self.let_go.wait(10)
            else:
                sleep(self._seconds)


class Hanging:
    """A bus that takes nothing until it is let go, or that is down."""

    def __init__(self, real: Any, *, down: bool = False) -> None:
        self._real, self._down = real, down
        self.let_go = threading.Event()
        self.refused = 0

    def publish(self, messages: Sequence[Message]) -> None:
        if self._down:
            self.refused += 1
            raise Unavailable("nobody takes it", reason="bus_down")
        self.let_go.wait(10)
        self._real.publish(messages)


BUDGET, GRACE = 0.1, 0.02


def in_time(ports: Ports, **told: Any) -> Assessment:
    """The answer of one request, within the budget: of several, for the machine may have been busy with others."""
    for n in range(5):
        began = monotonic()
        assessment = assess(
            ports, an_assessment(request_id=f"req_{n}", merchant_reference=f"o{n}", flow="trial"), within=BUDGET, **told
        )
        if (took := monotonic() - began) < BUDGET + GRACE:
            return assessment
    raise AssertionError(f"{took * 1000:.1f} ms")


def warm(ports: Ports) -> Ports:
    assess(ports, an_assessment(request_id="warm", merchant_reference="warm"))
    told(ports)
    return ports


@pytest.mark.parametrize(
    ("trouble", "fallback"),
    [
        ({"seconds": 0.4}, Fallback.STORE_SLOW),
        ({"seconds": None}, Fallback.STORE_SLOW),
        ({"down": True}, Fallback.STORE_DOWN),
    ],
    ids=["slow", "hanging", "dead"],
)
def test_a_store_that_does_not_answer_costs_the_history_and_not_the_budget(
    ports: Ports, trouble: dict[str, Any], fallback: Fallback
) -> None:
    documents = Troubled(warm(ports).documents, **trouble)
    assessment = in_time(replace(ports, documents=documents), without_history={"trial": Outcome.CHALLENGE})
    documents.let_go.set()
    decision = assessment.decision
    assert (decision.fallback, decision.outcome) == (fallback, Outcome.CHALLENGE)
    assert {one.state for one in decision.history} == {HistoryState.UNKNOWN}
    assert assessment.late != ()
    assert encode(recompute(decision, None)) == encode(decision)
    # What was answered is what stands, counted by whoever comes first: the one who was late, or the redelivery.
    [message] = eventually(lambda: [one for one in told(ports) if one.request_id == decision.request_id])
    [published_decision] = score(ports, message)
    assert published_decision == decision
    assert decision.request_id is not None
    key = Key("decisions", f"stripe:request:{decision.request_id}")
    assert of_stored(everything(ports, COLLECTIONS)[key]) == decision


@pytest.mark.parametrize("seconds", [0.4, None], ids=["slow", "hanging"])
def test_a_commit_that_is_late_leaves_the_decision_and_says_so(ports: Ports, seconds: float | None) -> None:
    documents = Troubled(warm(ports).documents, seconds, of="commit")
    assessment = in_time(replace(ports, documents=documents))
    documents.let_go.set()
    assert assessment.late == (COMMIT_LATE,)
    assert assessment.decision.fallback is Fallback.NO_MODEL
    assert {one.state for one in assessment.decision.history} == {HistoryState.KNOWN}
    eventually(lambda: ever(ports, "card:fp_1") >= 2)


def test_a_commit_that_fails_is_made_good_by_the_message(ports: Ports) -> None:
    documents = Troubled(ports.documents, of="commit", down=True)
    assessment = assess(replace(ports, documents=documents), an_assessment())
    assert assessment.late == (NOT_COUNTED,)
    assert ever(ports, "card:fp_1") == 0
    [message] = told(ports)
    assert score(ports, message) == [assessment.decision] == score(ports, message)
    assert ever(ports, "card:fp_1") == 1


@pytest.mark.parametrize("down", [False, True], ids=["hanging", "dead"])
def test_a_bus_that_takes_nothing_costs_no_more_than_the_budget(
    ports: Ports, down: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bus = Hanging(warm(ports).bus, down=down)
    assessment = in_time(replace(ports, bus=bus))
    bus.let_go.set()
    assert assessment.decision.fallback is Fallback.NO_MODEL
    eventually(lambda: ever(ports, "card:fp_1") >= 2)
    if down:
        # Each message that nobody took is alarmed once its tries are over: here, and in no later test.
        tries = len(PUBLISH_WAITS) + 1

        def all_alarmed() -> bool:
            alarms = [one.message for one in caplog.records].count("assessment_unpublished")
            return 0 < bus.refused == tries * alarms

        eventually(all_alarmed, within=30)


def test_beyond_what_can_be_worked_on_at_once_requests_are_answered_without_history(ports: Ports) -> None:
    documents = Troubled(ports.documents, None)
    assessor = Assessor(lambda: replace(ports, documents=documents), by_rules(), {"": Outcome.REVIEW}, 2)

    def ask(number: int) -> Decision:
        return assessor.assess(an_assessment(request_id=f"r{number}"), NOON, monotonic() + LONG).decision

    with ThreadPoolExecutor(2) as threads:
        hanging = [threads.submit(ask, number) for number in range(2)]
        eventually(lambda: documents.asked == 2)
        # Whoever waited for the store would wait until it is let go.
        answers = [ask(number) for number in range(2, 6)]
        assert not any(one.done() for one in hanging)
        documents.let_go.set()
    assert {one.outcome for one in answers} == {Outcome.REVIEW}
    assert {one.fallback for one in answers} == {Fallback.STORE_SLOW}
    assert {one.result().fallback for one in hanging} == {Fallback.NO_MODEL}
    # All of them are told of.
    names: list[str] = []

    def all_told() -> bool:
        names.extend(one.request_id for one in told(ports))
        return len(names) == 6

    eventually(all_told)


def eventually(what: Any, within: float = 5.0) -> Any:
    until = monotonic() + within
    while not (found := what()):
        assert monotonic() < until, "never"
        sleep(0.02)
    return found


def test_the_message_of_a_request_holds_its_answer_and_no_address(ports: Ports) -> None:
    decision = assess(ports, an_assessment()).decision
    [event] = told(ports)
    assert answered(an_assessment(), decision) == event
    assert b"@" not in encode_event(event)
