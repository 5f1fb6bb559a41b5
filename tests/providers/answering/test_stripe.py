"""What only Stripe has: staging, compelling evidence, a compliance case's fee, appeals; and its own library as the oracle."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
import stripe

from shared.domain.answers import Act, Contest, Refused, Standing
from shared.domain.api import ApiAnswer
from shared.domain.errors import Unreadable
from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.evidence import Item, Packet
from shared.domain.money import Money
from shared.providers.stripe import answer
from tests.simulator.answering import NOON, Caller, a_contest, a_document, a_packet, accepting, play
from tests.simulator.answering.stripe import COMPELLING, EXAMPLE, KEY, StripeDesk
from tests.simulator.desks import RunningDesk, open_desk


@pytest.fixture
def desk() -> StripeDesk:
    found = StripeDesk()
    found.open(EXAMPLE)
    return found


@pytest.fixture
def running(desk: StripeDesk) -> Iterator[RunningDesk]:
    with open_desk(desk, now=NOON) as found:
        yield found


def told(contest: Contest, running: RunningDesk) -> dict[str, str]:
    """The fields with which it was submitted."""
    played = play(Caller(answer, running.url, KEY), contest)
    assert played.refused is None
    return dict(parse_qsl(played.steps[-1].request.body.decode()))


def test_every_item_goes_where_stripe_asks_for_it(running: RunningDesk) -> None:
    fields = told(EXAMPLE, running)
    assert fields["submit"] == "true"
    assert fields["evidence[customer_purchase_ip]"] == "203.0.113.7"
    assert fields["evidence[product_description]"] == "A monthly subscription to a film service."
    assert fields["evidence[service_date]"] == "2026-10-01"
    assert fields["evidence[refund_policy_disclosure]"].startswith("Version 7")
    assert "Login: Account 4711" in fields["evidence[access_activity_log]"]
    assert "Authentication: 3-D Secure" in fields["evidence[uncategorized_text]"]
    assert fields["evidence[service_documentation]"].startswith("file_")
    assert fields["evidence[uncategorized_file]"].startswith("file_")
    every = " ".join(value for name, value in fields.items() if "enhanced" not in name)
    assert EXAMPLE.packet is not None
    assert all(text in every for text in EXAMPLE.packet.texts.values())


def test_of_a_canceled_subscription_the_policy_is_that_of_cancellations(desk: StripeDesk, running: RunningDesk) -> None:
    packet = a_packet(documents=(a_document(Item.POLICY),))
    canceled = a_contest("du_canceled", reason=DisputeReason.CANCELED, packet=packet)
    desk.open(canceled)
    fields = told(canceled, running)
    assert fields["evidence[cancellation_policy]"].startswith("file_")
    assert fields["evidence[cancellation_policy_disclosure]"].startswith("Version 7")


def test_an_address_that_is_none_goes_into_no_field_for_addresses(desk: StripeDesk, running: RunningDesk) -> None:
    contest = a_contest("du_noip", packet=a_packet(texts={Item.PURCHASE_IP: "an address in Berlin"}))
    desk.open(contest)
    fields = told(contest, running)
    assert "evidence[customer_purchase_ip]" not in fields
    assert fields["evidence[uncategorized_text]"] == "an address in Berlin"


CE3 = "evidence[enhanced_evidence][visa_compelling_evidence_3]"


def test_compelling_evidence_names_two_earlier_charges_and_what_is_alike(running: RunningDesk) -> None:
    fields = told(EXAMPLE, running)
    # The charge of a payment intent was read; a charge stands for itself.
    assert fields[f"{CE3}[prior_undisputed_transactions][0][charge]"] == "ch_0001Prior"
    assert fields[f"{CE3}[prior_undisputed_transactions][1][charge]"] == "ch_0002Prior"
    assert fields[f"{CE3}[disputed_transaction][merchandise_or_services]"] == "services"
    for name in ("customer_purchase_ip", "customer_device_id", "customer_account_id", "product_description"):
        assert fields[f"{CE3}[disputed_transaction][{name}]"]


def compelling(**changes: Any) -> Packet:
    """With the same changes in all three payments."""
    disputed, *priors = (replace(one, **changes) for one in (COMPELLING.disputed, *COMPELLING.priors))
    return a_packet(compelling=replace(COMPELLING, disputed=disputed, priors=tuple(priors)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"network": "mastercard"}, "another network"),
        ({"reason_code": "13.1"}, "another reason"),
        ({"packet": a_packet(compelling=replace(COMPELLING, priors=COMPELLING.priors[:1]))}, "one earlier payment"),
        ({"packet": compelling(ip=None, device_id=None)}, "only the account alike"),
        ({"packet": compelling(ip=None, device_id="14-characters-")}, "a device's id that is too short"),
        ({"packet": compelling(product=None)}, "nobody says what was sold"),
        ({"packet": compelling(provider="adyen")}, "payments at another provider"),
    ],
)
def test_without_stripes_form_the_ordinary_evidence_goes_alone(
    desk: StripeDesk, running: RunningDesk, changes: dict[str, Any], why: str
) -> None:
    contest = replace(EXAMPLE, **changes)
    desk.open(contest)
    assert not any(name.startswith(CE3) for name in told(contest, running)), why


def test_a_device_and_an_account_that_are_alike_are_enough(desk: StripeDesk, running: RunningDesk) -> None:
    contest = replace(EXAMPLE, packet=compelling(ip=None, device_id="15-characters--"))
    desk.open(contest)
    fields = told(contest, running)
    assert fields[f"{CE3}[disputed_transaction][customer_device_id]"] == "15-characters--"
    assert f"{CE3}[disputed_transaction][customer_purchase_ip]" not in fields


def test_a_compliance_case_is_contested_only_when_somebody_agreed_to_its_fee(
    desk: StripeDesk, running: RunningDesk
) -> None:
    costly = replace(EXAMPLE, fee=Money(50_000, "USD"))
    desk.open(costly)
    assert answer.problems(costly)
    # Whoever sent it all the same would be refused.
    assert play(Caller(answer, running.url, KEY), costly).refused is not None
    agreed = replace(costly, acknowledged=True, key="b" * 40)
    assert answer.problems(agreed) == ()
    assert told(agreed, running)["evidence[enhanced_evidence][visa_compliance][fee_acknowledged]"] == "true"
    assert answer.problems(replace(agreed, network="amex"))


def test_an_appeal_is_one_text_and_its_files(desk: StripeDesk, running: RunningDesk) -> None:
    appeal = replace(EXAMPLE, stage=DisputeStage.PRE_ARBITRATION)
    desk.open(appeal)
    fields = told(appeal, running)
    assert {re.sub(r"\[\d+\]", "", name) for name in fields} == {
        "evidence[appeal][card][reason_for_filing]",
        "evidence[appeal][card][supporting_files]",
        "submit",
    }


def test_texts_that_are_too_long_are_told_before(running: RunningDesk) -> None:
    at_most = a_packet(texts={Item.PRODUCT: "x" * 20_000}, documents=())
    assert answer.problems(replace(EXAMPLE, packet=at_most)) == ()
    too_long = a_packet(texts={Item.PRODUCT: "x" * 20_001}, documents=())
    assert len(answer.problems(replace(EXAMPLE, packet=too_long))) == 1


def test_nineteen_pages_are_all_that_mastercard_takes() -> None:
    long = a_packet(documents=(replace(a_document(Item.USAGE), pages=20),))
    assert answer.problems(replace(EXAMPLE, packet=long)) == ()
    assert answer.problems(replace(EXAMPLE, network="mastercard", packet=long))


def test_where_two_are_at_work_on_one_key_nothing_is_decided() -> None:
    step = answer.next_step(EXAMPLE, {}, Caller(answer, "http://desk.test", KEY).api)
    assert step is not None
    with pytest.raises(Unreadable):
        answer.read_step(EXAMPLE, step, ApiAnswer(409, b'{"error": {"code": "idempotency_key_in_use"}}'))


def a_dispute(status: str, **details: object) -> ApiAnswer:
    shown = {"due_by": 1796300000, "submission_count": 0, "past_due": False, **details}
    body = {"id": EXAMPLE.answer_id, "object": "dispute", "status": status, "evidence_details": shown}
    return ApiAnswer(200, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("act", "answered", "standing"),
    [
        (Act.SUBMIT, a_dispute("needs_response"), Standing.WAITS),
        # An inquiry that was answered and came back as a chargeback: past_due is about the inquiry.
        (Act.SUBMIT, a_dispute("needs_response", submission_count=1, past_due=True), Standing.WAITS),
        (Act.SUBMIT, a_dispute("needs_response", due_by=None), Standing.OVER),
        (Act.SUBMIT, a_dispute("warning_needs_response"), Standing.OVER),  # it was a chargeback that was to be answered
        (Act.SUBMIT, a_dispute("under_review", submission_count=1), Standing.ANSWERED),
        (Act.SUBMIT, a_dispute("under_review"), Standing.OVER),
        (Act.SUBMIT, a_dispute("lost"), Standing.OVER),
        (Act.ACCEPT, a_dispute("lost"), Standing.ANSWERED),
        (Act.ACCEPT, a_dispute("lost", past_due=True), Standing.OVER),
        (Act.SUBMIT, a_dispute("prevented"), Standing.OVER),
        (Act.SUBMIT, a_dispute("a_new_word"), Standing.UNKNOWN),
        (Act.SUBMIT, ApiAnswer(404, b"{}"), Standing.UNKNOWN),
    ],
)
def test_what_stripe_says_of_a_dispute_is_where_it_stands(act: Act, answered: ApiAnswer, standing: Standing) -> None:
    assert answer.read_standing(replace(EXAMPLE, act=act), answered) is standing


def test_a_request_for_another_account_names_it(running: RunningDesk) -> None:
    step = answer.next_step(replace(EXAMPLE, account="acct_1Other"), {}, Caller(answer, running.url, KEY).api)
    assert step is not None
    assert step.request.headers["Stripe-Context"] == "acct_1Other"


def test_a_refusal_is_told_without_personal_data() -> None:
    step = answer.next_step(accepting(EXAMPLE), {}, Caller(answer, "http://desk.test", KEY).api)
    assert step is not None
    said = b'{"error": {"code": "parameter_invalid", "message": "4242424242424242 of ann@example.com is no text"}}'
    outcome = answer.read_step(EXAMPLE, step, ApiAnswer(400, said))
    assert isinstance(outcome, Refused)
    assert outcome.code == "parameter_invalid"
    assert "4242" not in outcome.told
    assert "ann@" not in outcome.told


def test_stripes_own_library_sends_what_we_send(desk: StripeDesk, running: RunningDesk) -> None:
    ours = play(Caller(answer, running.url, KEY), EXAMPLE)
    other = replace(EXAMPLE, dispute_id="du_ofTheLibrary", answer_id="du_ofTheLibrary")
    desk.open(other)
    client = stripe.StripeClient(KEY, base_addresses={"api": running.url, "files": running.url}, max_network_retries=0)
    document = io.BytesIO(b"%PDF-1.4 of the library")
    file = client.v1.files.create(params={"purpose": "dispute_evidence", "file": document})
    fields = dict(parse_qsl(ours.steps[-1].request.body.decode()))
    evidence = nested({name: file.id if value.startswith("file_") else value for name, value in fields.items()})[
        "evidence"
    ]
    staged = client.v1.disputes.update(other.answer_id, params={"evidence": evidence, "submit": False})
    assert staged.status == "needs_response"
    client.v1.disputes.update(other.answer_id, params={"evidence": evidence, "submit": True})
    theirs = [call for call in running.calls if call.path == f"/v1/disputes/{other.answer_id}"]
    assert [call.method for call in theirs] == ["POST", "POST"]
    submitted = dict(parse_qsl(theirs[-1].body.decode()))
    assert set(submitted) == set(fields)
    assert {name: value for name, value in submitted.items() if not value.startswith("file_")} == {
        name: value for name, value in fields.items() if not value.startswith("file_")
    }
    for name in ("authorization", "content-type", "idempotency-key", "stripe-version"):
        assert name in theirs[-1].headers
        assert name in {header.lower() for header in ours.steps[-1].request.headers}
    accepted = replace(other, dispute_id="du_closed", answer_id="du_closed")
    desk.open(accepted)
    assert client.v1.disputes.close(accepted.answer_id).status == "lost"
    assert [taken.act for taken in desk.taken] == [Act.SUBMIT, Act.SUBMIT, Act.ACCEPT]


def nested(fields: dict[str, str]) -> Any:
    """`a[b][0]` as the library's callers write it."""
    root: dict[str, Any] = {}
    for name, value in fields.items():
        *path, last = re.findall(r"[^\[\]]+", name)
        place = root
        for key in path:
            place = place.setdefault(key, {})
        place[last] = value
    return _with_lists(root)


def _with_lists(thing: Any) -> Any:
    if not isinstance(thing, dict):
        return thing
    inner = {key: _with_lists(value) for key, value in thing.items()}
    return list(inner.values()) if inner and all(key.isdigit() for key in inner) else inner
