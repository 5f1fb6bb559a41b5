"""Webhook to documents, decisions, disputes and reminders: every function a process, every step real HTTP."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.domain.codec import decode, from_document, utc_text
from shared.domain.disputes import AlertAnswered, AlertOutcome, AnswerState, Dispute, DisputeReminder, Rung
from shared.domain.events import DisputeReason, DisputeStage, DisputeStatus, Initiator
from shared.domain.money import Money
from shared.domain.payments import Payment, PaymentState
from shared.flows.decisions import of_stored
from shared.flows.filing import dispute_of
from shared.flows.ports import Key
from shared.runtime.disputes import PATH
from tests.simulator.apis import serving_all
from tests.simulator.facts import (
    Attempt,
    Fact,
    FactKind,
    ProviderSimulator,
    SignedRequest,
    SimulatedCard,
    SimulatedDispute,
)
from tests.simulator.loading import load
from tests.simulator.world import DAY, HOUR, PROVIDER_NAMES, START
from tests.stack.desks import Desks, running_desks
from tests.stack.identity import identity
from tests.stack.sender import Answered, Sender
from tests.stack.servers import Absent
from tests.stack.stack import TEAM, Stack, running, virtual_now

AMOUNTS = {"stripe": Money(3990, "KWD"), "adyen": Money(1690, "ISK"), "paypal": Money(1480, "JPY")}


class Business:
    """A running stack, and the three providers beside it."""

    def __init__(self, stack: Stack, simulators: dict[str, ProviderSimulator], desks: Desks) -> None:
        self.stack = stack
        self.simulators = simulators
        self.desks = desks
        self._sender = Sender(stack.urls["webhook"])

    def post(self, fact: Fact) -> list[Answered]:
        """Everything that the fact's provider sends for it, twice, as providers do."""
        self.stack.set_clock(fact.at)
        simulator = self.simulators[fact.attempt.provider]
        if fact.kind is FactKind.DISPUTE_OPENED:
            self.desks.open(fact, simulator)
        return [self._sender.send(simulator.sign(body, fact.at)) for body in simulator.requests(fact) for _ in range(2)]

    def flood(self, facts: list[Fact]) -> None:
        """Each fact's messages once, as fast as they are taken."""
        self.stack.set_clock(facts[0].at)
        simulators = self.simulators
        self._sender.send_all(
            simulators[fact.attempt.provider].sign(body, fact.at)
            for fact in facts
            for body in simulators[fact.attempt.provider].requests(fact)
        )

    def forge(self, fact: Fact) -> list[Answered]:
        simulator = self.simulators[fact.attempt.provider]
        return [self._sender.send(simulator.forge(body, fact.at)) for body in simulator.requests(fact)]

    def close(self) -> None:
        self._sender.close()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", marks=pytest.mark.slow),
        pytest.param("emulators", marks=[pytest.mark.slow, pytest.mark.emulators]),
    ],
)
def business(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Business]:
    home = Path(tmp_path_factory.mktemp("stack"))
    simulators = {name: load(name, 1, home / "providers") for name in PROVIDER_NAMES}
    environment = {name: text for one in simulators.values() for name, text in one.environment().items()}
    try:
        with (
            serving_all(simulators) as apis,
            # Every answer that counts is taken, and the connection breaks before that is told.
            running_desks(PROVIDER_NAMES, lambda: virtual_now(home), lambda _: True) as desks,
            running(
                request.param,
                home,
                environment | apis,
                clock=START,
                own={"respond_dispute": desks.settings},
                PAYIN_MODEL="none",
            ) as stack,
        ):
            found = Business(stack, simulators, desks)
            yield found
            found.close()
    except Absent as missing:
        pytest.skip(str(missing))


def an_attempt(provider: str) -> Attempt:
    return Attempt(
        id=f"e2e-{provider}",
        provider=provider,
        at=START + HOUR,
        amount=AMOUNTS[provider],
        customer="c1",
        email="ana@example.com",
        card=SimulatedCard(token="card-1", bin="424242", last4="4242", network="visa", country="SE"),
        device="dev-1",
        ip="198.18.50.7",
        initiator=Initiator.CUSTOMER,
        cvv_matches=True,
    )


@pytest.mark.parametrize("provider", PROVIDER_NAMES)
def test_a_payment_is_recorded_judged_disputed_and_its_deadline_reminded_of(business: Business, provider: str) -> None:
    attempt = an_attempt(provider)
    simulator, stack = business.simulators[provider], business.stack
    dispute = SimulatedDispute(
        id=f"dp-{provider}",
        stage=DisputeStage.CHARGEBACK,
        reason=DisputeReason.NOT_RECEIVED,
        reason_code="13.1",
        respond_by=attempt.at + 12 * DAY,
    )
    opened = Fact(
        kind=FactKind.DISPUTE_OPENED, attempt=attempt, at=attempt.at + 2 * DAY, amount=attempt.amount, dispute=dispute
    )
    answers = [
        *business.post(Fact(kind=FactKind.AUTHORIZED, attempt=attempt, at=attempt.at)),
        *business.post(Fact(kind=FactKind.CAPTURED, attempt=attempt, at=attempt.at + timedelta(seconds=5))),
        *business.post(opened),
    ]
    assert {answer.status for answer in answers} == {200}
    assert {(answer.status, answer.body) for answer in business.forge(opened)} == {(401, b"")}
    stack.drain()

    payment_key = Key("payments", f"{provider}:{simulator.payment_id(attempt)}")
    dispute_key = Key("disputes", f"{provider}:{simulator.dispute_id(dispute)}")
    decision_key = Key("decisions", f"{provider}:{simulator.payment_id(attempt)}")
    found = stack.ports.documents.get([payment_key, dispute_key, decision_key])
    assert all(found)
    payment, tracked, decision = (snapshot.document for snapshot in found if snapshot)
    check_payment(from_document(payment, Payment), attempt)
    check_dispute(from_document(tracked, Dispute), dispute)
    assert of_stored(decision).amount == attempt.amount

    stack.set_clock(attempt.at + 6 * DAY)  # within the week before the deadline, and not within three days
    for _ in range(3):
        stack.tick("check_deadlines")
    stack.drain()
    reminders = [
        decode(message.data, DisputeReminder)
        for message in stack.take(TEAM)
        if message.attributes["action"] == "remind"
    ]
    assert [(one.dispute_id, one.rung) for one in reminders] == [(simulator.dispute_id(dispute), Rung.WEEK)]
    # A dispute may have been handled before its payment; it has found it by now.
    [linked] = stack.ports.documents.get([dispute_key])
    assert linked is not None
    assert from_document(linked.document, Dispute).linked_to is not None


@pytest.mark.parametrize("provider", PROVIDER_NAMES)
def test_a_dispute_is_answered_once_though_nobody_hears_that_it_was_taken(business: Business, provider: str) -> None:
    attempt = replace(an_attempt(provider), id=f"e2e-answered-{provider}")
    simulator, stack = business.simulators[provider], business.stack
    dispute = SimulatedDispute(
        id=f"dp-answered-{provider}",
        reason=DisputeReason.NOT_RECEIVED,
        reason_code="13.1",
        respond_by=attempt.at + 12 * DAY,
    )
    opened_at, due_by = (
        attempt.at + 2 * DAY,
        attempt.at + 11 * DAY,
    )  # what is not worth much goes out a day before its deadline
    for kind, at in ((FactKind.AUTHORIZED, attempt.at), (FactKind.CAPTURED, attempt.at + timedelta(seconds=5))):
        business.post(Fact(kind=kind, attempt=attempt, at=at))
    business.post(
        Fact(kind=FactKind.DISPUTE_OPENED, attempt=attempt, at=opened_at, amount=attempt.amount, dispute=dispute)
    )
    stack.drain()
    own = simulator.dispute_id(dispute)

    def tick(at: datetime) -> tuple[AnswerState | None, int]:
        """How far our answer is after that, and how often the provider was given one."""
        stack.set_clock(at)
        stack.tick("check_deadlines")
        stack.drain()
        [found] = stack.ports.documents.get([Key("disputes", f"{provider}:{own}")])
        tracked = dispute_of(found)
        assert tracked is not None
        return tracked.answer.state if tracked.answer else None, sum(
            one.dispute_id == own for one in business.desks.taken[provider]
        )

    assert tick(opened_at + 2 * HOUR) == (AnswerState.ANNOUNCED, 0)
    state, taken = tick(due_by)
    assert taken == 1
    # Stripe knows the repeat of a request, which was made at once; elsewhere the dispute is read back first.
    assert state is (AnswerState.TAKEN if provider == "stripe" else AnswerState.SENDING)
    for hours in (4, 8):
        assert tick(due_by + hours * HOUR) == (AnswerState.TAKEN, 1)


def test_an_alert_is_matched_by_its_card_refunded_once_and_its_network_told_once(business: Business) -> None:
    attempt = replace(
        an_attempt("stripe"),
        id="e2e-alert",
        amount=Money(2990, "KWD"),
        card=SimulatedCard(token="card-alert", bin="424242", last4="1881", network="visa", country="SE"),
    )
    simulator, stack = business.simulators["stripe"], business.stack
    captured = Fact(kind=FactKind.CAPTURED, attempt=attempt, at=attempt.at + timedelta(seconds=5))
    business.post(Fact(kind=FactKind.AUTHORIZED, attempt=attempt, at=attempt.at))
    business.post(captured)
    business.desks.warn(captured, simulator)
    stack.drain()
    stack.store()
    alerted_at = attempt.at + 2 * DAY
    alert = {
        "alert": "ethoca",
        "alert_id": "A-1",
        "provider": "stripe",
        "account": "main",
        "livemode": False,
        "issued_at": utc_text(alerted_at),
        "amount": {"minor": 2990, "currency": "KWD"},
        "reason": "fraud",
        "network": "visa",
        "card_bin": "424242",
        "card_last4": "1881",
        "paid_at": utc_text(attempt.at),
    }
    stack.set_clock(alerted_at)
    bridge = Sender(stack.urls["manage_dispute"], at_once=1)
    headers = {"Content-Type": "application/json", **identity("bridge@shop.example")}
    for _ in range(2):
        told = bridge.send(SignedRequest(f"{PATH}/alert", headers, json.dumps(alert).encode()))
        assert (told.status, json.loads(told.body)["payment_id"]) == (200, simulator.payment_id(attempt))
    bridge.close()
    stack.drain()
    for hours in (2, 8, 12, 23):
        stack.set_clock(alerted_at + hours * HOUR)
        stack.tick("check_deadlines")
        stack.drain()
    [refund] = [one for one in business.desks.refunds["stripe"] if one.payment_id == simulator.payment_id(attempt)]
    assert (refund.minor, refund.at) == (2990, alerted_at + 8 * HOUR)
    outcomes = [
        decode(message.data, AlertAnswered)
        for message in stack.take(TEAM)
        if message.attributes["action"] == "alert_answered"
    ]
    assert {(one.alert_id, one.outcome, one.refund) for one in outcomes} == {("A-1", AlertOutcome.REFUNDED, "re_1")}
    assert len({one.action_id for one in outcomes}) == 1


def check_payment(payment: Payment, attempt: Attempt) -> None:
    assert payment.state is PaymentState.CAPTURED
    assert payment.captured == attempt.amount


def check_dispute(tracked: Dispute, dispute: SimulatedDispute) -> None:
    assert (tracked.stage, tracked.status) == (DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE)
    assert tracked.respond_by == dispute.respond_by


def test_what_was_received_and_decided_reaches_the_warehouse_once_for_each_message(business: Business) -> None:
    attempt = Attempt(
        **{**{name: getattr(an_attempt("stripe"), name) for name in Attempt.__slots__}, "id": "e2e-stored"}
    )
    sent = business.post(Fact(kind=FactKind.AUTHORIZED, attempt=attempt, at=attempt.at))
    business.stack.drain()
    business.stack.store()
    name = business.simulators["stripe"].payment_id(attempt)
    for table, rows in (("payment_events", len(sent)), ("fraud_decisions", 1)):
        [counted] = business.stack.ports.warehouse.query(
            f"SELECT COUNT(*) AS total, COUNT(DISTINCT event_id) AS events FROM {table} WHERE payment_id = @name",
            {"name": name},
        )
        assert counted["total"] >= rows
        assert counted["events"] == 1


def test_a_function_killed_at_work_loses_nothing(business: Business) -> None:
    import signal

    attempts = [
        Attempt(**{**{name: getattr(an_attempt("adyen"), name) for name in Attempt.__slots__}, "id": f"e2e-killed-{n}"})
        for n in range(30)
    ]
    for attempt in attempts:
        business.post(Fact(kind=FactKind.AUTHORIZED, attempt=attempt, at=attempt.at))
    business.stack.stop("record_payment", signal.SIGKILL)
    business.stack.start("record_payment")
    business.stack.drain()
    keys = [Key("payments", f"adyen:{business.simulators['adyen'].payment_id(attempt)}") for attempt in attempts]
    assert all(business.stack.ports.documents.get(keys))


def test_a_flood_at_one_provider_delays_no_others_decision(business: Business) -> None:
    def named(provider: str, number: int) -> Attempt:
        fields = {name: getattr(an_attempt(provider), name) for name in Attempt.__slots__}
        return Attempt(**{**fields, "id": f"e2e-flood-{number}", "customer": f"flood-{number}"})

    def decision_of(attempt: Attempt) -> Key:
        simulator = business.simulators[attempt.provider]
        return Key("decisions", f"{attempt.provider}:{simulator.payment_id(attempt)}")

    flood = [named("stripe", number) for number in range(300)]
    alone = named("adyen", 0)
    business.flood([Fact(kind=FactKind.AUTHORIZED, attempt=attempt, at=attempt.at) for attempt in flood])
    began = time.monotonic()
    business.post(Fact(kind=FactKind.AUTHORIZED, attempt=alone, at=alone.at))
    while not all(business.stack.ports.documents.get([decision_of(alone)])):
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    took = time.monotonic() - began
    decided = business.stack.ports.documents.get([decision_of(attempt) for attempt in flood])
    assert None in decided, "the flood must still be under way"
    assert took < 5
    business.stack.drain()


def test_nothing_was_given_up_on(business: Business) -> None:
    assert business.stack.given_up() == []
