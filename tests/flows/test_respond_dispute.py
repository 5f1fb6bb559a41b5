"""Disputes are answered: once, in time, whatever is late, lost, doubled or dead. The documents are real; the provider is made up."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import providers
from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.answers import Act, Contest
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.disputes import Answer, AnswerAsked, AnswerState, Dispute
from shared.domain.errors import Conflict, Misconfigured, Unavailable, Unreadable
from shared.domain.events import Alert, DisputeStage, DisputeStatus
from shared.domain.evidence import Item, Own, Packet
from shared.domain.usage import APP_STORES, Consent
from shared.flows.answering import (
    LONGEST_TEXT,
    MOST_PIECES,
    Acted,
    AnswerTaken,
    NotTaken,
    Piece,
    PieceUnknown,
    accept,
    hold,
    piece_of,
    recorded_elsewhere,
    submit,
    supply,
    withdraw,
)
from shared.flows.check_deadlines import check_deadlines
from shared.flows.evidence import keep, kept
from shared.flows.filing import dispute_of
from shared.flows.keep_evidence import keep_evidence
from shared.flows.own_evidence import TEXT, own_of
from shared.flows.ports import Key, Ports
from shared.flows.preparing import judge, prepare
from shared.flows.record_payment import record_payment
from shared.flows.respond_dispute import SHOWN_WITHIN, Clerk, Verdict, contest_of, respond_dispute
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, MINUTE, NOON, SECOND, a_dispute_event, a_payment_event
from tests.crashing import Steps, stepping
from tests.disputes.proofs import MERCHANT, played
from tests.disputes.proofs import told as used_by
from tests.disputes.test_files import a_pdf
from tests.flows.branches import NAMES, a_clerk, answer_to, opened
from tests.flows.corner import PACKET, Corner, CornerDesk, a_contest
from tests.local import local_ports, published, wipe
from tests.simulator.answering import NOON as EXAMPLE_NOON
from tests.simulator.answering import desk_of
from tests.simulator.desks import ApiCall, Desk

RESPOND_BY = NOON + 20 * DAY
DUE = RESPOND_BY - DAY
DISPUTE = Key("disputes", "stripe:dp_1")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Office:
    """Everything that answers: a provider with its desk, our functions with their messages, and a clock that is turned."""

    ports: Ports
    desk: CornerDesk = field(default_factory=CornerDesk)
    corner: Corner = field(default_factory=Corner)
    now: datetime = NOON
    act: Act | None = Act.SUBMIT
    packet: Packet = PACKET
    troubles: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    misconfigured: bool = False
    answerable: bool = True
    after_call: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.desk.open(a_contest("dp_1", RESPOND_BY))

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        if self.misconfigured:
            raise Misconfigured("no key", reason="no_api_key")
        return ApiCredentials("a-key", "https://api.corner.example")

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        path = request.url.removeprefix("https://api.corner.example")
        self.calls.append(f"{request.method} {path}")
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "dropped":
            raise Unavailable("no answer", reason="provider_unavailable")
        if trouble == "garbage":
            return ApiAnswer(200, b"<html>")
        reply = self.desk.reply(ApiCall(request.method, path, {}, request.body, self.now))
        self.after_call()
        if trouble == "lost":
            raise Unavailable("no answer", reason="provider_unavailable")
        return ApiAnswer(reply.status, reply.body)

    def judge(self, dispute: Dispute, now: datetime) -> Verdict:
        due = max(now, (dispute.respond_by or now) - DAY)
        return Verdict(act=self.act, by="strategy/1", why=("it can be won",), due_at=due, chance=(0.3, 0.6))

    def clerk(self, ports: Ports) -> Clerk:
        return Clerk(
            responder=lambda _: self.corner if self.answerable else None,
            api=lambda _: self,
            judge=self.judge,
            prepare=lambda dispute, now: self.packet,
            keep=lambda packet: keep(packet, ports),
            load=lambda digest: kept(digest, ports),
        )

    def open(self, **fields: Any) -> None:
        record_payment(a_payment_event(), self.ports, NOON)
        track_dispute(a_dispute_event(**{"respond_by": RESPOND_BY, **fields}), self.ports, NOON)

    def dispute(self) -> Dispute:
        [found] = self.ports.documents.get([DISPUTE])
        dispute = dispute_of(found)
        assert dispute is not None
        return dispute

    def asked(self) -> list[AnswerAsked]:
        return [
            AnswerAsked(provider=one["provider"], dispute_id=one["dispute_id"], round=one["round"])
            for one in published(self.ports, "dispute-actions")
            if "round" in one
        ]

    def tick(self, at: datetime | None = None) -> list[AnswerAsked]:
        """The clock looks, and what it asks for is done."""
        self.now = at or self.now
        check_deadlines(self.ports, self.now)
        asked = self.asked()
        for one in asked:
            self.do(one)
        return asked

    def do(self, asked: AnswerAsked, ports: Ports | None = None) -> None:
        ports = ports or self.ports
        respond_dispute(asked, ports, self.clerk(ports), lambda: self.now)

    def until(self, end: datetime, every: timedelta = 10 * MINUTE) -> None:
        while self.now < end:
            self.tick(min(self.now + every, end))

    @property
    def state(self) -> AnswerState | None:
        answer = self.dispute().answer
        return answer.state if answer else None


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(local_ports(tmp_path))
    office.open()
    return office


ASKED = AnswerAsked(provider="stripe", dispute_id="dp_1", round="chargeback/0")


def test_an_answer_is_announced_soon_and_given_before_its_deadline(office: Office) -> None:
    office.tick(NOON + HOUR)
    assert (office.state, office.desk.taken) == (AnswerState.ANNOUNCED, [])
    office.until(DUE - HOUR, DAY)
    assert office.desk.taken == []
    office.tick(DUE)
    assert [one.act for one in office.desk.taken] == [Act.SUBMIT]
    dispute = office.dispute()
    assert dispute.answer is not None
    assert (dispute.answer.state, dispute.answer.reference) == (AnswerState.TAKEN, "answer_1")
    assert (dispute.status, dispute.told_status) == (DisputeStatus.UNDER_REVIEW, DisputeStatus.NEEDS_RESPONSE)
    rows = published(office.ports, "dispute-updates")
    assert [row["answer_state"] for row in rows] == [None, "announced", "taken"]
    assert [row["revision"] for row in rows] == sorted({row["revision"] for row in rows})
    assert (rows[-1]["answer"], rows[-1]["answer_by"], rows[-1]["packet"]) == (
        "submit",
        "strategy/1",
        dispute.answer.packet,
    )
    office.until(RESPOND_BY + DAY, DAY)
    assert office.dispute().status is DisputeStatus.UNDER_REVIEW
    assert len(office.desk.taken) == 1


def test_people_are_told_what_will_be_done_and_why(office: Office) -> None:
    office.act = Act.ACCEPT
    check_deadlines(office.ports, NOON + HOUR)
    office.now = NOON + HOUR
    for asked in office.asked():
        office.do(asked)
    (told,) = [one for one in published(office.ports, "dispute-actions") if "action_id" in one]
    assert (told["state"], told["act"], told["by"], told["why"]) == (
        "announced",
        "accept",
        "strategy/1",
        ["it can be won"],
    )
    assert told["due_at"] == "2026-11-21T12:00:00Z"


def test_an_accepted_dispute_is_accepted(office: Office) -> None:
    office.act = Act.ACCEPT
    office.until(DUE, DAY)
    assert [one.act for one in office.desk.taken] == [Act.ACCEPT]
    assert office.dispute().status is DisputeStatus.ACCEPTED


def test_an_app_store_is_told_of_the_use_with_an_acceptance_too_and_the_packet_says_what_it_was_told(
    office: Office,
) -> None:
    office.act, office.corner.TELLS_USE = Act.ACCEPT, True
    office.until(DUE, DAY)
    assert [one.act for one in office.desk.taken] == [Act.ACCEPT]
    answer = office.dispute().answer
    assert answer is not None
    assert answer.packet is not None
    assert kept(answer.packet, office.ports) == replace(PACKET, digest=answer.packet)


def test_a_copy_of_the_message_sends_nothing_and_tells_the_same_again(office: Office) -> None:
    office.until(DUE, DAY)
    before, rows = office.calls.copy(), published(office.ports, "dispute-updates")
    for _ in range(3):
        office.do(ASKED)
    assert office.calls == before
    assert published(office.ports, "dispute-updates") == rows[-1:] * 3


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("shown_after", [0, 1])
def test_an_answer_whose_answer_was_lost_is_found_by_reading_back_and_not_given_twice(
    office: Office, keyed: bool, shown_after: int
) -> None:
    office.corner.keyed = office.desk.keyed = keyed
    office.desk.shown_after = shown_after
    office.tick(NOON + HOUR)
    office.troubles = ["", "", "lost"]
    office.tick(DUE)
    assert (office.state, len(office.desk.taken)) == (AnswerState.SENDING, 1)
    sent_at = office.now
    office.until(DUE + HOUR)
    assert (office.state, len(office.desk.taken)) == (AnswerState.TAKEN, 1)
    answer = office.dispute().answer
    assert answer is not None
    assert answer.answered_at is not None
    assert sent_at <= answer.answered_at <= office.now


def test_an_answer_that_never_arrived_is_given_again(office: Office) -> None:
    office.tick(NOON + HOUR)
    office.troubles = ["", "", "dropped"]
    office.tick(DUE)
    assert (office.state, office.desk.taken) == (AnswerState.SENDING, [])
    office.until(DUE + HOUR)
    assert (office.state, len(office.desk.taken)) == (AnswerState.TAKEN, 1)


def test_what_was_sent_just_now_is_not_sent_again_because_the_provider_does_not_show_it_yet(office: Office) -> None:
    office.desk.shown_after = 100
    office.tick(NOON + HOUR)
    office.troubles = ["", "", "lost"]
    office.tick(DUE)
    office.now += SHOWN_WITHIN / 2
    office.do(ASKED)
    assert (office.state, len(office.desk.taken)) == (AnswerState.SENDING, 1)
    # And a provider that refuses a second answer is believed.
    office.until(DUE + HOUR)
    assert len(office.desk.taken) == 1


def test_where_the_provider_tells_nothing_what_may_have_arrived_is_a_persons(office: Office) -> None:
    office.corner.blind = True
    office.tick(NOON + HOUR)
    office.troubles = ["", "", "lost"]
    office.until(DUE + HOUR, HOUR)
    answer = office.dispute().answer
    assert answer is not None
    assert (answer.state, answer.code, len(office.desk.taken)) == (AnswerState.PARKED, "outcome_unknown", 1)


def test_an_answer_that_was_given_at_the_provider_is_theirs(office: Office) -> None:
    office.tick(NOON + HOUR)
    office.desk.reply(ApiCall("POST", "/disputes/dp_1/answer", {}, b'{"act": "submit", "file": "", "key": ""}', NOON))
    office.tick(DUE)
    assert (office.state, len(office.desk.taken)) == (AnswerState.ELSEWHERE, 1)
    assert office.dispute().status is DisputeStatus.UNDER_REVIEW


def test_a_dispute_that_is_over_is_left_alone(office: Office) -> None:
    office.tick(NOON + HOUR)
    office.desk.close("dp_1")
    office.tick(DUE)
    assert (office.state, office.desk.taken) == (AnswerState.OVER, [])


def test_a_refusal_is_a_persons_with_the_providers_words_but_no_address(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.desk.open(a_contest("dp_1", NOON))
    office.until(DUE + DAY, HOUR)
    answer = office.dispute().answer
    assert answer is not None
    assert (answer.state, answer.code, answer.attempt) == (AnswerState.PARKED, "too_late", 1)
    assert answer.told is not None
    assert "it is over" in answer.told
    assert "ana@" not in answer.told
    assert "answer_parked" in [entry.message for entry in caplog.records]


def test_what_the_provider_would_refuse_is_not_sent(office: Office) -> None:
    [document] = PACKET.documents
    office.packet = replace(PACKET, documents=(replace(document, pages=10),))
    office.until(DUE, DAY)
    answer = office.dispute().answer
    assert answer is not None
    assert (answer.state, answer.told, office.calls) == (AnswerState.PARKED, "more than nine pages", [])


def test_without_a_key_and_without_an_api_an_answer_is_a_persons(office: Office) -> None:
    office.misconfigured = True
    office.until(DUE, DAY)
    answer = office.dispute().answer
    assert answer is not None
    assert (answer.state, answer.code) == (AnswerState.PARKED, "no_api_key")


def test_what_cannot_be_judged_is_a_persons_and_not_a_message_that_comes_back_for_ever(office: Office) -> None:
    def judge(dispute: Dispute, now: datetime) -> Verdict:
        raise Unreadable("the packet is over its limits", reason="packet_too_large")

    office.tick(NOON)
    office.now = NOON + HOUR
    check_deadlines(office.ports, office.now)
    [asked] = office.asked()
    respond_dispute(asked, office.ports, replace(office.clerk(office.ports), judge=judge), lambda: office.now)
    answer = office.dispute().answer
    assert answer is not None
    assert (answer.state, answer.code) == (AnswerState.PARKED, "packet_too_large")


def test_where_there_is_no_api_a_person_is_told_at_once(office: Office) -> None:
    office.answerable = False
    office.tick(NOON + HOUR)
    answer = office.dispute().answer
    assert answer is not None
    assert (answer.state, answer.code, office.calls) == (AnswerState.PARKED, "no_api", [])


def test_a_provider_that_is_down_for_hours_is_asked_less_and_less_and_the_answer_still_comes_in_time(
    office: Office,
) -> None:
    office.tick(NOON + HOUR)
    office.troubles = ["dropped"] * 8
    office.until(RESPOND_BY, 5 * MINUTE)
    assert (office.state, len(office.desk.taken)) == (AnswerState.TAKEN, 1)
    assert office.desk.taken[0].at < DUE + 6 * HOUR


def test_a_page_of_somebodys_proxy_is_no_answer(office: Office) -> None:
    office.tick(NOON + HOUR)
    office.troubles = ["garbage", "", "", "garbage"]
    office.until(RESPOND_BY, 5 * MINUTE)
    assert (office.state, len(office.desk.taken)) == (AnswerState.TAKEN, 1)


def test_an_answer_of_which_nobody_heard_ends_when_the_provider_goes_on_and_the_next_round_gets_its_own(
    office: Office,
) -> None:
    office.tick(NOON + HOUR)
    office.troubles = ["", "", "lost"]
    office.tick(DUE)
    assert (office.state, len(office.desk.taken)) == (AnswerState.SENDING, 1)
    later = {"stage": DisputeStage.PRE_ARBITRATION, "respond_by": RESPOND_BY + 20 * DAY, "answer_id": "dp_1_round_2"}
    office.desk.open(a_contest("dp_1_round_2", RESPOND_BY + 20 * DAY))
    event = a_dispute_event(event_id="evt_2", occurred_at=DUE + MINUTE, **later)
    track_dispute(event, office.ports, DUE + MINUTE)
    calls = len(office.calls)
    office.until(DUE + HOUR, 10 * MINUTE)
    before = office.dispute().answers["chargeback/0"]
    assert (before.state, before.code, len(office.calls)) == (AnswerState.OVER, "overtaken", calls)
    office.until(RESPOND_BY + 20 * DAY, DAY)
    assert [one.dispute_id for one in office.desk.taken] == ["dp_1", "dp_1_round_2"]
    assert office.state is AnswerState.TAKEN


def test_an_answer_of_which_nobody_heard_ends_when_the_case_is_decided_in_another_stage(office: Office) -> None:
    office.tick(NOON + HOUR)
    office.troubles = ["", "", "lost"]
    office.tick(DUE)
    decided = {"stage": DisputeStage.PRE_ARBITRATION, "status": DisputeStatus.LOST, "respond_by": None}
    event = a_dispute_event(event_id="evt_2", occurred_at=DUE + MINUTE, **decided)
    track_dispute(event, office.ports, DUE + MINUTE)
    office.until(DUE + DAY, HOUR)
    assert office.dispute().answers["chargeback/0"].state is AnswerState.OVER
    assert office.dispute().next_action_at is None
    assert len(office.desk.taken) == 1


def test_a_later_stage_has_an_answer_of_its_own(office: Office) -> None:
    office.until(DUE, DAY)
    later = {"stage": DisputeStage.PRE_ARBITRATION, "respond_by": RESPOND_BY + 20 * DAY, "answer_id": "dp_1_round_2"}
    office.desk.open(a_contest("dp_1_round_2", RESPOND_BY + 20 * DAY))
    track_dispute(a_dispute_event(occurred_at=office.now + HOUR, **later), office.ports, office.now + HOUR)
    office.until(RESPOND_BY + 20 * DAY, DAY)
    assert [one.dispute_id for one in office.desk.taken] == ["dp_1", "dp_1_round_2"]


# People


def test_a_person_submits_now_and_the_clock_has_nothing_left_to_do(office: Office) -> None:
    office.tick(NOON + HOUR)
    submit(office.ports, "stripe", "dp_1", "ana@shop.example", "we have the signature", office.now)
    for asked in office.asked():
        office.do(asked)
    answer = office.dispute().answer
    assert answer is not None
    assert (answer.state, answer.by, answer.why) == (AnswerState.TAKEN, "ana@shop.example", ("we have the signature",))
    office.until(RESPOND_BY + DAY, DAY)
    assert len(office.desk.taken) == 1


def test_a_person_turns_an_announced_acceptance_into_a_fight(office: Office) -> None:
    office.act = Act.ACCEPT
    office.tick(NOON + HOUR)
    submit(office.ports, "stripe", "dp_1", "ana@shop.example", "no", office.now)
    office.until(RESPOND_BY, DAY)
    assert [one.act for one in office.desk.taken] == [Act.SUBMIT]


def test_what_is_held_is_not_sent_and_when_the_hold_ends_it_is_decided_anew(office: Office) -> None:
    office.tick(NOON + HOUR)
    hold(office.ports, "stripe", "dp_1", "ana@shop.example", "waiting for the label", office.now, DUE + 12 * HOUR)
    office.until(DUE + 11 * HOUR, HOUR)
    assert (office.state, office.desk.taken) == (AnswerState.HELD, [])
    office.until(DUE + 13 * HOUR)
    assert (office.state, len(office.desk.taken)) == (AnswerState.TAKEN, 1)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("named", [True, False])
def test_a_deadline_that_becomes_an_earlier_one_is_met_too(office: Office, held: bool, named: bool) -> None:
    """named: the provider named one before; else it was our estimate."""
    office.open(respond_by=RESPOND_BY if named else None)
    office.tick(NOON + HOUR)
    if held:
        hold(office.ports, "stripe", "dp_1", "ana@shop.example", "asking the customer", office.now, NOON + 12 * DAY)
    sooner = NOON + 8 * DAY
    office.desk.open(a_contest("dp_1", sooner))
    event = a_dispute_event(event_id="evt_sooner", occurred_at=NOON + 2 * HOUR, respond_by=sooner)
    track_dispute(event, office.ports, NOON + 2 * HOUR)
    office.until(sooner - 6 * HOUR - MINUTE)
    assert office.desk.taken == []
    office.until(sooner - 5 * HOUR)
    assert (len(office.desk.taken), office.state) == (1, AnswerState.TAKEN)


@pytest.mark.parametrize("minutes", [50, 30, 15])
def test_a_provider_that_is_back_shortly_before_the_deadline_has_the_answer_in_time(
    office: Office, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    real = office.send

    def send(request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        if RESPOND_BY - office.now > minutes * MINUTE:
            raise Unavailable("not now", reason="provider_unavailable")
        return real(request, once=once)

    monkeypatch.setattr(office, "send", send)
    office.open()
    office.tick(NOON + HOUR)
    office.until(DUE, DAY)
    office.until(RESPOND_BY, 5 * MINUTE)
    assert (len(office.desk.taken), office.state) == (1, AnswerState.TAKEN)


def test_what_a_person_decided_and_could_not_be_sent_goes_with_their_evidence_as_they_decided(office: Office) -> None:
    office.act = Act.ACCEPT
    office.open()
    office.tick(NOON + HOUR)
    [document] = PACKET.documents
    office.packet = replace(PACKET, documents=(replace(document, pages=10**4),))
    named = ("stripe", "dp_1", "ana@shop.example")
    submit(office.ports, *named, "we fight", office.now, acknowledged=True)
    for asked in office.asked():
        office.do(asked)
    assert its_answer(office).code == "would_be_refused"
    office.packet = PACKET
    supply(office.ports, *named, office.now, SAID, office.corner)
    for asked in office.asked():
        office.do(asked)
    answer = its_answer(office)
    assert (answer.state, answer.act, answer.by) == (AnswerState.TAKEN, Act.SUBMIT, "ana@shop.example")
    assert answer.acknowledged_by == "ana@shop.example"
    assert [taken.act for taken in office.desk.taken] == [Act.SUBMIT]


def test_an_answer_that_was_given_elsewhere_meets_its_deadline(office: Office) -> None:
    office.answerable = False
    office.tick(NOON + HOUR)
    recorded_elsewhere(
        office.ports, "stripe", "dp_1", "ana@shop.example", "in the dashboard", Act.SUBMIT, NOON, NOON + DAY
    )
    office.until(RESPOND_BY + DAY, DAY)
    assert office.dispute().status is DisputeStatus.UNDER_REVIEW
    assert (office.state, office.desk.taken) == (AnswerState.ELSEWHERE, [])


@pytest.mark.parametrize("at", [NOON - 12 * HOUR, NOON - 900 * DAY, NOON + MINUTE, NOON + DAY])
def test_what_is_recorded_with_no_more_than_its_day_is_an_answer_to_what_is_asked_now(
    office: Office, at: datetime
) -> None:
    recorded_elsewhere(office.ports, *BY, "this morning, on the dashboard", Act.SUBMIT, at, NOON + HOUR)
    office.until(RESPOND_BY + DAY, DAY)
    dispute, answer = office.dispute(), its_answer(office)
    assert (dispute.status, dispute.round, office.desk.taken) == (DisputeStatus.UNDER_REVIEW, "chargeback/0", [])
    assert answer.answered_at == min(max(at, NOON), NOON + HOUR)


@pytest.mark.parametrize("ahead", [-MINUTE, MINUTE, HOUR])
def test_an_answer_that_is_taken_by_a_clock_behind_the_providers_is_not_given_again(
    tmp_path: Path, ahead: timedelta
) -> None:
    office = Office(local_ports(tmp_path))
    office.desk.open(a_contest("dp_1", NOON + 5 * HOUR))
    office.open(respond_by=NOON + 5 * HOUR, occurred_at=NOON + ahead)
    office.tick(NOON + 10 * SECOND)
    dispute = office.dispute()
    assert (dispute.status, dispute.round, office.state) == (
        DisputeStatus.UNDER_REVIEW,
        "chargeback/0",
        AnswerState.TAKEN,
    )
    calls = len(office.calls)
    office.until(NOON + 6 * HOUR, 10 * MINUTE)
    assert (len(office.desk.taken), len(office.calls)) == (1, calls)


@pytest.mark.parametrize("act", [submit, accept])
def test_what_was_given_is_not_given_again_by_a_person(office: Office, act: Acted) -> None:
    office.until(DUE, DAY)
    with pytest.raises(Exception, match="answered"):
        act(office.ports, "stripe", "dp_1", "ana@shop.example", "again", office.now)


def test_what_is_on_its_way_is_nobodys_to_change(office: Office) -> None:
    office.tick(NOON + HOUR)

    def meanwhile() -> None:
        office.after_call = lambda: None
        with pytest.raises(Exception, match="on its way"):
            accept(office.ports, "stripe", "dp_1", "ana@shop.example", "never mind", office.now)

    office.after_call = meanwhile
    office.tick(DUE)
    assert [one.act for one in office.desk.taken] == [Act.SUBMIT]


def test_after_a_refusal_a_person_has_it_sent_anew_under_another_key(office: Office) -> None:
    office.corner.keyed = office.desk.keyed = True
    office.desk.open(a_contest("dp_1", NOON))
    office.until(DUE, DAY)
    assert office.state is AnswerState.PARKED
    office.desk.open(a_contest("dp_1", RESPOND_BY))
    submit(office.ports, "stripe", "dp_1", "ana@shop.example", "the provider has reopened it", office.now)
    for asked in office.asked():
        office.do(asked)
    assert (office.state, len(office.desk.taken)) == (AnswerState.TAKEN, 1)


# People's own evidence


BY = ("stripe", "dp_1", "ana@shop.example")
SAID = Piece(Item.USAGE, b"Played on 12 days, says the player.", TEXT, 0)
SHOWN = Piece(Item.USAGE, a_pdf(), "application/pdf", 2)


def its_answer(office: Office) -> Answer:
    answer = office.dispute().answer
    assert answer is not None
    return answer


def test_with_a_persons_evidence_it_is_decided_anew_and_who_put_it_there_stands_in_the_dispute(office: Office) -> None:
    office.tick(NOON + HOUR)
    asked_before = its_answer(office).at
    office.now += HOUR
    supply(office.ports, *BY, office.now, SAID, office.corner)
    (again,) = office.asked()
    office.do(again)
    answer = its_answer(office)
    assert (answer.state, answer.by, answer.at > asked_before) == (AnswerState.ANNOUNCED, "strategy/1", True)
    [piece] = answer.supplied.values()
    assert (piece.by, piece.at, piece.sha256) == (BY[2], office.now, hashlib.sha256(SAID.data).hexdigest())
    assert office.ports.evidence.load(piece.sha256) == SAID.data
    office.until(DUE, DAY)
    assert (office.state, len(office.desk.taken), len(its_answer(office).supplied)) == (AnswerState.TAKEN, 1, 1)
    for late in (SAID, SHOWN):
        with pytest.raises(AnswerTaken, match="the answer is given"):
            supply(office.ports, *BY, office.now, late, office.corner)


def test_a_text_takes_the_place_of_the_one_before_and_the_same_piece_again_is_the_same(office: Office) -> None:
    for piece in (SAID, SHOWN, replace(SAID, data=b"On 13 days."), replace(SAID, data=b"On 13 days.")):
        supply(office.ports, *BY, NOON, piece, office.corner)
    pieces = its_answer(office).supplied
    live = {name for name, one in pieces.items() if one.withdrawn_at is None}
    assert (len(pieces), len(live)) == (3, 2)
    own = own_of(pieces, office.ports)
    assert own.texts == {Item.USAGE: "On 13 days."}
    assert [one.data for one in own.documents] == [SHOWN.data]


def test_a_persons_text_is_kept_whole_or_not_at_all() -> None:
    told = "word " * (LONGEST_TEXT // 5)
    assert len(piece_of(Item.USAGE, text=told).data) == LONGEST_TEXT
    assert piece_of(Item.USAGE, text=told[:-20] + " ana@shop.example").data.endswith(b"[e-mail]")
    with pytest.raises(NotTaken, match="20001") as error:
        piece_of(Item.USAGE, text=told + "x")
    assert error.value.reason == "text_too_long"


def test_what_is_withdrawn_is_not_sent_and_both_names_stay(office: Office) -> None:
    supply(office.ports, *BY, NOON, SHOWN, office.corner)
    [name] = its_answer(office).supplied
    withdraw(office.ports, "stripe", "dp_1", "ben@shop.example", NOON + HOUR, name)
    piece = its_answer(office).supplied[name]
    assert (piece.by, piece.withdrawn_by, piece.withdrawn_at) == (BY[2], "ben@shop.example", NOON + HOUR)
    assert own_of(its_answer(office).supplied, office.ports) == Own()
    with pytest.raises(PieceUnknown):
        withdraw(office.ports, *BY, NOON + HOUR, name)


def test_what_the_provider_would_not_take_is_not_taken_from_a_person_either(office: Office) -> None:
    with pytest.raises(NotTaken, match="more than nine pages"):
        supply(office.ports, *BY, NOON, replace(SHOWN, pages=10), office.corner)
    with pytest.raises(NotTaken, match="own pages"):
        supply(office.ports, *BY, NOON, SAID, None)
    for number in range(MOST_PIECES):
        supply(office.ports, *BY, NOON, replace(SHOWN, data=bytes([number])), office.corner)
    with pytest.raises(NotTaken, match="at most"):
        supply(office.ports, *BY, NOON, SHOWN, office.corner)


def test_evidence_changes_neither_what_a_person_has_sent_off_nor_what_is_held(office: Office) -> None:
    office.tick(NOON + HOUR)
    hold(office.ports, *BY, "wait", office.now, DUE)
    supply(office.ports, *BY, office.now, SAID, office.corner)
    assert (office.state, office.asked()) == (AnswerState.HELD, [])
    submit(office.ports, *BY, "now", office.now)
    supply(office.ports, *BY, office.now, SHOWN, office.corner)
    for one in office.asked():
        office.do(one)
    assert (office.state, its_answer(office).by, len(office.desk.taken)) == (AnswerState.TAKEN, BY[2], 1)


def test_a_parked_answer_is_tried_anew_with_better_evidence_but_never_one_that_may_have_arrived(office: Office) -> None:
    [document] = PACKET.documents
    office.packet = replace(PACKET, documents=(replace(document, pages=10),))
    office.until(DUE, DAY)
    assert (office.state, office.desk.taken) == (AnswerState.PARKED, [])
    office.packet = PACKET
    supply(office.ports, *BY, office.now, SAID, office.corner)
    office.corner.blind, office.troubles = True, ["", "", "lost"]
    office.until(office.now + 2 * HOUR, HOUR)
    assert (office.state, its_answer(office).code, len(office.desk.taken)) == (
        AnswerState.PARKED,
        "outcome_unknown",
        1,
    )
    supply(office.ports, *BY, office.now, SHOWN, office.corner)
    office.until(RESPOND_BY - HOUR, HOUR)
    assert (office.state, len(office.desk.taken)) == (AnswerState.PARKED, 1)


def test_what_people_put_to_an_answer_is_what_the_provider_gets(tmp_path: Path) -> None:
    ports, counter, now = local_ports(tmp_path), Counter("stripe", lambda: EXAMPLE_NOON), EXAMPLE_NOON
    asked = opened("stripe", ports, now)
    clerk = replace(a_clerk("stripe", counter, ports), prepare=lambda one, at: prepare(one, ports, at, MERCHANT).packet)
    responder: Any = counter.module
    for piece in (replace(SAID, item=Item.PRODUCT), SHOWN):
        supply(ports, "stripe", asked.dispute_id, BY[2], now, piece, responder)
    respond_dispute(asked, ports, clerk, lambda: now)
    [taken] = counter.desk.taken
    assert SAID.data.decode() in taken.told.values()
    digest = answer_to(asked, ports).packet
    assert digest is not None
    sent = kept(digest, ports)
    assert [(one.media_type, one.data == SHOWN.data) for one in sent.documents] == [
        ("application/pdf", False),
        ("application/pdf", True),
    ]


def a_file(size: int, pages: int = 1, item: Item = Item.USAGE) -> Piece:
    return Piece(item, b"%PDF-1.4".ljust(size, b"x"), "application/pdf", pages)


PROSE = Piece(Item.PRODUCT, b"It is a month of music. " * 800, TEXT, 0)


@pytest.mark.parametrize(
    ("provider", "network", "pieces", "taken"),
    [
        ("stripe", "visa", [a_file(4_490_000)], False),
        ("stripe", "visa", [a_file(4_430_000)], True),
        ("stripe", "visa", [a_file(20, 46)], True),
        ("stripe", "mastercard", [a_file(20, 17)], False),
        ("stripe", "mastercard", [a_file(20, 16)], True),
        ("stripe", "mastercard", [a_file(20, 12), PROSE], False),
        ("stripe", "mastercard", [a_file(20, 5), PROSE], True),
        ("stripe", "visa", [a_file(20, 30), PROSE], True),
        ("stripe", "visa", [replace(PROSE, data=b"\n".join([b"a"] * 9_000))], False),
        ("stripe", "visa", [replace(PROSE, item=Item.LOGIN)], False),
        ("checkout", "visa", [a_file(3_900_000), PROSE], True),
        ("razorpay", "visa", [PROSE], True),
        ("paypal", "visa", [PROSE, replace(PROSE, item=Item.USAGE)], True),
        ("adyen", "visa", [PROSE], True),
        ("adyen", "visa", [a_file(20)], False),
        ("apple", None, [replace(PROSE, data=b"a text")], False),
        ("google", None, [a_file(20)], False),
    ],
)
def test_what_is_taken_of_a_person_is_what_the_provider_takes_beside_ours(
    provider: str, network: str | None, pieces: list[Piece], taken: bool, tmp_path: Path
) -> None:
    ports, now = local_ports(tmp_path), EXAMPLE_NOON
    asked, responder = opened(provider, ports, now), providers.load_answer(provider)
    assert responder is not None
    key = Key("disputes", f"{provider}:{asked.dispute_id}")

    def put() -> None:
        for piece in pieces:
            supply(ports, provider, asked.dispute_id, BY[2], now, piece, responder)

    if network is not None:
        event = a_dispute_event(
            provider=provider,
            event_id="evt_network",
            account=desk_of(provider).EXAMPLE.account,
            occurred_at=now - HOUR / 2,
            dispute_id=asked.dispute_id,
            payment_id=desk_of(provider).EXAMPLE.payment_id,
            stage=desk_of(provider).EXAMPLE.stage,
            respond_by=desk_of(provider).EXAMPLE.respond_by,
            network=network,
        )
        track_dispute(event, ports, now)
    if not taken:
        with pytest.raises(NotTaken):
            put()
        return
    put()
    dispute = dispute_of(ports.documents.get([key])[0])
    assert dispute is not None
    assert dispute.network == network
    packet = prepare(dispute, ports, now, MERCHANT).packet
    assert len(packet.documents) == 1 + sum(one.media_type != TEXT for one in pieces)
    assert responder.problems(contest_of(dispute, Act.SUBMIT, "", packet)) == ()


def test_of_an_alert_no_evidence_is_taken(tmp_path: Path) -> None:
    office = Office(local_ports(tmp_path))
    office.open(alert=Alert.ETHOCA)
    with pytest.raises(NotTaken, match="by a refund or by none"):
        supply(office.ports, *BY, office.now, SAID, office.corner)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=1)])
def test_what_could_not_arrive_any_more_is_refused_before_the_clock_has_seen_it(
    office: Office, late: timedelta
) -> None:
    office.now = RESPOND_BY + late
    doings: list[Callable[[], Dispute]] = [
        lambda: supply(office.ports, *BY, office.now, SAID, office.corner),
        lambda: accept(office.ports, *BY, "too small", office.now),
        lambda: submit(office.ports, *BY, "we have the log", office.now),
    ]
    for do in doings:
        if late:
            with pytest.raises(AnswerTaken, match="deadline has passed"):
                do()
        else:
            do()
    recorded_elsewhere(office.ports, *BY, "on its pages", Act.SUBMIT, RESPOND_BY - HOUR, office.now)
    assert office.state is AnswerState.ELSEWHERE


# Whatever dies


def test_killed_after_every_single_step_it_is_answered_once(tmp_path: Path) -> None:
    killed_at = 0
    for step in range(1, 40):
        office = Office(local_ports(tmp_path / str(step)))
        office.open()
        office.tick(NOON + HOUR)
        office.now = DUE
        check_deadlines(office.ports, DUE)
        [asked] = office.asked()
        steps = _Dying(step)
        office.after_call = steps.take
        try:
            office.do(asked, stepping(office.ports, steps))
        except Killed:
            killed_at = step
        else:
            break
        office.after_call = lambda: None
        office.do(asked)
        office.until(RESPOND_BY - HOUR)
        assert (step, office.state, len(office.desk.taken)) == (step, AnswerState.TAKEN, 1)
        rows = published(office.ports, "dispute-updates")
        assert rows[-1]["answer_state"] == "taken"
    assert killed_at >= 9


class _Dying(Steps):
    def take(self) -> None:
        self.taken += 1
        if self.taken == self.kill_after:
            raise Killed


# Every provider's own module and desk


class Counter:
    """One provider's API, at its desk without a network between; each answer is a step. lost: the number of the call whose
    answer never arrives."""

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        self.simulated: Any = desk_of(name)
        self.module: Any = providers.load_answer(name)
        self.contest: Contest = self.simulated.EXAMPLE
        self.desk: Desk = self.simulated.DESK()
        self.desk.open(self.contest)
        self.clock = clock
        self.lost = 0
        self.calls = 0
        self.take: Callable[[], None] = lambda: None

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        api = ApiCredentials(self.simulated.KEY, f"https://{min(self.module.API_HOSTS)}")
        if hasattr(self.module, "signed_token"):
            api = replace(api, key=self.module.signed_token(api, self.clock()))
        if hasattr(self.module, "token_request"):
            answer = self._send(self.module.token_request(api, livemode=livemode))
            api = replace(api, key=self.module.read_token(answer.body)[0])
        return api

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        del once
        answer = self._send(request)
        self.calls += 1
        self.take()
        if self.calls == self.lost or answer.status >= 500:
            raise Unavailable("no answer", reason="provider_unavailable")
        return answer

    def _send(self, request: ApiRequest) -> ApiAnswer:
        path = "/" + request.url.split("/", 3)[3]
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = self.desk.reply(ApiCall(request.method, path, headers, request.body, self.clock()))
        return ApiAnswer(reply.status, reply.body)


@dataclass
class Branch:
    """A dispute at a real provider's desk, announced and due."""

    name: str
    ports: Ports
    now: datetime = EXAMPLE_NOON
    counter: Counter = field(init=False)
    asked: AnswerAsked = field(init=False)

    def __post_init__(self) -> None:
        self.counter = Counter(self.name, lambda: self.now)
        self.asked = opened(self.name, self.ports, self.now)

    def respond(self, ports: Ports | None = None) -> None:
        ports = ports or self.ports
        respond_dispute(self.asked, ports, a_clerk(self.name, self.counter, ports), lambda: self.now)

    def go_on(self) -> None:
        for _ in range(4):
            self.now += 30 * MINUTE
            self.respond()

    @property
    def answer(self) -> Answer:
        return answer_to(self.asked, self.ports)


@pytest.mark.parametrize("name", NAMES)
def test_at_every_provider_an_answer_is_given_once_however_often_it_is_asked_for(name: str, tmp_path: Path) -> None:
    branch = Branch(name, local_ports(tmp_path))
    branch.respond()
    assert (branch.answer.told, branch.answer.state) == (None, AnswerState.TAKEN)
    assert [one.act for one in branch.counter.desk.taken] == [Act.SUBMIT]
    calls = branch.counter.calls
    branch.go_on()
    assert (branch.counter.calls, len(branch.counter.desk.taken)) == (calls, 1)


@pytest.mark.parametrize("name", NAMES)
def test_at_every_provider_killed_after_every_step_it_is_given_once(name: str, tmp_path: Path) -> None:
    for step in range(1, 100):
        branch = Branch(name, local_ports(tmp_path / str(step)))
        steps = _Dying(step)
        branch.counter.take = steps.take
        try:
            branch.respond(stepping(branch.ports, steps))
        except Killed:
            branch.counter.take = lambda: None
            branch.go_on()
            assert (step, len(branch.counter.desk.taken)) == (step, 1)
            assert (step, branch.answer.state, branch.answer.code) in (
                (step, AnswerState.TAKEN, None),
                # Where the provider tells nothing, it is a person's.
                (step, AnswerState.PARKED, "outcome_unknown"),
            )
        else:
            break
    assert step > 9


@pytest.mark.parametrize("name", NAMES)
def test_at_every_provider_an_answer_that_is_lost_on_its_way_back_is_not_given_twice(name: str, tmp_path: Path) -> None:
    for number in range(1, 40):
        branch = Branch(name, local_ports(tmp_path / str(number)))
        branch.counter.lost = number
        branch.respond()
        branch.go_on()
        assert (number, len(branch.counter.desk.taken)) == (number, 1)
        if branch.counter.calls < number:
            break


@pytest.mark.parametrize("name", ["apple", "google"])
@pytest.mark.parametrize(
    ("agreed", "state"),
    [(True, {"apple": "taken", "google": "taken"}), (False, {"apple": "parked", "google": "taken"})],
)
def test_an_app_store_is_answered_by_itself_from_our_own_records_in_its_hours(
    name: str, agreed: bool, state: dict[str, str], tmp_path: Path
) -> None:
    ports, counter = local_ports(tmp_path), Counter(name, lambda: now)
    now, contest = EXAMPLE_NOON, replace(counter.contest, payment_id="tr_1", respond_by=EXAMPLE_NOON + 12 * HOUR)
    counter.desk.open(contest)
    at: dict[str, Any] = {"provider": name, "account": contest.account, "payment_id": "tr_1", "livemode": False}
    record_payment(a_payment_event(**at, occurred_at=now - 3 * DAY, card=None), ports, now)
    consent = Consent(at=now - DAY, purpose=APP_STORES, given=agreed)
    days = (now - NOON).days
    keep_evidence(used_by(consents=(consent,), plays=(played(days - 9), played(days - 1))), ports, now)
    own = {"dispute_id": contest.dispute_id, "answer_id": contest.answer_id, "reason_code": None, "network": None}
    told = {"stage": contest.stage, "respond_by": contest.respond_by, "occurred_at": now}
    track_dispute(a_dispute_event(**{**at, **own, **told}), ports, now)
    merchant = replace(MERCHANT, store_consent="")
    clerk = replace(
        a_clerk(name, counter, ports),
        judge=lambda one, when: judge(one, prepare(one, ports, when, merchant, use=True), Outcomes(), Strategy(), when),
        prepare=lambda one, when: prepare(one, ports, when, merchant, use=True).packet,
    )
    now += HOUR
    check_deadlines(ports, now)
    [told_to_answer] = [one for one in published(ports, "dispute-actions") if "round" in one]
    asked = AnswerAsked(provider=name, dispute_id=contest.dispute_id, round=told_to_answer["round"])
    respond_dispute(asked, ports, clerk, lambda: now)
    assert answer_to(asked, ports).state == state[name]
    taken = counter.desk.taken
    assert len(taken) == (state[name] == "taken")
    if taken:
        # When it was used is told by whoever agreed, and to Google alone.
        used = "consumptionUsageEvents" in taken[0].told
        assert (taken[0].act, used) == (Act.SUBMIT, agreed and name == "google")
        assert "DECLINE" in taken[0].told["refundPreference"]


_DOINGS = st.sampled_from(
    [
        *("tick", "copy", "submit", "accept", "hold", "reviewed", "asked_again"),
        *("lost", "dropped", "garbage", "killed"),
    ]
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(_DOINGS, st.integers(1, 60)), max_size=14),
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([0 * HOUR, -2 * MINUTE, 30 * DAY]),
)
def test_whatever_happens_in_whatever_order_it_is_answered_once_and_in_time(
    doings: list[tuple[str, int]], keyed: bool, shown_after: int, ahead: timedelta
) -> None:
    with TemporaryDirectory() as folder:
        office = Office(
            local_ports(Path(folder)), desk=CornerDesk(keyed=keyed, shown_after=shown_after), corner=Corner(keyed=keyed)
        )
        office.open(occurred_at=NOON + ahead)
        for doing, hours in doings:
            office.now = min(office.now + hours * HOUR, RESPOND_BY - 3 * HOUR)
            _do(office, doing, ahead)
        office.until(RESPOND_BY - 3 * HOUR, 20 * MINUTE)
        # More often than calls can be in trouble by now.
        office.until(RESPOND_BY - HOUR, 5 * MINUTE)
        # Who accepts, and who fights, is the first to be heard; nobody is heard twice.
        assert len(office.desk.taken) == 1
        assert office.desk.taken[0].at <= RESPOND_BY
        assert office.dispute().status in (DisputeStatus.UNDER_REVIEW, DisputeStatus.ACCEPTED)
        wipe(office.ports)


def _do(office: Office, doing: str, ahead: timedelta) -> None:
    by = ("stripe", "dp_1", "ana@shop.example", "because")
    try:
        match doing:
            case "tick":
                office.tick()
            case "copy":
                office.do(ASKED)
            case "submit":
                submit(office.ports, *by, office.now)
            case "accept":
                accept(office.ports, *by, office.now)
            case "hold":
                hold(office.ports, *by, office.now, office.now + 5 * HOUR)
            case "reviewed" if office.desk.taken:
                word = a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=office.now + ahead)
                track_dispute(word, office.ports, office.now)
            case "asked_again":
                again = a_dispute_event(occurred_at=NOON + ahead + HOUR, respond_by=RESPOND_BY)
                track_dispute(again, office.ports, office.now)
            case "killed":
                steps = _Dying(3)
                office.after_call = steps.take
                office.do(ASKED, stepping(office.ports, steps))
            case "lost" | "dropped" | "garbage":
                office.troubles.append(doing)
    except (Killed, Conflict):
        pass
    except Exception as error:
        if not str(error).startswith("the answer is"):
            raise
    finally:
        office.after_call = lambda: None
