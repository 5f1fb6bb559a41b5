"""Google Play: what is special to how a review of a refund is answered."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from shared.domain.answers import Act, Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Unreadable
from shared.domain.evidence import Consumption
from shared.providers.google import answer
from tests.providers.answering.driving import NOW, a_contest, a_packet, drive, standing
from tests.providers.answering.garbage import FUZZ, answers, holds
from tests.simulator.answering.forms import object_in
from tests.simulator.answering.google import GoogleDesk
from tests.simulator.desks import open_desk

KEY, ORDER = "ya29.a-token-of-ours", "GPA.3345-1234-5678-90123..2"
USES = (NOW - timedelta(days=1), NOW - timedelta(days=3))
TOLD = Consumption(consented=True, delivered=True, sampled=True, share=45_200, uses=USES)
CONTEST = a_contest(ORDER, answer_id="prt-1", account="example.music.player", packet=a_packet(consumption=TOLD))


def test_a_review_is_answered_once_and_a_repeat_changes_nothing() -> None:
    desk = GoogleDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        step = answer.next_step(CONTEST, {}, api)
        assert step is not None
        assert (step.final, step.keyed) == (True, True)
        assert drive(answer, CONTEST, api).refused is None
        assert drive(answer, replace(CONTEST, act=Act.ACCEPT), api).refused is None
        assert standing(answer, CONTEST, api) is Standing.UNKNOWN
        desk.refund(ORDER)
        assert standing(answer, CONTEST, api) is Standing.OVER
    (taken,) = desk.taken
    assert taken.act is Act.SUBMIT
    told = object_in(running.calls[0])
    assert told == {
        "pendingRefundToken": "prt-1",
        "sampleContentProvided": True,
        "refundPreference": "DECLINE",
        "consumptionPercentageMilliunits": 45_200,
        "consumptionUsageEvents": [
            {"consumptionTime": "2026-11-24T12:00:00Z"},
            {"consumptionTime": "2026-11-26T12:00:00Z"},
        ],
    }


def test_an_acceptance_prefers_that_it_is_granted() -> None:
    desk, contest = GoogleDesk(KEY), replace(CONTEST, act=Act.ACCEPT)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        assert drive(answer, contest, ApiCredentials(KEY, running.url)).refused is None
    assert desk.taken[0].told["refundPreference"] == "APPROVE"


def test_of_a_customer_who_did_not_agree_no_use_is_told() -> None:
    contest = replace(CONTEST, packet=a_packet(consumption=replace(TOLD, consented=False)))
    assert answer.problems(contest) == ()
    step = answer.next_step(contest, {}, ApiCredentials(KEY))
    assert step is not None
    assert b"consumption" not in step.request.body


def test_of_more_uses_than_google_takes_the_last_are_told() -> None:
    uses = tuple(NOW - timedelta(minutes=minute) for minute in range(1500))
    contest = replace(CONTEST, packet=a_packet(consumption=replace(TOLD, uses=uses)))
    desk = GoogleDesk(KEY)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        assert drive(answer, contest, ApiCredentials(KEY, running.url)).refused is None
    told = desk.cases[ORDER].draft["consumptionUsageEvents"]
    assert (len(told), told[-1]) == (1000, {"consumptionTime": "2026-11-27T12:00:00Z"})


@pytest.mark.parametrize(
    "contest",
    [
        replace(CONTEST, answer_id=ORDER),
        replace(CONTEST, packet=a_packet()),
        replace(CONTEST, packet=None),
        replace(CONTEST, packet=a_packet(consumption=replace(TOLD, share=100_001))),
    ],
)
def test_what_google_could_not_take_is_known_before(contest: Any) -> None:
    assert answer.problems(CONTEST) == ()
    assert answer.problems(contest)


def test_a_wrong_token_a_wrong_key_and_an_unknown_order_are_refused() -> None:
    desk = GoogleDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        forged = drive(answer, replace(CONTEST, answer_id="prt-forged"), api).refused
        wrong = drive(answer, CONTEST, ApiCredentials("ya29.other", running.url)).refused
        unknown = drive(answer, replace(CONTEST, dispute_id="GPA.1"), api).refused
    assert forged == Refused(code="INVALID_ARGUMENT", told="The pending refund token is invalid.")
    assert wrong is not None
    assert wrong.code == "UNAUTHENTICATED"
    assert unknown is not None
    assert unknown.code == "NOT_FOUND"
    assert not desk.taken


@pytest.mark.parametrize(
    "changes",
    [
        {"dispute_id": "GPA.1/../2"},
        {"dispute_id": ""},
        {"dispute_id": "GPA.1:refund"},
        {"account": "main"},
        {"account": "a.b/orders"},
    ],
)
def test_an_id_that_is_none_of_googles_reaches_no_address(changes: dict[str, Any]) -> None:
    for ask in (
        lambda: answer.standing_request(replace(CONTEST, **changes), ApiCredentials(KEY)),
        lambda: answer.next_step(replace(CONTEST, **changes), {}, ApiCredentials(KEY)),
    ):
        with pytest.raises(Unreadable):
            ask()


@FUZZ
@given(answers("orderId", "state", "error"))
def test_no_answer_brings_it_down(garbage: ApiAnswer) -> None:
    holds(answer, CONTEST, [answer.next_step(CONTEST, {}, ApiCredentials(KEY))], garbage)
