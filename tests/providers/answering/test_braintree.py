"""What only Braintree has: XML, categories, and a key of three parts; its own library as the oracle."""

import importlib
import io
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from shared.domain.answers import Done, Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Misconfigured
from shared.domain.evidence import Item
from shared.providers.braintree import answer
from tests.simulator.answering import NOON, PDF, Caller, a_document, a_packet, accepting, multipart_parts, play
from tests.simulator.answering.braintree import EXAMPLE, KEY, MERCHANT, PRIVATE, PUBLIC, BraintreeDesk
from tests.simulator.desks import open_desk


@pytest.mark.parametrize("code", ["1040", "10.4", None])
def test_of_fraud_every_piece_has_a_category_and_an_earlier_payment_is_told(code: str | None) -> None:
    contest = replace(EXAMPLE, reason_code=code)
    desk = BraintreeDesk()
    desk.open(contest)
    with open_desk(desk, now=NOON) as running:
        assert play(Caller(answer, running.url, KEY), contest).refused is None
    told = desk.taken[0].told
    assert told["PRIOR_NON_DISPUTED_TRANSACTION_ID"] == "g6tx9d1"
    assert told["PRIOR_NON_DISPUTED_TRANSACTION_DATE_TIME"] == "2026-05-11T12:00:00Z"
    assert told["PRIOR_NON_DISPUTED_TRANSACTION_IP_ADDRESS"] == "203.0.113.7"
    assert told["PROOF_OF_POSSESSION_OR_USAGE"] == "file"
    assert "3-D Secure" in told["GENERAL"] or told["GENERAL"] == "file"


def test_of_other_reasons_no_category_is_named() -> None:
    contest = replace(EXAMPLE, reason_code="12.6.1")
    desk = BraintreeDesk()
    desk.open(contest)
    with open_desk(desk, now=NOON) as running:
        assert play(Caller(answer, running.url, KEY), contest).refused is None
    assert set(desk.taken[0].told) == {"evidence1", "evidence2", "evidence3"}


def test_more_documents_than_categories_are_a_problem_only_where_there_are_categories() -> None:
    three = tuple(a_document(Item.USAGE, name=f"plays{at}.pdf") for at in range(3))
    packet = a_packet(documents=three)
    assert answer.problems(replace(EXAMPLE, packet=packet))
    assert answer.problems(replace(EXAMPLE, reason_code="12.6.1", packet=packet)) == ()


def test_texts_come_through_xml_as_they_are() -> None:
    text = 'Tom & Ann\'s <plan> "gold" \u2013 \u4e2d\U0001f3ac and a \x00 byte'
    contest = replace(EXAMPLE, reason_code="13.6", packet=a_packet(texts={Item.PLAN: text}, documents=()))
    desk = BraintreeDesk()
    desk.open(contest)
    with open_desk(desk, now=NOON) as running:
        assert play(Caller(answer, running.url, KEY), contest).refused is None
    assert desk.taken[0].told["evidence1"] == text.replace("\x00", "\ufffd")


def test_a_piece_that_is_there_already_is_done() -> None:
    """The answer to the first was lost; Braintree takes one of a category."""
    desk = BraintreeDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        played = play(caller, EXAMPLE, until=lambda step: step.name == "prior-id")
        step = answer.next_step(EXAMPLE, played.done, caller.api)
        assert step is not None
        first = answer.read_step(EXAMPLE, step, caller.send(step.request))
        again = answer.read_step(EXAMPLE, step, caller.send(step.request))
    assert isinstance(first, Done)
    assert isinstance(again, Done)


def test_a_finalize_that_comes_second_is_refused_with_braintrees_code() -> None:
    desk = BraintreeDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        played = play(caller, EXAMPLE)
        outcome = answer.read_step(EXAMPLE, played.steps[-1], caller.send(played.steps[-1].request))
        assert caller.standing(EXAMPLE) is Standing.ANSWERED
    assert isinstance(outcome, Refused)
    assert outcome.code == "95705"
    assert len(desk.taken) == 1


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("open", Standing.WAITS),
        ("disputed", Standing.ANSWERED),
        ("accepted", Standing.OVER),
        ("auto_accepted", Standing.OVER),
        ("expired", Standing.OVER),
        ("lost", Standing.OVER),
        ("unheard_of", Standing.UNKNOWN),
    ],
)
def test_what_braintree_says_of_a_dispute_is_where_it_stands(status: str, standing: Standing) -> None:
    body = f"<dispute><id>{EXAMPLE.answer_id}</id><status>{status}</status></dispute>".encode()
    assert answer.read_standing(EXAMPLE, ApiAnswer(200, body)) is standing
    if status in ("accepted", "auto_accepted"):
        found = answer.read_standing(accepting(EXAMPLE), ApiAnswer(200, body))
        assert found is (Standing.ANSWERED if status == "accepted" else Standing.OVER)


@pytest.mark.parametrize("key", ["", "merchant", "merchant:public", "a/b:public:private", "mer chant:a:b"])
def test_a_key_that_is_not_all_three_is_an_operators_turn(key: str) -> None:
    with pytest.raises(Misconfigured) as error:
        answer.standing_request(EXAMPLE, ApiCredentials(key=key))
    assert "private" not in str(error.value).replace("<private key>", "")


def test_braintrees_own_library_sends_what_we_send() -> None:
    braintree = importlib.import_module("braintree")
    environments = importlib.import_module("braintree.environment")
    desk = BraintreeDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        ours = play(Caller(answer, running.url, KEY), EXAMPLE).steps
        desk.open(EXAMPLE)
        before = len(running.calls)
        port = running.url.rpartition(":")[2]
        environment = environments.Environment("desk", "127.0.0.1", port, "", False, None)
        gateway = braintree.BraintreeGateway(braintree.Configuration(environment, MERCHANT, PUBLIC, PRIVATE))
        assert gateway.dispute.find(EXAMPLE.answer_id).status == "open"
        for step in ours:
            fields = _fields(step.request.body)
            if step.name.startswith("upload-"):
                _, name, _, data = next(
                    part for part in multipart_parts(step.request.headers["Content-Type"], step.request.body) if part[1]
                )
                upload = gateway.document_upload.create(
                    {"kind": braintree.DocumentUpload.Kind.EvidenceDocument, "file": _named(name, data)}
                )
                assert upload.is_success
            elif "document_upload_id" in fields:
                request = {"document_id": upload.document_upload.id, "category": fields["category"]}
                assert gateway.dispute.add_file_evidence(EXAMPLE.answer_id, request).is_success
            elif "comments" in fields:
                request = {"content": fields["comments"], "category": fields["category"]}
                assert gateway.dispute.add_text_evidence(EXAMPLE.answer_id, request).is_success
        assert gateway.dispute.finalize(EXAMPLE.answer_id).is_success
        assert not gateway.dispute.finalize(EXAMPLE.answer_id).is_success
        theirs = running.calls[before:-1]
    assert [(call.method, call.path) for call in theirs] == [
        (step.request.method, step.request.url.removeprefix(running.url)) for step in ours
    ]
    for call, step in zip(theirs, ours, strict=True):
        sent = {name.lower(): value for name, value in step.request.headers.items()}
        for name in ("authorization", "accept", "x-apiversion"):
            assert call.headers[name] == sent[name]
        if not step.name.startswith("upload-"):
            ids = {"document_upload_id": ""}
            assert {**_fields(call.body), **ids} == {**_fields(step.request.body), **ids}


def _fields(body: bytes) -> dict[str, str]:
    if not body.startswith(b"<evidence>"):
        return {}
    return {one.tag: one.text for one in ElementTree.fromstring(body) if one.text}


def _named(name: str, data: bytes) -> object:
    file = io.BytesIO(data or PDF)
    file.name = name
    return file
