"""Razorpay: what is special to how its disputes are answered."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import razorpay  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.answers import Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Unreadable
from shared.domain.evidence import Item
from shared.domain.money import Money
from shared.providers.razorpay import answer
from tests.providers.answering.driving import A_PDF, NOW, a_contest, a_document, a_packet, accepting, drive, standing
from tests.providers.answering.garbage import FUZZ, answers, holds
from tests.simulator.answering.forms import form, object_in
from tests.simulator.answering.razorpay import RazorpayDesk
from tests.simulator.desks import open_desk

KEY = "rzp_test_ours:a-secret-of-ours"
CONTEST = a_contest("disp_AHfqOvkldwsbqt", amount=Money(10000, "INR"))


def test_a_draft_is_checked_before_the_one_submission() -> None:
    desk = RazorpayDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert standing(answer, CONTEST, api) is Standing.WAITS
        driven = drive(answer, CONTEST, api)
        again = drive(answer, CONTEST, api)
        assert standing(answer, CONTEST, api) is Standing.ANSWERED
    assert driven.refused is None
    actions = [(object_in(call) or {})["action"] for call in running.calls if call.method == "PATCH"]
    assert actions == ["draft", "submit", "draft"]
    (taken,) = desk.taken
    assert taken.told["summary"].endswith("Policy: Terms of 2026-01-01 accepted on 2026-10-01.")
    assert taken.told["access_activity_log"] == str(list(desk.documents)[:1])
    assert again.refused is not None
    assert again.refused.stands


def test_an_acceptance_is_read_back_as_lost_and_stands() -> None:
    desk, contest = RazorpayDesk(KEY), accepting(CONTEST)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert drive(answer, contest, api).refused is None
        again = drive(answer, contest, api).refused
        assert standing(answer, contest, api) is Standing.ANSWERED
        assert standing(answer, CONTEST, api) is Standing.OVER, "to whoever wanted to contest it, it is lost"
    assert again is not None
    assert again.stands
    assert len(desk.taken) == 1


@pytest.mark.parametrize(
    ("contest", "told"),
    [
        (replace(CONTEST, respond_by=NOW - timedelta(seconds=1)), "deadline to respond has elapsed"),
        (replace(CONTEST, packet=a_packet()), "one evidence document is required"),
        (replace(CONTEST, packet=a_packet(documents=(a_document(media_type="text/plain"),))), "of type"),
        (replace(CONTEST, contested=Money(10001, "INR")), "cannot be greater than dispute amount"),
        (
            replace(CONTEST, packet=a_packet(documents=(a_document(),), texts={Item.PLAN: "x" * 1001})),
            "may not be greater than 1000",
        ),
    ],
)
def test_what_razorpay_refuses_is_told_and_not_taken(contest: Any, told: str) -> None:
    desk = RazorpayDesk(KEY)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        refused = drive(answer, contest, ApiCredentials(KEY, running.url)).refused
    assert refused is not None
    assert (refused.code, refused.stands) == ("BAD_REQUEST_ERROR", False)
    assert told in refused.told
    assert not desk.taken
    if contest.respond_by > NOW:
        assert answer.problems(contest), "known before it is sent"


def test_a_part_of_the_amount_can_be_fought_for() -> None:
    desk, contest = RazorpayDesk(KEY), replace(CONTEST, contested=Money(4000, "INR"))
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        assert drive(answer, contest, ApiCredentials(KEY, running.url)).refused is None
    assert desk.taken[0].told["amount"] == "4000"
    assert answer.problems(contest) == ()
    assert answer.problems(replace(contest, contested=Money(4000, "EUR")))
    assert answer.problems(replace(contest, contested=Money(0, "INR")))


def test_a_wrong_key_and_an_unknown_dispute_are_refused() -> None:
    desk = RazorpayDesk(KEY)
    with open_desk(desk, NOW) as running:
        wrong = drive(answer, CONTEST, ApiCredentials("rzp_test_ours:another", running.url)).refused
        unknown = drive(answer, accepting(CONTEST), ApiCredentials(KEY, running.url)).refused
        assert standing(answer, CONTEST, ApiCredentials(KEY, running.url)) is Standing.UNKNOWN
    assert wrong is not None
    assert "api key" in wrong.told
    assert unknown is not None
    assert unknown.told == "The id provided does not exist"


def test_the_official_library_sends_the_same_requests() -> None:
    documents = (a_document(),)
    contest = replace(CONTEST, packet=a_packet(documents=documents))
    ours, theirs = RazorpayDesk(KEY), RazorpayDesk(KEY)
    for desk in (ours, theirs):
        desk.open(contest)
    with open_desk(ours, NOW) as us:
        assert drive(answer, contest, ApiCredentials(KEY, us.url)).refused is None
    with open_desk(theirs, NOW) as them:
        client = razorpay.Client(auth=tuple(KEY.split(":")), base_url=them.url)
        sent = ("usage.pdf", io.BytesIO(A_PDF + b"usage.pdf"), "application/pdf")
        uploaded = client.document.create({"file": sent, "purpose": "dispute_evidence"})
        told = {"summary": ours.taken[0].told["summary"], "access_activity_log": [uploaded["id"]]}
        client.dispute.contest(contest.answer_id, {**told, "action": "draft"})
        client.dispute.contest(contest.answer_id, {**told, "action": "submit"})
        with pytest.raises(razorpay.errors.BadRequestError, match="under_review"):
            client.dispute.accept(contest.answer_id)
    assert ours.taken == theirs.taken
    for mine, other in zip(us.calls, them.calls, strict=False):
        assert (mine.method, mine.path, mine.headers["authorization"]) == (
            other.method,
            other.path,
            other.headers["authorization"],
        )
        by_name = {one.name: one for one in form(other)}
        assert {one.name: one for one in form(mine)} == by_name
        assert object_in(mine) == object_in(other)


def test_every_item_has_a_list() -> None:
    assert {item for items in answer.FIELDS.values() for item in items} == set(Item)


def test_each_document_goes_into_the_list_for_the_most_of_what_it_shows() -> None:
    documents = (
        a_document("a.pdf", Item.USAGE, Item.POLICY),
        a_document("b.pdf", Item.MESSAGES),
        a_document("c.pdf", Item.PRIOR_PAYMENTS),
    )
    contest = replace(CONTEST, packet=a_packet(documents=documents))
    done = {f"file-{one.digest[:16]}": f"doc_{place:014d}" for place, one in enumerate(documents)}
    step = answer.next_step(contest, done, ApiCredentials(KEY))
    assert step is not None
    body = step.request.body.decode()
    assert '"access_activity_log":["doc_00000000000000"]' in body
    assert '"customer_communication":["doc_00000000000001"]' in body
    assert '"explanation_letter":["doc_00000000000002"]' in body


@pytest.mark.parametrize(
    "own", ["disp_AHfqOvkldwsbq", "disp_AHfqOvkldwsbqt/accept", "pay_AHfqOvkldwsbqt", "disp_../../payme"]
)
def test_an_id_that_is_none_of_razorpays_reaches_no_address(own: str) -> None:
    with pytest.raises(Unreadable):
        answer.standing_request(replace(CONTEST, answer_id=own), ApiCredentials(KEY))
    with pytest.raises(Unreadable):
        answer.next_step(replace(CONTEST, answer_id=own), {}, ApiCredentials(KEY))


@FUZZ
@given(answers("id", "status", "error"))
def test_no_answer_brings_it_down(garbage: ApiAnswer) -> None:
    api = ApiCredentials(KEY)
    steps = [answer.next_step(accepting(CONTEST), {}, api), answer.next_step(CONTEST, {}, api)]
    holds(answer, CONTEST, steps, garbage)


@FUZZ
@given(st.text(max_size=400))
def test_whatever_a_refusal_says_it_is_short_and_masked(said: str) -> None:
    body = json.dumps({"error": {"code": "BAD_REQUEST_ERROR", "description": f"card 4111111111111111 {said}"}}).encode()
    step = answer.next_step(accepting(CONTEST), {}, ApiCredentials(KEY))
    assert step is not None
    outcome = answer.read_step(CONTEST, step, ApiAnswer(400, body))
    assert isinstance(outcome, Refused)
    assert "4111111111111111" not in outcome.told
    assert len(outcome.told) <= 300


def test_a_success_for_another_dispute_is_read_back() -> None:
    step = answer.next_step(accepting(CONTEST), {}, ApiCredentials(KEY))
    assert step is not None
    with pytest.raises(Unreadable):
        answer.read_step(CONTEST, step, ApiAnswer(200, b'{"id": "disp_AHfqOvkldwsbqx", "status": "lost"}'))
