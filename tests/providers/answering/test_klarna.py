"""Klarna: what is special to how its disputes are answered."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from shared.domain.answers import Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Unreadable
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item
from shared.domain.money import Money
from shared.providers.klarna import answer
from tests.providers.answering.driving import NOW, a_contest, a_document, a_packet, accepting, drive, send, standing
from tests.providers.answering.garbage import FUZZ, answers, holds
from tests.simulator.answering.forms import object_in
from tests.simulator.answering.klarna import KlarnaDesk
from tests.simulator.desks import open_desk

KEY = "klarna_test_api_a-key-of-ours"
CONTEST = a_contest("krn:network:eu1:test:payment:dispute:5169719611111")
APPEAL = replace(CONTEST, stage=DisputeStage.PRE_ARBITRATION)


def test_files_are_attached_and_the_dispute_represented_once() -> None:
    desk = KlarnaDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert standing(answer, CONTEST, api) is Standing.WAITS
        assert drive(answer, CONTEST, api).done["represent"] == "REPRESENTMENT"
        again = drive(answer, replace(CONTEST, key="b" * 32), api).refused
        assert standing(answer, CONTEST, api) is Standing.ANSWERED
    (taken,) = desk.taken
    assert "attachment:1" in taken.told["attachments"]
    assert "Usage: Played 41 hours." in taken.told["additional_information"]
    assert again is not None
    assert (again.code, again.stands) == ("RESOURCE_CONFLICT", False)


def test_a_repeat_of_the_same_answer_is_the_same_request_at_klarna() -> None:
    desk = KlarnaDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        drive(answer, CONTEST, api)
        assert drive(answer, CONTEST, api).refused is None
    assert len(desk.taken) == 1
    keys = [call.headers["klarna-idempotency-key"] for call in running.calls]
    assert keys[:2] == keys[2:]
    assert keys[0] != keys[1]


def test_a_preliminary_loss_is_appealed_and_not_represented() -> None:
    desk = KlarnaDesk(KEY)
    desk.open(APPEAL)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert standing(answer, APPEAL, api) is Standing.WAITS
        assert standing(answer, CONTEST, api) is Standing.OVER, "its first round is decided"
        assert drive(answer, APPEAL, api).done["appeal"] == "ARBITRATION"
        assert standing(answer, APPEAL, api) is Standing.ANSWERED
    assert running.calls[-2].path.endswith("/appeal")


@pytest.mark.parametrize("contest", [CONTEST, APPEAL])
def test_a_loss_is_accepted_in_both_rounds(contest: Any) -> None:
    desk, accept = KlarnaDesk(KEY), accepting(contest)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert drive(answer, accept, api).refused is None
        assert standing(answer, accept, api) is Standing.ANSWERED
        assert standing(answer, contest, api) is Standing.OVER
    assert len(desk.taken) == 1


def test_a_loss_by_silence_is_no_acceptance() -> None:
    desk = KlarnaDesk(KEY)
    desk.open(replace(CONTEST, respond_by=NOW - timedelta(seconds=1)))
    with open_desk(desk, NOW) as running:
        assert standing(answer, accepting(CONTEST), ApiCredentials(KEY, running.url)) is Standing.OVER


def test_a_part_can_be_given_back() -> None:
    desk, contest = KlarnaDesk(KEY), replace(CONTEST, contested=Money(1500, "EUR"))
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        assert drive(answer, contest, ApiCredentials(KEY, running.url)).refused is None
    assert desk.taken[0].told["partner_proposed_refund_amount"] == "499"
    assert answer.problems(contest) == ()
    assert answer.problems(replace(contest, contested=Money(0, "EUR")))
    assert answer.problems(replace(APPEAL, contested=Money(1500, "EUR")))


@pytest.mark.parametrize(
    ("contest", "told"),
    [
        (replace(CONTEST, respond_by=NOW - timedelta(seconds=1)), "not in a state"),
        (replace(CONTEST, packet=a_packet()), "at least 1 item"),
        (replace(CONTEST, packet=a_packet(documents=(a_document(media_type="image/gif"),))), "not supported"),
        (replace(CONTEST, packet=a_packet(documents=(a_document(data=b"x" * 7_000_001),))), "larger than 7MB"),
        (
            replace(CONTEST, packet=a_packet(documents=(a_document(),), texts={Item.PLAN: "x" * 5001})),
            "too long",
        ),
        (replace(APPEAL, packet=a_packet(texts={})), "additional_information is required"),
        (replace(APPEAL, packet=a_packet(texts={Item.PLAN: "x" * 10_001})), "too long"),
    ],
)
def test_what_klarna_refuses_is_told_and_not_taken(contest: Any, told: str) -> None:
    desk = KlarnaDesk(KEY)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        refused = drive(answer, contest, ApiCredentials(KEY, running.url)).refused
    assert refused is not None
    assert told in refused.told
    assert not desk.taken
    if contest.respond_by > NOW:
        assert answer.problems(contest), "known before it is sent"


def test_nothing_is_answered_in_arbitration() -> None:
    contest = replace(CONTEST, stage=DisputeStage.ARBITRATION)
    assert answer.problems(contest)
    assert answer.problems(accepting(contest))


def test_a_wrong_key_and_an_unknown_dispute_are_refused() -> None:
    with open_desk(KlarnaDesk(KEY), NOW) as running:
        wrong = drive(answer, CONTEST, ApiCredentials("klarna_test_api_other", running.url)).refused
        unknown = drive(answer, CONTEST, ApiCredentials(KEY, running.url)).refused
        assert standing(answer, CONTEST, ApiCredentials(KEY, running.url)) is Standing.UNKNOWN
    assert wrong == Refused(code="UNAUTHORIZED", told="The request was not authorized")
    assert unknown is not None
    assert unknown.code == "RESOURCE_NOT_FOUND"


def test_an_older_name_and_password_are_sent_as_basic() -> None:
    request = answer.standing_request(CONTEST, ApiCredentials("PK123:secret"))
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"PK123:secret").decode()
    assert request.url.startswith("https://api-global.test.klarna.com/v4/")
    live = answer.standing_request(replace(CONTEST, livemode=True), ApiCredentials("PK123:secret"))
    assert live.url.startswith("https://api-global.klarna.com/v4/")


@pytest.mark.parametrize(
    "own",
    ["", "krn:", "krn:a/../b", "krn:a b", "krn:a?x", "krn:" + "a" * 100, "5169719611111", "krn:a:\n"],
)
def test_an_id_that_is_none_of_klarnas_reaches_no_address(own: str) -> None:
    for contest in (replace(CONTEST, answer_id=own), accepting(replace(CONTEST, answer_id=own))):
        with pytest.raises(Unreadable):
            answer.standing_request(contest, ApiCredentials(KEY))
        with pytest.raises(Unreadable):
            answer.next_step(contest, {}, ApiCredentials(KEY))


@FUZZ
@given(answers("state", "payment_dispute_id", "payment_dispute_attachment_id", "representment", "error_code"))
def test_no_answer_brings_it_down(garbage: ApiAnswer) -> None:
    api = ApiCredentials(KEY)
    steps = [answer.next_step(accepting(CONTEST), {}, api), answer.next_step(CONTEST, {}, api)]
    holds(answer, CONTEST, steps, garbage)
    holds(answer, APPEAL, steps, garbage)


def test_what_is_sent_is_the_form_that_the_reference_shows() -> None:
    desk = KlarnaDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        upload = answer.next_step(CONTEST, {}, api)
        assert upload is not None
        own = answer.read_step(CONTEST, upload, send(upload.request))
        represent = answer.next_step(CONTEST, {upload.name: own.value}, api)  # type: ignore[union-attr]
        assert represent is not None
        send(represent.request)
    body = object_in(running.calls[-1])
    assert body is not None
    assert body["attachments"] == [
        {
            "payment_dispute_attachment_id": "krn:network:eu1:test:payment:dispute:5169719611111:attachment:1",
            "description": "Usage",
        }
    ]
