"""Mercado Pago: what is special to how its chargebacks are answered."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import mercadopago  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from mercadopago.http import HttpClient  # type: ignore[import-untyped]

from shared.domain.answers import Done, Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Unreadable
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item
from shared.domain.money import Money
from shared.providers.mercadopago import answer
from tests.providers.answering.driving import NOW, a_contest, a_document, a_packet, accepting, drive, standing
from tests.providers.answering.garbage import FUZZ, answers, holds
from tests.simulator.answering.mercadopago import MercadoPagoDesk
from tests.simulator.desks import open_desk

KEY = "APP_USR-1361656468033953-022522-ours-406841956"
DOCUMENTS = (a_document("usage.pdf"), a_document("terms.pdf", Item.POLICY))
CONTEST = a_contest("217000061680860000", packet=a_packet(documents=DOCUMENTS))


def test_all_documents_go_in_one_call_once() -> None:
    desk = MercadoPagoDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert standing(answer, CONTEST, api) is Standing.WAITS
        assert drive(answer, CONTEST, api).refused is None
        again = drive(answer, CONTEST, api).refused
        assert standing(answer, CONTEST, api) is Standing.ANSWERED
    (taken,) = desk.taken
    assert taken.told == {"usage.pdf": "application/pdf", "terms.pdf": "application/pdf"}
    assert again is not None
    # The word comes of a case that is past its time as well: whether this one is answered is read back.
    assert (again.code, again.stands) == ("documentation_already_submitted", False)


def test_a_chargeback_past_its_time_is_over_and_told_in_the_same_word() -> None:
    desk = MercadoPagoDesk(KEY)
    desk.open(replace(CONTEST, respond_by=NOW - timedelta(seconds=1)))
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        refused = drive(answer, CONTEST, api).refused
        assert standing(answer, CONTEST, api) is Standing.OVER
    assert refused is not None
    assert refused.code == "documentation_already_submitted"
    assert not desk.taken


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        ((), "missing_files"),
        ((a_document(data=b""),), "empty_file"),
        (tuple(a_document(f"{n}.pdf") for n in range(11)), "too_many_files"),
        (tuple(a_document(f"{n}.pdf", data=b"x" * 5_000_001) for n in range(2)), "file_size_exceeded"),
        ((a_document(media_type="text/html"),), "unsupported_file_type"),
    ],
)
def test_what_mercado_pago_refuses_is_known_before_and_not_taken(documents: Any, code: str) -> None:
    contest = replace(CONTEST, packet=a_packet(documents=documents))
    desk = MercadoPagoDesk(KEY)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        refused = drive(answer, contest, ApiCredentials(KEY, running.url)).refused
    assert refused is not None
    assert refused.code == code
    assert not desk.taken
    assert answer.problems(contest)


def test_nothing_can_be_accepted_and_no_claim_or_part_is_answered() -> None:
    assert answer.problems(CONTEST) == ()
    assert answer.problems(accepting(CONTEST))
    assert answer.problems(replace(CONTEST, stage=DisputeStage.INQUIRY))
    assert answer.problems(replace(CONTEST, contested=Money(1, "EUR")))
    assert answer.problems(replace(CONTEST, fee=Money(1, "EUR")))
    with pytest.raises(Unreadable):
        answer.next_step(accepting(CONTEST), {}, ApiCredentials(KEY))


def test_the_seller_is_the_account_or_else_the_one_in_the_token() -> None:
    def seller(account: str, key: str) -> str | None:
        return answer.standing_request(replace(CONTEST, account=account), ApiCredentials(key)).headers.get(
            "X-Caller-Id"
        )

    assert seller("99887766", KEY) == "99887766"
    assert seller("main", KEY) == "406841956"
    assert seller("shop-99887766", "APP_USR-of-nobody") is None


def test_a_wrong_token_and_another_seller_are_refused() -> None:
    desk = MercadoPagoDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        wrong = drive(answer, CONTEST, ApiCredentials("APP_USR-1-406841956", running.url)).refused
        other = drive(answer, replace(CONTEST, account="99887766"), ApiCredentials(KEY, running.url)).refused
        unknown = replace(CONTEST, answer_id="1")
        assert standing(answer, unknown, ApiCredentials(KEY, running.url)) is Standing.UNKNOWN
    assert wrong == Refused(code="unauthorized", told="unauthorized")
    assert other is not None
    assert other.code == "invalid_user_for_operation"


def test_the_official_library_reads_a_chargeback_at_the_same_address() -> None:
    class Redirected(HttpClient):  # type: ignore[misc]
        def get(self, url: str, headers: Any, **more: Any) -> Any:
            # The library has no place for who calls, so the seller is put beside what it sends itself.
            headers = {**headers, "X-Caller-Id": "406841956"}
            return super().get(url.replace("https://api.mercadopago.com", running.url), headers, **more)

    desk = MercadoPagoDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert standing(answer, CONTEST, api) is Standing.WAITS
        library = mercadopago.SDK(KEY, http_client=Redirected())
        read = library.chargeback().get(CONTEST.answer_id)
    assert read["response"]["documentation_status"] == "pending"
    ours, theirs = running.calls
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert ours.headers["authorization"] == theirs.headers["authorization"]


@pytest.mark.parametrize("own", ["", "claim-5", "CHB01J", "1/documentation", "1?x", "1" * 33, "١"])
def test_an_id_that_is_no_chargebacks_reaches_no_address(own: str) -> None:
    with pytest.raises(Unreadable):
        answer.standing_request(replace(CONTEST, answer_id=own), ApiCredentials(KEY))
    with pytest.raises(Unreadable):
        answer.next_step(replace(CONTEST, answer_id=own), {}, ApiCredentials(KEY))


@FUZZ
@given(answers("id", "status", "documentation_status", "coverage_applied", "error", "message"))
def test_no_answer_brings_it_down(garbage: ApiAnswer) -> None:
    holds(answer, CONTEST, [answer.next_step(CONTEST, {}, ApiCredentials(KEY))], garbage)


def test_an_empty_success_is_one_and_a_page_is_none() -> None:
    step = answer.next_step(CONTEST, {}, ApiCredentials(KEY))
    assert step is not None
    assert answer.read_step(CONTEST, step, ApiAnswer(200, b"")) == Done(value=CONTEST.answer_id)
    with pytest.raises(Unreadable):
        answer.read_step(CONTEST, step, ApiAnswer(200, b"<html>"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"documentation_status": "invalid"}, Standing.ANSWERED),
        ({"documentation_status": "not_applicable"}, Standing.OVER),
        ({"documentation_status": "review_pending", "coverage_applied": True}, Standing.OVER),
        ({"documentation_status": "pending", "status": "settled"}, Standing.OVER),
        ({"documentation_status": "a_new_word"}, Standing.UNKNOWN),
        ({}, Standing.UNKNOWN),
    ],
)
def test_papers_are_read_as_the_docs_explain_them(told: dict[str, Any], expected: Standing) -> None:
    body = json.dumps({"id": int(CONTEST.answer_id), **told}).encode()
    assert answer.read_standing(CONTEST, ApiAnswer(200, body)) is expected
