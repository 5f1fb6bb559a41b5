"""What is due on disputes, done for real on SQLite."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.disputes import lifecycle
from shared.domain.codec import utc_text
from shared.domain.disputes import Answer, AnswerState
from shared.domain.errors import Unavailable
from shared.domain.events import AnyEvent, DisputeStage, DisputeStatus
from shared.domain.timeline import compact
from shared.flows import check_deadlines as flow
from shared.flows.check_deadlines import Summary, check_deadlines
from shared.flows.filing import dispute_of
from shared.flows.ports import Create, Document, Key, Message, Ports, Replace, Write
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    eur,
)
from tests.crashing import Steps, stepping
from tests.flows.counting import Counting
from tests.local import everything, local_ports, published, wipe

DISPUTE = Key("disputes", "stripe:dp_1")
RESPOND_BY = NOON + 20 * DAY


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    ports = local_ports(tmp_path)
    record_payment(a_payment_event(), ports, NOON)
    return ports


def track(ports: Ports, *events: AnyEvent, now: datetime = NOON) -> None:
    for event in events:
        track_dispute(event, ports, now)
    published(ports, "dispute-updates")


def an_open_dispute(ports: Ports, **fields: Any) -> None:
    track(ports, a_dispute_event(**{"respond_by": RESPOND_BY, **fields}))


def reminded(ports: Ports) -> list[dict[str, Any]]:
    return [message for message in published(ports, "dispute-actions") if "rung" in message]


def reminders(ports: Ports) -> list[str]:
    return [message["rung"] for message in reminded(ports)]


def with_nobody_to_answer(ports: Ports) -> None:
    """The answer of the dispute is a person's, so that the clock has nothing to ask for."""
    [found] = ports.documents.get([DISPUTE])
    dispute = dispute_of(found)
    assert found is not None
    assert dispute is not None
    assert dispute.round is not None
    answers = {dispute.round: Answer(state=AnswerState.PARKED, stage=dispute.stage, at=NOON)}
    parked = lifecycle.settle(replace(dispute, answers=answers))
    ports.documents.commit([Replace(DISPUTE, compact(parked), found.version)])


def actions(ports: Ports) -> dict[str, str]:
    """State by rung, of the dispute's last deadline."""
    return {action["rung"]: action["state"] for action in everything(ports)[DISPUTE].get("actions", {}).values()}


def test_the_ladder_reminds_at_each_rung_once_and_then_expires(ports: Ports) -> None:
    an_open_dispute(ports)
    sent = []
    at = NOON
    while at < RESPOND_BY + DAY:
        check_deadlines(ports, at)
        sent += [(at, rung) for rung in reminders(ports)]
        at += 30 * MINUTE
    assert sent == [
        (RESPOND_BY - 7 * DAY, "7d"),
        (RESPOND_BY - 3 * DAY, "3d"),
        (RESPOND_BY - DAY, "24h"),
        (RESPOND_BY - 6 * HOUR, "6h"),
    ]
    (expired,) = published(ports, "dispute-updates")
    assert (expired["status"], expired["told_status"], expired["expired_cause"]) == (
        "expired",
        "needs_response",
        "nobody_answered",
    )
    assert everything(ports)[DISPUTE].get("next_action_at") is None


@pytest.mark.parametrize(("late", "sent"), [(-SECOND, []), (0 * SECOND, ["7d"]), (SECOND, ["7d"])])
def test_a_reminder_is_not_a_second_early(ports: Ports, late: timedelta, sent: list[str]) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY - 7 * DAY + late)
    assert reminders(ports) == sent


@pytest.mark.parametrize(
    ("late", "status"), [(-SECOND, "needs_response"), (0 * SECOND, "needs_response"), (SECOND, "expired")]
)
def test_a_dispute_is_not_expired_while_an_answer_would_be_accepted(ports: Ports, late: timedelta, status: str) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY + late)
    assert everything(ports)[DISPUTE]["status"] == status


def test_after_a_silence_only_the_tightest_reminder_is_sent_and_the_wider_ones_are_superseded(ports: Ports) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY - 12 * HOUR)
    assert reminders(ports) == ["24h"]
    assert actions(ports) == {"7d": "superseded", "3d": "superseded", "24h": "done"}


def test_a_reminder_says_what_a_person_needs(ports: Ports) -> None:
    an_open_dispute(ports, unsigned=("respond_by",))
    check_deadlines(ports, RESPOND_BY - 7 * DAY)
    (told,) = reminded(ports)
    assert told["action_id"] == f"stripe:dp_1/chargeback/{utc_text(RESPOND_BY)}/7d"
    assert (told["dispute_id"], told["payment_id"], told["respond_by"]) == ("dp_1", "pi_1", "2026-11-22T12:00:00Z")
    assert told["deadline_unsigned"] is True
    assert told["amount"] == {"minor": 1999, "currency": "EUR"}


def test_twenty_runs_at_once_send_one_reminder(ports: Ports) -> None:
    an_open_dispute(ports)
    with ThreadPoolExecutor(20) as pool:
        summaries = list(pool.map(lambda _: check_deadlines(ports, RESPOND_BY - 7 * DAY), range(20)))
    assert reminders(ports) == ["7d"]
    assert sum(summary.done.get("7d", 0) for summary in summaries) == 1


def test_a_run_after_a_finished_one_finds_nothing_due(ports: Ports) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY - 7 * DAY)
    assert check_deadlines(ports, RESPOND_BY - 7 * DAY) == Summary()


@pytest.mark.parametrize(
    "ended",
    [
        {"status": DisputeStatus.UNDER_REVIEW},
        {"status": DisputeStatus.WON},
        {"can_respond": False},
        {"respond_by": None, "status": DisputeStatus.LOST},
    ],
)
def test_an_answer_cancels_the_rest_of_the_ladder(ports: Ports, ended: dict[str, Any]) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY - 7 * DAY)
    reminders(ports)
    an_open_dispute(ports, **{"occurred_at": NOON + DAY, **ended})
    check_deadlines(ports, RESPOND_BY + DAY)
    assert reminders(ports) == []
    assert "expired_cause" not in everything(ports)[DISPUTE]


def test_an_extension_starts_the_ladder_anew(ports: Ports) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY - 7 * DAY)
    an_open_dispute(ports, occurred_at=NOON + DAY, respond_by=RESPOND_BY + 10 * DAY)
    reminders(ports)
    check_deadlines(ports, RESPOND_BY)
    assert reminders(ports) == []
    check_deadlines(ports, RESPOND_BY + 3 * DAY)
    assert reminders(ports) == ["7d"]


def test_a_later_stage_after_an_expiry_is_reminded_of_again(ports: Ports) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY + DAY)
    an_open_dispute(
        ports, stage=DisputeStage.PRE_ARBITRATION, occurred_at=RESPOND_BY + DAY, respond_by=RESPOND_BY + 9 * DAY
    )
    reminders(ports)
    check_deadlines(ports, RESPOND_BY + 2 * DAY)
    assert reminders(ports) == ["7d"]
    assert everything(ports)[DISPUTE]["status"] == "needs_response"


@pytest.mark.parametrize(
    ("heard_at", "checks", "cause"),
    [
        (RESPOND_BY + DAY, [], "told_too_late"),
        (RESPOND_BY - HOUR, [RESPOND_BY - 30 * MINUTE], "told_too_late"),
        (NOON, [RESPOND_BY - DAY], "nobody_answered"),
        (NOON, [], "not_reminded"),
    ],
)
def test_a_missed_deadline_alarms_with_its_cause(
    ports: Ports, caplog: pytest.LogCaptureFixture, heard_at: datetime, checks: Sequence[datetime], cause: str
) -> None:
    caplog.set_level("INFO", "payin")
    track(ports, a_dispute_event(respond_by=RESPOND_BY), now=heard_at)
    for at in [*checks, RESPOND_BY + 2 * DAY, RESPOND_BY + 3 * DAY]:
        check_deadlines(ports, at)
    missed = [entry.fields for entry in caplog.records if entry.message == "deadline_missed"]  # type: ignore[attr-defined]
    assert [told["cause"] for told in missed] == [cause]
    runs = [entry.fields["missed"] for entry in caplog.records if entry.message == "deadlines_checked"]  # type: ignore[attr-defined]
    assert runs == [*(0 for _ in checks), 0 if cause == "told_too_late" else 1, 0]
    assert [update["expired_cause"] for update in published(ports, "dispute-updates")] == [cause]


def test_an_expiry_tells_the_flags_of_its_case(ports: Ports) -> None:
    an_open_dispute(ports)
    track(ports, a_refund_event())
    check_deadlines(ports, RESPOND_BY + DAY)
    (expired,) = published(ports, "dispute-updates")
    assert expired["flags"] == ["refund_dispute_collision"]


def test_a_reminder_that_could_not_be_published_is_published_after_the_lease_under_the_same_id(ports: Ports) -> None:
    class Down:
        def publish(self, messages: object) -> None:
            raise Unavailable("the bus is down")

    an_open_dispute(ports)
    at = RESPOND_BY - 7 * DAY
    with pytest.raises(Unavailable):
        check_deadlines(replace(ports, bus=Down()), at)
    check_deadlines(ports, at + 4 * MINUTE)
    assert reminders(ports) == []
    check_deadlines(ports, at + 5 * MINUTE)
    assert reminders(ports) == ["7d"]
    (action,) = everything(ports)[DISPUTE]["actions"].values()
    assert (action["state"], action["at"]) == ("done", at)


@pytest.mark.parametrize(
    ("fields", "at", "rung", "status"),
    [
        ({}, RESPOND_BY + DAY, "expire", "expired"),
        ({"payment_id": "pi_9"}, NOON + HOUR, "link", "needs_response"),
    ],
)
def test_what_a_dead_run_made_of_a_dispute_is_told_after_the_lease_once(
    ports: Ports, fields: dict[str, Any], at: datetime, rung: str, status: str
) -> None:
    class Down:
        def publish(self, messages: object) -> None:
            raise Unavailable("the bus is down")

    an_open_dispute(ports, **fields)
    record_payment(a_payment_event(payment_id="pi_9"), ports, NOON)
    with pytest.raises(Unavailable):
        check_deadlines(replace(ports, bus=Down()), at)
    assert published(ports, "dispute-updates") == []
    for minutes in (4, 5, 11):
        check_deadlines(ports, at + minutes * MINUTE)
    (row,) = published(ports, "dispute-updates")
    assert (row["status"], row["payment_known"]) == (status, True)
    assert actions(ports)[rung] == "done"


def test_an_expiry_claimed_by_a_dead_run_is_not_told_once_the_dispute_is_answered(ports: Ports) -> None:
    class Down:
        def publish(self, messages: object) -> None:
            raise Unavailable("the bus is down")

    an_open_dispute(ports)
    with pytest.raises(Unavailable):
        check_deadlines(replace(ports, bus=Down()), RESPOND_BY + SECOND)
    track(
        ports,
        a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + DAY, respond_by=RESPOND_BY),
        now=RESPOND_BY + MINUTE,
    )
    assert check_deadlines(ports, RESPOND_BY + DAY).done == {}
    assert published(ports, "dispute-updates") == []


def test_what_was_heard_in_the_instant_of_the_deadline_was_heard_in_time(ports: Ports) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY + 10 * DAY)
    assert everything(ports)[DISPUTE]["status"] == "expired"
    track(ports, a_dispute_event(respond_by=RESPOND_BY, occurred_at=NOON + DAY), now=RESPOND_BY + SECOND)
    assert everything(ports)[DISPUTE]["status"] == "expired"
    track(ports, a_dispute_event(respond_by=RESPOND_BY, occurred_at=NOON + 2 * DAY), now=RESPOND_BY)
    found = everything(ports)[DISPUTE]
    assert (found["status"], found.get("expired_cause")) == ("needs_response", None)


def test_a_reminder_claimed_by_a_dead_run_is_not_sent_once_the_dispute_is_answered(ports: Ports) -> None:
    class Down:
        def publish(self, messages: object) -> None:
            raise Unavailable("the bus is down")

    an_open_dispute(ports)
    with pytest.raises(Unavailable):
        check_deadlines(replace(ports, bus=Down()), RESPOND_BY - 7 * DAY)
    an_open_dispute(ports, status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + DAY)
    check_deadlines(ports, RESPOND_BY)
    assert reminders(ports) == []


def test_an_event_that_arrives_between_claim_and_mark_is_not_lost(ports: Ports) -> None:
    class Meanwhile:
        def publish(self, messages: Sequence[Message]) -> None:
            ports.bus.publish(messages)
            track_dispute(a_dispute_event(status=DisputeStatus.WON, occurred_at=NOON + DAY), ports, NOON)

    an_open_dispute(ports)
    check_deadlines(replace(ports, bus=Meanwhile()), RESPOND_BY - 7 * DAY)
    found = everything(ports)[DISPUTE]
    assert (found["status"], len(found["facts"]), actions(ports)) == ("won", 2, {"7d": "done"})


def test_a_dispute_without_a_deadline_alarms_reminds_by_an_estimate_and_is_not_expired(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    an_open_dispute(ports, respond_by=None, respond_by_text=None, contest_fee=eur(50_000), answer_id="round_2")
    sent = []
    for hours in range(31 * 24):
        check_deadlines(ports, NOON + hours * HOUR)
        sent += reminded(ports)
    assert [told["rung"] for told in sent] == ["no_deadline", "7d", "3d", "24h", "6h", "estimate_over"]
    assert {told["respond_by"] for told in sent} == {"2026-12-02T12:00:00Z"}
    assert {(told["deadline_estimated"], told["answered_by"]) for told in sent} == {(True, "us")}
    assert sent[0]["contest_fee"] == {"minor": 50_000, "currency": "EUR"}
    assert {told["answer_id"] for told in sent} == {"round_2"}
    alarms = [entry.message for entry in caplog.records if entry.levelname == "ERROR"]
    assert alarms == ["dispute_without_deadline", "dispute_without_deadline"]
    assert everything(ports)[DISPUTE]["status"] == "needs_response"


def test_nobody_is_told_of_a_dispute_whose_deadline_comes_in_a_second_message(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    an_open_dispute(ports, respond_by=None, respond_by_text=None)
    check_deadlines(ports, NOON + 5 * MINUTE)
    an_open_dispute(ports, occurred_at=NOON + SECOND)
    check_deadlines(ports, NOON + HOUR)
    assert reminders(ports) == []
    # Facts too, where a test before this one has let them through.
    assert [entry.message for entry in caplog.records if entry.levelname != "INFO"] == []


def test_an_expiry_by_a_clock_that_was_wrong_is_taken_back_by_the_next_word_and_the_true_one_comes(
    ports: Ports,
) -> None:
    an_open_dispute(ports)
    check_deadlines(ports, RESPOND_BY + 10 * DAY)
    assert everything(ports)[DISPUTE]["status"] == "expired"
    track_dispute(a_dispute_event(respond_by=RESPOND_BY, occurred_at=NOON + DAY), ports, NOON + DAY)
    check_deadlines(ports, RESPOND_BY - 7 * DAY)
    check_deadlines(ports, RESPOND_BY + DAY)
    rows = published(ports, "dispute-updates")
    assert [row["status"] for row in rows] == ["expired", "needs_response", "expired"]
    assert [row["revision"] for row in rows] == sorted({row["revision"] for row in rows})
    assert len({row["update_id"] for row in rows}) == 3


# Disputes whose payment is not there


def test_a_payment_that_comes_ten_minutes_later_is_found_and_told(ports: Ports) -> None:
    an_open_dispute(ports, payment_id="ch_9")
    with_nobody_to_answer(ports)
    record_payment(a_payment_event(payment_id="pi_9", aliases=("ch_9",)), ports, NOON)
    assert check_deadlines(ports, NOON + 9 * MINUTE).looked_at == 0
    assert check_deadlines(ports, NOON + 10 * MINUTE).done == {"link": 1}
    (linked,) = published(ports, "dispute-updates")
    assert (linked["payment_id"], linked["payment_known"]) == ("pi_9", True)
    assert Key("cases", "stripe:pi_9") in everything(ports)
    assert check_deadlines(ports, NOON + DAY).looked_at == 0


def test_a_payment_that_never_comes_alarms_once_after_a_day_and_the_ladder_goes_on(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    an_open_dispute(ports, payment_id="pi_9")
    for hours in range(72):
        check_deadlines(ports, NOON + hours * HOUR)
    alarms = [entry.message for entry in caplog.records if entry.levelname == "ERROR"]
    assert alarms == ["dispute_without_payment"]
    assert published(ports, "dispute-updates") == []
    check_deadlines(ports, RESPOND_BY - 7 * DAY)
    assert reminders(ports) == ["7d"]


@pytest.mark.parametrize("payment_first", [True, False])
def test_a_dispute_ends_up_the_same_whether_it_came_before_or_after_its_payment(
    ports: Ports, payment_first: bool
) -> None:
    payment = a_payment_event(payment_id="pi_9", aliases=("ch_9",), event_id="stripe:acct_1:p")
    dispute = a_dispute_event(payment_id="ch_9", event_id="stripe:acct_1:d")
    if payment_first:
        record_payment(payment, ports, NOON)
        track(ports, dispute)
    else:
        track(ports, dispute)
        record_payment(payment, ports, NOON)
    check_deadlines(ports, NOON + HOUR)
    found = everything(ports)
    stored = found[DISPUTE]
    assert (stored["linked_to"], stored["payment_id"]) == ("pi_9", "pi_9")
    assert stored["next_action_at"] == NOON + HOUR + flow.ASKED_AGAIN
    assert list(found[Key("cases", "stripe:pi_9")]["disputes"]) == ["dp_1"]


@st.composite
def a_case(draw: st.DrawFn) -> list[AnyEvent]:
    """Disputes, warnings and refunds of one payment, which all call by both of its names, and the payment itself."""
    times = st.integers(0, 3).map(lambda number: NOON + number * DAY)
    names: dict[str, Any] = {"payment_id": "pi_9", "payment_aliases": ("ch_9",)}
    charge: dict[str, Any] = {"payment_id": "ch_9"}
    disputes = st.builds(
        lambda at, number, name: a_dispute_event(dispute_id=f"dp_{number}", occurred_at=at, **name),
        times,
        st.integers(1, 2),
        st.sampled_from([names, charge]),
    )
    warnings = st.builds(lambda at: a_fraud_warning(occurred_at=at, **names), times)
    refunds = st.builds(lambda at: a_refund_event(occurred_at=at, payment_id="pi_9", aliases=("ch_9",)), times)
    told: list[AnyEvent] = draw(st.lists(disputes | warnings | refunds, min_size=1, max_size=5))
    return [*told, a_payment_event(payment_id="pi_9", aliases=("ch_9",))]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_case_ends_up_the_same_wherever_its_payment_comes_in(data: st.DataObject) -> None:
    events = data.draw(a_case())
    delivered = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=3))))
    found = []
    with TemporaryDirectory() as folder:
        ports = local_ports(Path(folder))
        for order in (events, delivered):
            for event in order:
                record_payment(event, ports, NOON)
                track_dispute(event, ports, NOON)
            check_deadlines(ports, NOON + HOUR)
            check_deadlines(ports, NOON + HOUR + 5 * MINUTE)
            # What we did about it, and the signposts that were left on the way, tell of the way.
            found.append(
                {
                    key: {name: value for name, value in document.items() if name != "actions"}
                    for key, document in wipe(ports).items()
                    if "moved_to" not in document
                }
            )
    assert found[0] == found[1]


# Cost


@pytest.mark.parametrize("due", [0, 3])
def test_the_cost_grows_with_what_is_due_and_not_with_what_is_open(ports: Ports, due: int) -> None:
    def cost() -> tuple[int, int, int]:
        for number in range(due):
            an_open_dispute(ports, dispute_id=f"due_{cost_of}_{number}", respond_by=NOON + 7 * DAY)
        documents = Counting(ports.documents)
        assert check_deadlines(replace(ports, documents=documents), NOON).looked_at == due
        return documents.reads, documents.documents, documents.commits

    costs = []
    an_open_dispute(ports)
    template = everything(ports)[DISPUTE]
    for cost_of, open_ in ((10, 10), (1000, 1000)):
        ports.documents.commit(
            [Create(Key("disputes", f"stripe:open_{cost_of}_{number}"), template) for number in range(open_)]
        )
        costs.append(cost())
    assert costs[0] == costs[1]
    assert costs[0][1] <= 2 * due


def test_a_page_of_reminders_is_a_query_a_read_two_commits_and_a_publish(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAGE", 20)
    for number in range(39):
        an_open_dispute(ports, dispute_id=f"dp_{number}")
    documents, publishes = Counting(ports.documents), Steps()
    check_deadlines(replace(ports, documents=documents, bus=stepping(ports, publishes).bus), RESPOND_BY - 7 * DAY)
    assert (documents.reads, documents.commits, publishes.taken) == (2 * 2, 2 * 2, 2)
    assert documents.documents == 2 * 39


def test_a_dispute_that_is_answered_while_its_page_is_claimed_is_not_reminded_of_and_the_others_are(
    ports: Ports,
) -> None:
    class Meanwhile(Counting):
        def commit(self, writes: Sequence[Write]) -> None:
            if not self.commits:
                track_dispute(
                    a_dispute_event(dispute_id="dp_1", status=DisputeStatus.WON, occurred_at=NOON + DAY), ports, NOON
                )
            super().commit(writes)

    for number in range(3):
        an_open_dispute(ports, dispute_id=f"dp_{number}")
    documents = Meanwhile(ports.documents)
    assert check_deadlines(replace(ports, documents=documents), RESPOND_BY - 7 * DAY).done == {"7d": 2, "answer": 2}
    assert [told["dispute_id"] for told in reminded(ports)] == ["dp_0", "dp_2"]
    assert everything(ports)[DISPUTE]["status"] == "won"


def test_a_run_does_a_bounded_part_and_the_next_goes_on_from_there(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAGE", 4)
    monkeypatch.setattr(flow, "MOST", 7)
    broken: Document = {"next_action_at": NOON, "facts": 7}
    ports.documents.commit([Create(Key("disputes", f"stripe:broken_{number}"), broken) for number in range(9)])
    for number in range(18):
        an_open_dispute(ports, dispute_id=f"dp_{number}")
    done = [check_deadlines(ports, RESPOND_BY - 7 * DAY).done.get("7d", 0) for _ in range(4)]
    # A run ends with the page that fills it; what cannot be read stands before all of it and takes no part of it away.
    assert (sum(done), done[-1]) == (18, 0)
    assert all(7 <= part < 7 + 4 for part in done[:2])
    assert sorted(told["dispute_id"] for told in reminded(ports)) == sorted(f"dp_{number}" for number in range(18))


class Gone(BaseException):
    """The process is killed."""


class Dying(Steps):
    def take(self) -> None:
        self.taken += 1
        if self.taken == self.kill_after:
            raise Gone


def test_whatever_step_a_run_dies_at_the_next_ones_go_on_and_nothing_is_left_out_or_done_twice(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAGE", 4)
    monkeypatch.setattr(flow, "MOST", 8)
    for number in range(6):
        an_open_dispute(ports, dispute_id=f"dp_{number}")
    # Two whose expiry is news of their cases too.
    for number in range(2):
        an_open_dispute(ports, dispute_id=f"late_{number}", respond_by=RESPOND_BY - 8 * DAY)
    at = RESPOND_BY - 7 * DAY
    stored = [Create(key, document) for key, document in everything(ports).items()]
    doubled = []
    for step in range(1, 100):
        wipe(ports)
        ports.documents.commit(stored)
        steps = Dying(kill_after=step)
        try:
            check_deadlines(stepping(ports, steps), at)
        except Gone:
            for minutes in (5, 10, 30, 35):
                check_deadlines(ports, at + minutes * MINUTE)
        else:
            break
        told, rows = published(ports, "dispute-actions"), published(ports, "dispute-updates")
        reminders = [one["action_id"] for one in told if "rung" in one]
        assert {one.split("/")[0] for one in reminders} == {f"stripe:dp_{number}" for number in range(6)}
        assert {row["dispute_id"] for row in rows if row["status"] == "expired"} == {"late_0", "late_1"}
        # Of one deadline there is one reminder, by its id, and once more where the run died before it could note it down.
        assert len(set(reminders)) == 6
        doubled.append(len(reminders) - 6)
        assert {one["dispute_id"] for one in told if "round" in one} >= {f"dp_{number}" for number in range(6)}
        assert {action["state"] for one in wipe(ports).values() for action in one.get("actions", {}).values()} <= {
            "done",
            "superseded",
        }
    assert step > 10
    # Nothing but the page that was under way.
    assert 0 < max(doubled) <= 4


def test_more_than_a_page_is_done_in_one_run(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "PAGE", 4)
    for number in range(11):
        an_open_dispute(ports, dispute_id=f"dp_{number}")
    assert check_deadlines(ports, RESPOND_BY - 7 * DAY) == Summary(11, {"7d": 11, "answer": 11})
    assert reminders(ports) == ["7d"] * 11


def test_more_than_a_page_of_disputes_that_cannot_be_read_do_not_hide_the_others(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAGE", 4)
    broken: Document = {"next_action_at": NOON, "facts": 7}
    ports.documents.commit([Create(Key("disputes", f"stripe:broken_{number}"), broken) for number in range(9)])
    for number in range(6):
        an_open_dispute(ports, dispute_id=f"dp_{number}")
    assert check_deadlines(ports, RESPOND_BY - 7 * DAY) == Summary(15, {"7d": 6, "answer": 6})
    assert check_deadlines(ports, RESPOND_BY - 7 * DAY) == Summary(9)


def test_a_dispute_that_cannot_be_read_is_told_and_does_not_hold_up_the_others(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    ports.documents.commit([Create(Key("disputes", "stripe:broken"), {"next_action_at": NOON, "facts": 7})])
    an_open_dispute(ports)
    assert check_deadlines(ports, RESPOND_BY - 7 * DAY).done == {"7d": 1, "answer": 1}
    assert "dispute_unreadable" in [entry.message for entry in caplog.records]


def test_an_answer_is_asked_for_once_and_again_only_when_nobody_went_on_with_it(ports: Ports) -> None:
    an_open_dispute(ports)
    asked = []
    for minutes in range(55, 110, 5):
        check_deadlines(ports, NOON + minutes * MINUTE)
        asked += [minutes for message in published(ports, "dispute-actions") if "round" in message]
    assert asked == [60, 90]
    assert everything(ports)[DISPUTE]["answers"]["chargeback/0"]["state"] == "asked"
    track(ports, a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + 2 * HOUR))
    assert check_deadlines(ports, RESPOND_BY).done == {}
