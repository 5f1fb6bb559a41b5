"""Checkout.com: what is special to how its disputes are answered."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.answers import Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Unreadable
from shared.domain.events import DisputeStage
from shared.domain.evidence import CompellingEvidence, Item, Purchase
from shared.domain.money import Money
from shared.providers.checkout import answer
from tests.providers.answering.driving import (
    A_PDF,
    A_PNG,
    NOW,
    a_contest,
    a_document,
    a_packet,
    accepting,
    drive,
    standing,
)
from tests.providers.answering.garbage import FUZZ, answers, holds
from tests.simulator.answering.checkout import CheckoutDesk
from tests.simulator.desks import open_desk

KEY = "sk_a-key-of-ours"
CONTEST = a_contest("dsp_9rjdlsd4epepfjyyf9vl", network="visa", reason_code="10.4")


def a_purchase(number: int) -> Purchase:
    return Purchase(
        provider="checkout",
        payment_id=f"pay_{number}",
        at=NOW - timedelta(days=100 + number),
        amount=Money(1999, "EUR"),
        network_reference=f"7400{number}",
        ip="198.51.100.7",
        device_id="device-of-fifteen-and-more",
        login="subscriber-1",
        product="Streaming, a month",
    )


COMPELLING = CompellingEvidence(
    rule="visa_ce3", disputed=a_purchase(0), priors=(a_purchase(1), a_purchase(2)), matched=("ip", "device", "login")
)


def test_evidence_is_uploaded_staged_and_submitted_once() -> None:
    desk = CheckoutDesk(KEY)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert standing(answer, CONTEST, api) is Standing.WAITS
        driven = drive(answer, CONTEST, api)
        assert standing(answer, CONTEST, api) is Standing.ANSWERED
        again = drive(answer, CONTEST, api)
    assert driven.refused is None
    assert [call.method + call.path for call in running.calls[1:4]] == [
        "POST/files",
        "PUT/disputes/dsp_9rjdlsd4epepfjyyf9vl/evidence",
        "POST/disputes/dsp_9rjdlsd4epepfjyyf9vl/evidence",
    ]
    (taken,) = desk.taken
    assert taken.told["proof_of_delivery_or_service_text"] == "Product: Streaming, a month\n\nUsage: Played 41 hours."
    assert desk.files[taken.told["proof_of_delivery_or_service_file"]] == "usage.pdf"
    assert again.refused == Refused(code="dispute_status_invalid", told="dispute_status_invalid")
    assert A_PDF in running.calls[1].body


def test_a_dispute_is_accepted_once() -> None:
    desk, contest = CheckoutDesk(KEY), accepting(CONTEST)
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = ApiCredentials(KEY, running.url)
        assert drive(answer, contest, api).refused is None
        assert drive(answer, contest, api).refused is not None
        assert standing(answer, contest, api) is Standing.ANSWERED
    assert len(desk.taken) == 1


def test_compelling_evidence_goes_into_its_own_fields_for_visas_fraud_alone() -> None:
    contest = replace(CONTEST, packet=a_packet(compelling=COMPELLING))
    desk = CheckoutDesk(KEY)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        assert drive(answer, contest, ApiCredentials(KEY, running.url)).refused is None
    told = desk.cases[contest.answer_id].draft["compelling_evidence"]
    assert [one["historical_arn"] for one in told["historical_transactions"]] == ["74001", "74002"]
    assert (told["ip_address"], told["user_id"]) == ("198.51.100.7", "subscriber-1")
    for other in (
        replace(contest, network="mastercard"),
        replace(contest, reason_code="13.1"),
        replace(contest, packet=a_packet(compelling=replace(COMPELLING, priors=(a_purchase(1),)))),
        replace(
            contest,
            packet=a_packet(
                compelling=replace(COMPELLING, priors=(a_purchase(1), replace(a_purchase(2), network_reference=None)))
            ),
        ),
    ):
        assert b"compelling_evidence" not in draft_of(other)


def draft_of(contest: Any) -> bytes:
    done = {f"file-{one.digest[:16]}": "file_1" for one in contest.packet.documents}
    step = answer.next_step(contest, done, ApiCredentials(KEY))
    assert step is not None
    return step.request.body


@pytest.mark.parametrize(
    ("contest", "code"),
    [
        (replace(CONTEST, respond_by=NOW - timedelta(seconds=1)), "dispute_status_invalid"),
        (replace(CONTEST, packet=a_packet(documents=(a_document(media_type="text/html"),))), "file_type_not_supported"),
        (replace(CONTEST, packet=a_packet(documents=(a_document(data=b"x" * 4_000_001),))), "file_size_invalid"),
        (
            replace(CONTEST, packet=a_packet(texts={Item.USAGE: "x" * 501})),
            "proof_of_delivery_or_service_text_length_invalid",
        ),
        (replace(CONTEST, packet=a_packet(texts={})), "evidence_required"),
    ],
)
def test_what_checkout_refuses_is_told_and_not_taken(contest: Any, code: str) -> None:
    desk = CheckoutDesk(KEY)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        driven = drive(answer, contest, ApiCredentials(KEY, running.url))
    assert driven.refused is not None
    assert driven.refused.code == code
    assert not desk.taken
    if contest.respond_by > NOW:
        assert answer.problems(contest), "known before it is sent"


def test_a_wrong_key_and_an_unknown_dispute_are_refused() -> None:
    desk = CheckoutDesk(KEY)
    with open_desk(desk, NOW) as running:
        wrong = drive(answer, CONTEST, ApiCredentials("sk_another", running.url)).refused
        unknown = drive(answer, accepting(CONTEST), ApiCredentials(KEY, running.url)).refused
        assert standing(answer, CONTEST, ApiCredentials(KEY, running.url)) is Standing.UNKNOWN
    assert wrong == Refused(code="401")
    assert unknown == Refused(code="404")


def test_a_full_packet_has_no_problems_and_each_document_a_place_of_its_own() -> None:
    documents = tuple(a_document(f"{number}.pdf", Item.USAGE) for number in range(8))
    contest = replace(CONTEST, packet=a_packet(documents=documents))
    assert answer.problems(contest) == ()
    assert draft_of(contest).count(b"_file") == 8
    assert answer.problems(replace(contest, packet=a_packet(documents=(*documents, a_document("9.pdf")))))


@pytest.mark.parametrize(
    ("network", "documents"),
    [
        ("mastercard", (a_document(pages=20),)),
        ("mastercard", tuple(a_document(f"{n}.pdf", data=A_PDF + b"x" * 3_700_000) for n in range(4))),
        ("amex", (a_document("usage.png", media_type="image/png", data=A_PNG),)),
        ("amex", tuple(a_document(f"{n}.pdf") for n in range(6))),
        ("amex", (a_document(pages=21),)),
        ("discover", (a_document(data=A_PDF + b"x" * 3_000_001),)),
    ],
)
def test_a_networks_own_limits_hold(network: str, documents: Any) -> None:
    assert answer.problems(replace(CONTEST, network=network, packet=a_packet(documents=documents)))
    assert not answer.problems(replace(CONTEST, network="visa", packet=a_packet(documents=documents)))


def test_a_long_text_gives_way_to_the_document_that_shows_it() -> None:
    packet = a_packet(texts={Item.USAGE: "x" * 900, Item.PRODUCT: "A month"}, documents=(a_document(),))
    assert answer.problems(replace(CONTEST, packet=packet)) == ()
    assert "Usage: see usage.pdf" in draft_of(replace(CONTEST, packet=packet)).decode()


def test_every_item_has_a_field_and_blank_evidence_is_none() -> None:
    assert {item for items in answer.FIELDS.values() for item in items} == set(Item)
    assert answer.problems(replace(CONTEST, packet=a_packet(texts={Item.PAYMENT: " "})))


def test_an_arbitration_and_a_missing_packet_are_for_a_person() -> None:
    assert answer.problems(replace(CONTEST, stage=DisputeStage.ARBITRATION))
    assert answer.problems(replace(CONTEST, packet=None))
    assert answer.problems(accepting(CONTEST)) == ()


@FUZZ
@given(st.text(max_size=30).filter(lambda text: not text.startswith("dsp_")))
def test_an_id_that_is_none_of_checkouts_reaches_no_address(own: str) -> None:
    contest = replace(CONTEST, answer_id=own)
    for ask in (
        lambda: answer.standing_request(contest, ApiCredentials(KEY)),
        lambda: answer.next_step(contest, {}, ApiCredentials(KEY)),
    ):
        with pytest.raises(Unreadable):
            ask()


@pytest.mark.parametrize("own", ["dsp_a/../../payments", "dsp_a?x=1", "dsp_a\n", "dsp_é", "dsp_" + "a" * 61])
def test_an_id_with_an_address_in_it_is_none(own: str) -> None:
    with pytest.raises(Unreadable):
        answer.standing_request(replace(CONTEST, answer_id=own), ApiCredentials(KEY))


@FUZZ
@given(answers("id", "status", "error_type", "error_codes"))
def test_no_answer_brings_it_down(garbage: ApiAnswer) -> None:
    api = ApiCredentials(KEY)
    accept = answer.next_step(accepting(CONTEST), {}, api)
    upload = answer.next_step(CONTEST, {}, api)
    holds(answer, CONTEST, [accept, upload], garbage)


def test_what_the_provider_tells_is_masked() -> None:
    told = ApiAnswer(
        422, b'{"error_type": "request_invalid", "error_codes": ["card 4242 4242 4242 4242 of a@b.example"]}'
    )
    step = answer.next_step(accepting(CONTEST), {}, ApiCredentials(KEY))
    assert step is not None
    outcome = answer.read_step(CONTEST, step, told)
    assert isinstance(outcome, Refused)
    assert "4242 4242" not in outcome.told
    assert "a@b.example" not in outcome.told
    assert "4242" not in repr(outcome)


def test_statuses_are_read_as_the_docs_explain_them() -> None:
    def read(status: str) -> Standing:
        return answer.read_standing(
            CONTEST, ApiAnswer(200, f'{{"id": "{CONTEST.answer_id}", "status": "{status}"}}'.encode())
        )

    assert read("evidence_required") is Standing.WAITS
    assert read("accepted") is Standing.ANSWERED
    assert read("expired") is Standing.OVER
    assert read("a_new_word") is Standing.UNKNOWN
    with pytest.raises(Unreadable):
        answer.read_standing(CONTEST, ApiAnswer(200, b'{"id": "dsp_another", "status": "won"}'))
