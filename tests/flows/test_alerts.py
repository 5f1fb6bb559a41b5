"""Alerts are answered: a payment is refunded once or not at all, and its network told once. Documents and Stripe's rules are real."""

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
from shared.disputes.alerts import AlertRules
from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.answers import Act
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.disputes import Answer, AnswerAsked, AnswerState, Dispute
from shared.domain.errors import Conflict, Unavailable
from shared.domain.events import Alert, DisputeReason, DisputeStage, DisputeStatus
from shared.flows import alerts
from shared.flows.answering import accept, hold, recorded_elsewhere, submit
from shared.flows.check_deadlines import check_deadlines
from shared.flows.filing import dispute_of
from shared.flows.ports import Key, Ports
from shared.flows.record_payment import record_payment
from shared.flows.respond_dispute import Clerk, Verdict, respond_dispute
from shared.flows.track_dispute import track_dispute
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    eur,
)
from tests.crashing import Steps, stepping
from tests.local import local_ports, published, wipe
from tests.simulator.answering.stripe import KEY, StripeDesk
from tests.simulator.desks import ApiCall

REPORT, ETHOCA = "fraud_report:issfr_1", "ethoca:A1"
# Decided after an hour, and announced for a day.
DUE = NOON + HOUR + DAY


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Till:
    """Everything that refunds: Stripe's desk, our functions with their messages, and a clock that is turned."""

    ports: Ports
    alert: str = REPORT
    desk: StripeDesk = field(default_factory=StripeDesk)
    now: datetime = NOON
    troubles: list[str] = field(default_factory=list)
    after_call: Callable[[], None] = lambda: None
    has_api: bool = True
    heard: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk.paid["pi_1"] = 1999

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        return ApiCredentials(KEY)

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "dropped":
            raise Unavailable("no answer", reason="provider_unavailable")
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.url.removeprefix("https://api.stripe.com")
        reply = self.desk.reply(ApiCall(request.method, path, headers, request.body, self.now))
        self.after_call()
        if trouble == "lost":
            raise Unavailable("no answer", reason="provider_unavailable")
        return ApiAnswer(reply.status, reply.body)

    def clerk(self, ports: Ports) -> Clerk:
        def nothing(*_: Any) -> Any:
            raise AssertionError("no packet is ever made for an alert")

        return Clerk(
            responder=lambda one: providers.load_refund("stripe") if self.has_api and one.alert else None,
            api=lambda _: self,
            judge=lambda alert, now: alerts.judge(alert, ports.documents, Outcomes(), Strategy(), AlertRules(), now),
            prepare=nothing,
            keep=nothing,
            load=nothing,
            guard=lambda alert: alerts.guard(alert, ports.documents),
        )

    def pay(self, **fields: Any) -> None:
        record_payment(a_payment_event(**fields), self.ports, NOON)

    def warn(self, **fields: Any) -> None:
        track_dispute(a_fraud_warning(**fields), self.ports, NOON)

    def alarm(self, **fields: Any) -> None:
        """A network's alert of EUR 19.99, which wants its outcome within a day."""
        told: dict[str, Any] = {"dispute_id": ETHOCA, "stage": DisputeStage.INQUIRY, "respond_by": NOON + DAY}
        event = a_dispute_event(**{**told, "event_id": "stripe:acct_1:ethoca:A1", "alert": Alert.ETHOCA, **fields})
        track_dispute(event, self.ports, self.now)

    def dispute(self, name: str | None = None) -> Dispute:
        dispute = dispute_of(self.ports.documents.get([Key("disputes", f"stripe:{name or self.alert}")])[0])
        assert dispute is not None
        return dispute

    @property
    def answer(self) -> Answer:
        answer = self.dispute().answer
        assert answer is not None
        return answer

    def asked(self) -> list[AnswerAsked]:
        new = published(self.ports, "dispute-actions")
        self.heard += new
        return [AnswerAsked(**one) for one in new if set(one) == _ASKED]

    def told(self) -> list[dict[str, Any]]:
        """What the network was told: every copy of it is the same."""
        self.heard += published(self.ports, "dispute-actions")
        copies = [one for one in self.heard if "outcome" in one]
        told = {one["action_id"]: one for one in copies}
        assert all(one == told[one["action_id"]] for one in copies)
        return list(told.values())

    def do(self, asked: AnswerAsked, ports: Ports | None = None) -> None:
        ports = ports or self.ports
        respond_dispute(asked, ports, self.clerk(ports), lambda: self.now)

    def until(self, end: datetime, every: timedelta = HOUR) -> None:
        while self.now < end:
            self.now = min(self.now + every, end)
            check_deadlines(self.ports, self.now)
            for one in self.asked():
                self.do(one)

    @property
    def refunded(self) -> int:
        return sum(one.minor for one in self.desk.refunds)


_ASKED = {"provider", "dispute_id", "round"}
_BY = ("ana@shop.example", "because")


@pytest.fixture
def till(tmp_path: Path) -> Till:
    till = Till(local_ports(tmp_path))
    till.pay()
    return till


def test_a_warned_payment_is_refunded_once_after_people_were_told(till: Till) -> None:
    till.warn()
    till.until(DUE - MINUTE)
    assert (till.answer.state, till.answer.act, till.answer.by, till.refunded) == (
        AnswerState.ANNOUNCED,
        Act.ACCEPT,
        "alerts/1",
        0,
    )
    [announced] = [one for one in till.heard if "action_id" in one]
    assert (announced["state"], announced["act"], announced["due_at"]) == (
        "announced",
        "accept",
        "2026-11-03T13:00:00Z",
    )
    till.until(DUE + 3 * DAY)
    [refund] = till.desk.refunds
    assert (refund.payment_id, refund.minor, refund.reason) == ("pi_1", 1999, "fraudulent")
    assert (till.answer.state, till.answer.reference) == (AnswerState.TAKEN, "re_1")
    assert till.dispute().status is DisputeStatus.PREVENTED
    rows = [row for row in published(till.ports, "dispute-updates") if row["answer_state"] == "taken"]
    assert [(row["alert"], row["answer"], row["status"]) for row in rows] == [("fraud_report", "accept", "prevented")]
    # Nobody waits to be told what became of a report.
    assert till.told() == []


def test_a_report_opens_no_dispute_that_anybody_counts_or_waits_for(till: Till) -> None:
    till.warn()
    track_dispute(a_dispute_event(occurred_at=NOON + DAY), till.ports, NOON + DAY)
    rows = {row["dispute_id"]: row for row in published(till.ports, "dispute-updates")}
    assert (rows[REPORT]["stage"], rows[REPORT]["respond_by"], rows[REPORT]["moved"]) == ("inquiry", None, None)
    assert rows["dp_1"]["flags"] == ["warned_before_dispute"]


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda ports: track_dispute(a_dispute_event(), ports, NOON),
        lambda ports: record_payment(a_refund_event(occurred_at=NOON), ports, NOON),
        lambda ports: track_dispute(a_fraud_warning(actionable=False, occurred_at=NOON + MINUTE), ports, NOON),
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_what_was_disputed_or_went_back_meanwhile_is_not_refunded(
    till: Till, meanwhile: Callable[[Ports], None], early: bool
) -> None:
    till.warn()
    if not early:
        till.until(DUE - MINUTE)
    meanwhile(till.ports)
    till.until(DUE + DAY)
    assert till.desk.refunds == []
    assert till.dispute().status is DisputeStatus.CLOSED
    assert "parked" not in [one.get("state") for one in till.heard if one.get("dispute_id") == REPORT]


def test_a_person_holds_a_refund_and_says_later_that_there_is_none(till: Till) -> None:
    till.warn()
    till.until(NOON + 2 * HOUR)
    hold(till.ports, "stripe", REPORT, *_BY, till.now, NOON + 5 * DAY)
    till.until(NOON + 4 * DAY)
    assert (till.answer.state, till.refunded) == (AnswerState.HELD, 0)
    submit(till.ports, "stripe", REPORT, *_BY, till.now)
    till.until(NOON + 9 * DAY)
    assert (till.answer.state, till.answer.act, till.answer.by, till.refunded) == (
        AnswerState.TAKEN,
        Act.DECLINE,
        "ana@shop.example",
        0,
    )


def test_a_person_refunds_at_once_but_never_what_is_disputed(till: Till) -> None:
    till.warn()
    accept(till.ports, "stripe", REPORT, *_BY, NOON)
    till.until(NOON + MINUTE, MINUTE)
    assert till.refunded == 1999
    till.pay(payment_id="pi_2")
    till.desk.paid["pi_2"] = 1999
    till.alert = "fraud_report:issfr_2"
    till.warn(payment_id="pi_2", warning_id="issfr_2")
    track_dispute(a_dispute_event(payment_id="pi_2", dispute_id="dp_2"), till.ports, NOON)
    accept(till.ports, "stripe", till.alert, *_BY, till.now)
    till.until(NOON + HOUR, MINUTE)
    assert (till.answer.act, till.answer.code, till.refunded) == (Act.DECLINE, "already_disputed", 1999)


def test_where_we_refund_by_no_api_a_person_is_told_to_and_records_it(till: Till) -> None:
    till.has_api = False
    till.alarm()
    till.until(NOON + 2 * HOUR)
    till.alert = ETHOCA
    assert (till.answer.state, till.answer.code) == (AnswerState.PARKED, "no_api")
    assert "refund it there" in till.answer.why[-1]
    recorded_elsewhere(till.ports, "stripe", ETHOCA, *_BY, Act.ACCEPT, till.now, till.now)
    assert [one["outcome"] for one in till.told()] == ["refunded"]


def test_of_a_report_that_only_a_person_can_refund_people_are_told_and_nobody_is_called(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    till.has_api = False
    till.warn()
    till.until(NOON + 2 * HOUR)
    assert [(one["state"], one["code"]) for one in till.heard if "action_id" in one] == [("parked", "no_api")]
    assert "answer_parked" not in [entry.message for entry in caplog.records]


def test_an_alert_of_a_payment_that_nobody_knows_is_a_persons(till: Till) -> None:
    till.alert = ETHOCA
    till.alarm(payment_id=None)
    till.until(NOON + 2 * HOUR)
    assert (till.answer.state, till.answer.code, till.told()) == (AnswerState.PARKED, "for_a_person", [])


@pytest.mark.parametrize(
    ("minor", "before", "outcome"),
    [
        (1999, lambda ports: None, "refunded"),
        (19_900, lambda ports: None, "declined"),
        (1999, lambda ports: record_payment(a_refund_event(), ports, NOON), "previously_refunded"),
        (1999, lambda ports: track_dispute(a_dispute_event(), ports, NOON), "already_disputed"),
    ],
)
def test_a_network_is_told_what_became_of_its_alert_once_within_its_window(
    till: Till, minor: int, before: Callable[[Ports], None], outcome: str
) -> None:
    till.alert = ETHOCA
    till.pay(amount=eur(minor), event_id="stripe:acct_1:more", occurred_at=NOON + MINUTE)
    before(till.ports)
    till.alarm()
    till.until(NOON + 3 * DAY)
    [told] = till.told()
    assert (told["alert"], told["alert_id"], told["outcome"], told["payment_id"]) == ("ethoca", "A1", outcome, "pi_1")
    assert told["answered_at"] <= told["respond_by"]
    assert told["refund"] == ("re_1" if outcome == "refunded" else None)
    assert len(till.desk.refunds) == (outcome == "refunded")


def test_two_alerts_of_one_payment_are_one_refund(till: Till) -> None:
    till.warn()
    till.alarm()
    till.until(NOON + 3 * DAY)
    assert till.refunded == 1999
    assert [one["outcome"] for one in till.told()] == ["refunded"]
    assert till.dispute(ETHOCA).status is DisputeStatus.PREVENTED
    assert till.dispute(REPORT).status is DisputeStatus.CLOSED


def test_what_went_back_at_the_provider_before_we_asked_is_told_so(till: Till) -> None:
    till.alert = ETHOCA
    till.alarm()
    till.until(NOON + 2 * HOUR)
    till.desk.paid["pi_1"] = 0
    till.until(NOON + DAY)
    assert [one["outcome"] for one in till.told()] == ["previously_refunded"]
    assert till.desk.refunds == []


def test_what_was_charged_back_before_we_heard_of_it_is_told_so(till: Till) -> None:
    till.alert = ETHOCA
    till.alarm()
    till.until(NOON + 2 * HOUR)
    till.desk.disputed.add("pi_1")
    till.until(NOON + DAY)
    assert [one["outcome"] for one in till.told()] == ["already_disputed"]
    assert till.desk.refunds == []


def test_a_refund_whose_answer_was_lost_is_found_again_although_stripe_has_forgotten_its_key(till: Till) -> None:
    till.warn()
    till.until(DUE - MINUTE)
    till.troubles = ["", "lost"]
    till.until(DUE)
    assert (till.answer.state, till.refunded) == (AnswerState.SENDING, 1999)
    till.desk.__dict__["_remembered"].clear()
    till.troubles = ["dropped"] * 4
    till.until(DUE + 3 * DAY)
    assert (till.answer.state, till.refunded, len(till.desk.refunds)) == (AnswerState.TAKEN, 1999, 1)


class _Dying(Steps):
    def take(self) -> None:
        self.taken += 1
        if self.taken == self.kill_after:
            raise Killed


def test_killed_after_every_single_step_it_is_refunded_once_and_told_once(tmp_path: Path) -> None:
    killed_at = 0
    for step in range(1, 40):
        till = Till(local_ports(tmp_path / str(step)), alert=ETHOCA)
        till.pay()
        till.alarm()
        till.until(NOON + 2 * HOUR)
        till.now = NOON + 8 * HOUR
        asked = AnswerAsked(provider="stripe", dispute_id=ETHOCA, round="inquiry/0")
        steps = _Dying(step)
        till.after_call = steps.take
        try:
            till.do(asked, stepping(till.ports, steps))
        except Killed:
            killed_at = step
        else:
            break
        till.after_call = lambda: None
        till.do(asked)
        till.until(NOON + DAY)
        assert (step, till.answer.state, len(till.desk.refunds)) == (step, AnswerState.TAKEN, 1)
        assert [one["outcome"] for one in till.told()] == ["refunded"]
    assert killed_at >= 9


_DOINGS = st.sampled_from(
    ["tick", "copy", "accept", "decline", "hold", "warned", "refunded", "disputed", "lost", "dropped", "killed"]
)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(_DOINGS, st.integers(1, 10)), max_size=12))
def test_whatever_happens_in_whatever_order_nothing_is_paid_twice_and_one_outcome_is_told(
    doings: list[tuple[str, int]],
) -> None:
    with TemporaryDirectory() as folder:
        till = Till(local_ports(Path(folder)), alert=ETHOCA)
        till.pay()
        till.alarm()
        for doing, hours in doings:
            till.now = min(till.now + hours * HOUR, NOON + 20 * HOUR)
            _do(till, doing)
        till.until(NOON + 2 * DAY, 2 * HOUR)
        assert till.refunded <= 1999
        [told] = till.told()
        assert (told["outcome"] == "refunded") == (len(till.desk.refunds) == 1)
        assert till.answer.state in (AnswerState.TAKEN, AnswerState.ELSEWHERE, AnswerState.OVER)
        wipe(till.ports)


def _do(till: Till, doing: str) -> None:
    try:
        match doing:
            case "tick":
                till.until(till.now + MINUTE, MINUTE)
            case "copy":
                till.do(AnswerAsked(provider="stripe", dispute_id=ETHOCA, round="inquiry/0"))
            case "accept":
                accept(till.ports, "stripe", ETHOCA, *_BY, till.now)
            case "decline":
                submit(till.ports, "stripe", ETHOCA, *_BY, till.now)
            case "hold":
                hold(till.ports, "stripe", ETHOCA, *_BY, till.now, till.now + 3 * HOUR)
            case "warned":
                till.warn()
            case "refunded" if not till.desk.refunds:
                till.desk.paid["pi_1"] = 0
                record_payment(a_refund_event(), till.ports, till.now)
            case "disputed" if not till.desk.refunds:
                till.desk.disputed.add("pi_1")
                track_dispute(a_dispute_event(), till.ports, till.now)
            case "killed":
                steps = _Dying(3)
                till.after_call = steps.take
                till.do(
                    AnswerAsked(provider="stripe", dispute_id=ETHOCA, round="inquiry/0"), stepping(till.ports, steps)
                )
            case "lost" | "dropped":
                till.troubles.append(doing)
    except (Killed, Conflict):
        pass
    except Exception as error:
        if not str(error).startswith("the answer is"):
            raise
    finally:
        till.after_call = lambda: None


def test_a_dispute_for_another_reason_is_refunded_as_no_fraud(till: Till) -> None:
    till.alert = ETHOCA
    till.alarm(reason=DisputeReason.CANCELED, reason_code=None)
    till.until(NOON + DAY)
    assert [one.reason for one in till.desk.refunds] == [None]


def test_a_refusal_of_the_provider_is_a_persons_with_its_words(till: Till, caplog: pytest.LogCaptureFixture) -> None:
    till.warn()
    del till.desk.paid["pi_1"]
    till.until(DUE + DAY)
    assert (till.answer.state, till.answer.code) == (AnswerState.PARKED, "resource_missing")
    assert "answer_parked" in [entry.message for entry in caplog.records]
    till.desk.paid["pi_1"] = 1999
    accept(till.ports, "stripe", REPORT, *_BY, till.now)
    till.until(till.now + HOUR)
    assert replace(till.answer, at=NOON).state is AnswerState.TAKEN
    assert till.refunded == 1999


CDRN = "cdrn:B"


def two_alerts(till: Till) -> None:
    """The second one's network waits for three days."""
    till.alert = ETHOCA
    till.alarm()
    till.alarm(dispute_id=CDRN, event_id="stripe:acct_1:cdrn:B", alert=Alert.CDRN, respond_by=NOON + 3 * DAY)


def test_an_alert_whose_payment_is_about_to_be_refunded_for_another_waits_and_tells_that(till: Till) -> None:
    two_alerts(till)
    till.until(NOON + 2 * HOUR)
    waiting = till.dispute(CDRN).answer
    assert waiting is not None
    assert (waiting.state, waiting.act, waiting.code, till.answer.act) == (
        AnswerState.HELD,
        None,
        "refund_underway",
        Act.ACCEPT,
    )
    till.until(NOON + 3 * DAY)
    assert till.refunded == 1999
    told = {one["alert"]: one for one in till.told()}
    assert {name: one["outcome"] for name, one in told.items()} == {
        "ethoca": "refunded",
        "cdrn": "previously_refunded",
    }
    assert all(one["answered_at"] <= one["respond_by"] for one in told.values())
    assert "parked" not in [one.get("state") for one in till.heard]


def test_an_alert_that_waited_for_a_refund_that_a_person_then_refused_is_decided_by_itself(till: Till) -> None:
    two_alerts(till)
    till.until(NOON + 2 * HOUR)
    submit(till.ports, "stripe", ETHOCA, *_BY, till.now)
    till.until(NOON + 4 * DAY)
    assert till.refunded == 0
    last = till.dispute(CDRN).answer
    assert last is not None
    # What one person refused to refund the next has to look at.
    assert (last.state, "nothing is refunded" in last.why[0]) == (AnswerState.PARKED, True)


def test_alerts_that_are_decided_at_the_same_instant_are_one_refund_and_nobody_is_called(till: Till) -> None:
    two_alerts(till)
    till.now = NOON + HOUR
    check_deadlines(till.ports, till.now)
    first, second = till.asked()
    # Both are decided before either knows of the other, as two instances do.
    judged = till.clerk(till.ports).judge(till.dispute(first.dispute_id), till.now)

    def judge(*_: object) -> Verdict:
        till.do(second)
        return judged

    respond_dispute(first, till.ports, replace(till.clerk(till.ports), judge=judge), lambda: till.now)
    answers = [till.dispute(one.dispute_id).answer for one in (first, second)]
    assert [one and (one.state, one.act) for one in answers] == [(AnswerState.ANNOUNCED, Act.ACCEPT)] * 2
    till.until(NOON + 3 * DAY)
    assert till.refunded == 1999
    assert sorted(one["outcome"] for one in till.told()) == ["previously_refunded", "refunded"]
    assert "parked" not in [one.get("state") for one in till.heard]


def test_an_alert_does_not_wait_for_a_refund_that_would_come_after_its_deadline(till: Till) -> None:
    till.alarm(dispute_id=CDRN, event_id="stripe:acct_1:cdrn:B", alert=Alert.CDRN, respond_by=NOON + 3 * DAY)
    till.until(NOON + 2 * HOUR)
    till.alarm(respond_by=NOON + DAY)
    till.until(NOON + 3 * DAY)
    assert till.refunded == 1999
    assert {one["alert"]: one["outcome"] for one in till.told()} == {
        "ethoca": "refunded",
        "cdrn": "previously_refunded",
    }


def test_of_two_refunds_that_are_on_their_way_at_once_one_waits(till: Till) -> None:
    two_alerts(till)
    till.until(NOON + 6 * HOUR)
    accept(till.ports, "stripe", CDRN, *_BY, till.now)
    [other] = till.asked()

    def meanwhile() -> None:
        till.after_call = lambda: None
        till.do(other)

    till.after_call = meanwhile
    till.now = NOON + 7 * HOUR
    check_deadlines(till.ports, till.now)
    [due] = [one for one in till.asked() if one.dispute_id == ETHOCA]
    till.do(due)
    blocked = till.dispute(CDRN).answer
    assert blocked is not None
    assert (blocked.state, blocked.code, till.refunded) == (AnswerState.PARKED, "refund_in_doubt", 1999)
