"""The report of what an adapter does not know."""

import importlib
import json
import string
import subprocess
import sys
import timeit
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared import providers
from shared.domain.delivery import Delivery, Verdict
from shared.domain.errors import Unreadable
from shared.flows.receive_delivery import receive
from shared.providers.braintree import webhook as braintree
from shared.providers.kit.protocol import Normalized
from shared.providers.kit.unmapped import MOST, unmapped
from tests.providers.kits import NOON, Kit, a_fact, a_kit, leaves, put
from tests.providers.shapes import shape_of
from tests.providers.test_contract import samples
from tests.simulator.facts import FactKind

# Members of what a message is wrapped in (a form, a JWS), which is no part of it.
ENVELOPES = {"bt_signature", "protected", "signature"}
ROOT = Path(__file__).resolve().parents[2]
FUZZ = hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", params=providers.names())
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit("stripe", tmp_path_factory.mktemp("stripe"))


def report(kit: Kit, body: bytes) -> tuple[str, ...]:
    """Of a body whose signature does not matter."""
    delivery = Delivery(kit.provider.NAME, body, {}, NOON)
    try:
        normalized = kit.normalize(delivery, Verdict(("k",)))
    except Unreadable as error:
        normalized = Normalized("any", unreadable=(str(error),))
    return unmapped(kit.provider, delivery, normalized)


def a_dispute(kit: Kit, **changes: Any) -> bytes:
    (body, *_) = kit.simulator.requests(a_fact(FactKind.DISPUTE_OPENED))
    event = json.loads(body)
    event["data"]["object"].update(changes)
    return json.dumps(event).encode()


def test_nothing_that_is_sent_is_unknown_but_a_type_that_nobody_documents(kit: Kit) -> None:
    for kind in FactKind:
        for body in kit.simulator.requests(a_fact(kind)):
            told = report(kit, kit.signed(body).body)
            assert all(path.startswith("type=") for path in told), told
            assert told == () or kind is FactKind.UNKNOWN_TYPE


@pytest.mark.parametrize(("name", "file"), samples())
def test_nothing_in_a_real_payload_is_unknown(name: str, file: Path, tmp_path: Path) -> None:
    assert report(a_kit(name, tmp_path), file.read_bytes()) == ()


def free_names(told: Any) -> set[str]:
    """Members that are a map of the merchant's own keys."""
    found = {name for name, inner in told.items() if inner == "*"}
    return found.union(*(free_names(inner) for inner in told.values() if isinstance(inner, dict)))


def test_a_new_field_is_told_by_its_path_wherever_it_is(kit: Kit) -> None:
    free = free_names(json.loads(shape_of(kit.provider.NAME).read_text()))
    for body in kit.bodies():
        delivery = kit.signed(body)
        if not kit.normalize(delivery, Verdict(("k",))).events:
            continue
        for path in leaves(kit.opened(delivery.body)):
            if isinstance(path[-1], str) and path[-1] not in ENVELOPES and not free & {*path[:-1]}:
                tree = kit.opened(delivery.body)
                parent = tree
                for step in path[:-1]:
                    parent = parent[step]
                parent["invented-in-2027"] = "a secret"
                (told,) = report(kit, kit.sealed(tree)) or ("",)
                assert told.endswith("invented-in-2027"), path
                assert told.count("[]") == sum(isinstance(step, int) for step in path), path


def test_a_word_that_no_table_has_is_told_where_it_stands(kit: Kit) -> None:
    words = set(kit.provider.WORDS)
    seen = 0
    for body in kit.bodies():
        whole = kit.signed(body).body
        for path in leaves(kit.opened(whole)):
            named = ".".join(step for step in path if isinstance(step, str))
            if any(named == one or named.endswith(f".{one.partition('.')[2]}") for one in words):
                told = report(kit, kit.changed(whole, path, put("invented_in_2027")))
                seen += any(one.endswith("=invented_in_2027") for one in told)
    assert seen or not words


def test_a_status_and_a_field_that_stripe_adds_are_told_and_the_dispute_is_still_read(stripe: Kit) -> None:
    body = a_dispute(stripe, reason="invented_reason", network_mediation={"opened": True})
    assert report(stripe, body) == ("data.object.network_mediation", "data.object.reason=invented_reason")


@pytest.mark.parametrize(
    ("name", "kind", "path", "word"),
    [
        ("apple", FactKind.CAPTURED, "subtype", "INVENTED"),
        ("apple", FactKind.REFUNDED, "data.signedTransactionInfo.revocationType", "INVENTED"),
        ("gocardless", FactKind.DECLINED, "events[].details.cause", "invented_cause"),
        ("mollie", FactKind.CAPTURED, "type", "payment.invented"),
        ("mercadopago", FactKind.CAPTURED, "type", "invented"),
    ],
)
def test_a_word_that_a_provider_adds_is_told_where_it_stands(
    name: str, kind: FactKind, path: str, word: str, tmp_path: Path
) -> None:
    kit = a_kit(name, tmp_path)
    tree = kit.opened(kit.signed(kit.simulator.requests(a_fact(kind))[0]).body)
    message = tree["signedPayload"]["payload"] if name == "apple" else tree
    *way, last = path.split(".")
    for step in way:
        message = message[step.removesuffix("[]")]
        message = message[0] if step.endswith("[]") else message.get("payload", message)
    message[last] = word
    assert report(kit, kit.sealed(tree)) == (f"{path}={word}",)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("new_reason", "data.object.reason=new_reason"),
        ("Ana Lind, Kungsgatan 1", "data.object.reason=*"),
        ("4242424242424242", "data.object.reason=*"),
        ("ana@music.example", "data.object.reason=*"),
        ("x" * 65, "data.object.reason=*"),
    ],
)
def test_a_word_is_told_only_if_it_is_one(stripe: Kit, word: str, told: str) -> None:
    assert report(stripe, a_dispute(stripe, reason=word)) == (told,)


@pytest.mark.parametrize("key", ["ana@music.example", "4242424242424242", "k4242424242424242", "two words", "", "é"])
def test_a_key_that_could_be_personal_is_told_as_a_star(stripe: Kit, key: str) -> None:
    assert report(stripe, a_dispute(stripe, **{key: 1})) == ("data.object.*",)


def test_a_plain_member_that_became_an_object_is_told_without_what_is_in_it(stripe: Kit) -> None:
    assert report(stripe, a_dispute(stripe, created={"at": 1})) == ("data.object.created.*",)


def test_what_the_merchant_named_is_not_looked_at(stripe: Kit) -> None:
    assert report(stripe, a_dispute(stripe, metadata={"anything": "x", "deep": {"er": [1]}})) == ()


def test_a_report_is_bounded_and_in_order(stripe: Kit) -> None:
    told = report(stripe, a_dispute(stripe, **{f"field_{place:03}": place for place in range(1000)}))
    assert len(told) == MOST
    assert list(told) == sorted(told)
    types = Normalized("any", ignored=tuple(f"new_{place:03}" for place in range(1000)))
    assert len(unmapped(stripe.provider, stripe.signed(a_dispute(stripe)), types)) == MOST


def test_an_undocumented_type_is_told_and_a_documented_one_that_nobody_follows_is_not(stripe: Kit) -> None:
    event = json.loads(a_dispute(stripe))
    for kind, told in (("customer.created", ()), ("customer.exploded", ("type=customer.exploded",))):
        assert report(stripe, json.dumps({**event, "type": kind}).encode()) == told


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("checkout", "card_verified"),
        ("checkout", "issuing_chargeback_processed"),
        ("gocardless", "mandates.active"),
        ("mercadopago", "topic_merchant_order_wh"),
        ("paypal", "BILLING.SUBSCRIPTION.ACTIVATED"),
        ("paypal", "INVOICING.INVOICE.PAID"),
        ("paypal", "VAULT.PAYMENT-TOKEN.CREATED"),
        ("stripe", "customer.subscription.updated"),
    ],
)
def test_a_type_that_every_endpoint_gets_and_nobody_follows_is_no_news(name: str, kind: str) -> None:
    nothing = Delivery(name, b"{}", {}, NOON)
    for told, expected in ((kind, ()), (f"invented.{kind}", (f"type=invented.{kind}",))):
        assert unmapped(providers.load(name), nothing, Normalized("any", ignored=(told,))) == expected


def test_every_kind_of_the_braintree_library_is_followed_or_no_news() -> None:
    kinds = importlib.import_module("braintree").WebhookNotification.Kind
    for kind in {value for name, value in vars(kinds).items() if name[0] != "_"} - set(braintree.OTHERS):
        nothing = Delivery("braintree", b"", {}, NOON)
        assert unmapped(providers.load("braintree"), nothing, Normalized("any", ignored=(kind,))) == (), kind


def test_what_cannot_be_read_is_compared_all_the_same(stripe: Kit) -> None:
    event = json.loads(a_dispute(stripe))
    event["data"]["object"]["sum"] = event["data"]["object"].pop("amount")
    assert report(stripe, json.dumps(event).encode()) == ("data.object.sum",)
    assert report(stripe, b"nothing") == ("*",)


@FUZZ
@given(data=st.data())
def test_no_value_is_ever_told(kit: Kit, data: st.DataObject) -> None:
    whole = kit.signed(data.draw(st.sampled_from(kit.bodies()))).body
    tree = kit.opened(whole)
    paths = list(leaves(tree))
    secret = "Zq" + data.draw(st.text(string.ascii_letters + " @.", min_size=6, max_size=20)) + " qZ"
    for path in data.draw(st.lists(st.sampled_from(paths), max_size=4)):
        value: Any = data.draw(
            st.sampled_from([secret, [secret], {"inner": secret}, [{"inner": [secret]}], 4242424242424242])
        )
        whole = kit.changed(whole, path, put(value)) if path in set(leaves(kit.opened(whole))) else whole
    told = " ".join(report(kit, whole))
    assert "Zq" not in told
    assert "qZ" not in told
    assert "4242424242424242" not in told


class Bus:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def publish(self, messages: Any) -> None:
        self.messages += messages


def test_the_report_is_stored_with_the_delivery_and_counted(stripe: Kit, caplog: pytest.LogCaptureFixture) -> None:
    delivery = stripe.signed(a_dispute(stripe, reason="invented_reason", network_mediation="a secret"))
    bus = Bus()
    with caplog.at_level("INFO", logger="payin"):
        receive(delivery, stripe.provider, stripe.credentials, bus, stripe.fetch)
    row = json.loads(bus.messages[0].data)
    assert row["unknown"] == ["data.object.network_mediation", "data.object.reason=invented_reason"]
    assert row["outcome"] == "accepted"
    (fields,) = (vars(record)["fields"] for record in caplog.records if record.getMessage() == "unmapped")
    assert (fields["provider"], fields["type"], fields["count"]) == ("stripe", "charge.dispute.created", 2)
    assert fields["paths"] == "data.object.network_mediation data.object.reason=invented_reason"
    assert "a secret" not in caplog.text


def test_a_type_that_nobody_ever_listed_is_counted_as_news(stripe: Kit, caplog: pytest.LogCaptureFixture) -> None:
    event = json.loads(a_dispute(stripe)) | {"type": "customer.exploded"}
    with caplog.at_level("INFO", logger="payin"):
        receive(stripe.signed(json.dumps(event).encode()), stripe.provider, stripe.credentials, Bus(), stripe.fetch)
    (fields,) = (vars(record)["fields"] for record in caplog.records if record.getMessage() == "unmapped")
    assert (fields["type"], fields["paths"]) == ("customer.exploded", "type=customer.exploded")


def test_a_batch_with_something_unknown_counts_for_each_of_its_types(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kit = a_kit("gocardless", tmp_path)
    item = {"created_at": "2026-05-01T12:00:00Z", "resource_type": "payments", "links": {"payment": "PM1"}}
    items = [
        {**item, "id": "EV1", "action": "confirmed"},
        {**item, "id": "EV2", "action": "failed", "details": {"cause": "invented_cause"}},
        {**item, "id": "EV3", "action": "confirmed"},
    ]
    body = json.dumps({"events": items, "meta": {"webhook_id": "WB1"}}).encode()
    with caplog.at_level("INFO", logger="payin"):
        receive(kit.signed(body), kit.provider, kit.credentials, Bus(), kit.fetch)
    told = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "unmapped"]
    assert [fields["type"] for fields in told] == ["payments.confirmed", "payments.failed"]
    assert {fields["paths"] for fields in told} == {"events[].details.cause=invented_cause"}


def test_a_delivery_without_anything_unknown_has_an_empty_report_and_no_fact(
    stripe: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    bus = Bus()
    with caplog.at_level("INFO", logger="payin"):
        receive(stripe.signed(a_dispute(stripe)), stripe.provider, stripe.credentials, bus, stripe.fetch)
    assert json.loads(bus.messages[0].data)["unknown"] == []
    assert not [record for record in caplog.records if record.getMessage() == "unmapped"]


def test_a_report_that_fails_costs_nobody_a_delivery(
    stripe: Kit, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.flows.receive_delivery.unmapped", lambda *_: 1 / 0)
    bus = Bus()
    receive(stripe.signed(a_dispute(stripe)), stripe.provider, stripe.credentials, bus, stripe.fetch)
    assert json.loads(bus.messages[0].data)["outcome"] == "accepted"
    assert "unmapped_failed" in caplog.text


def test_comparing_two_kilobytes_takes_a_few_microseconds(stripe: Kit) -> None:
    delivery = stripe.signed(stripe.simulator.requests(a_fact(FactKind.AUTHORIZED))[0])
    normalized = stripe.normalize(delivery, stripe.verify(delivery))
    assert len(delivery.body) > 1500
    best = min(timeit.repeat(lambda: unmapped(stripe.provider, delivery, normalized), number=100, repeat=20)) / 100
    assert best < 100e-6  # about 20 µs; a machine under load is given room


def test_a_webhook_imports_the_adapter_that_it_serves_and_no_other() -> None:
    for name in providers.names():
        code = (
            "import sys; from shared import providers; providers.load(sys.argv[1])\n"
            "print([one for one in providers.names() if f'shared.providers.{one}' in sys.modules])"
        )
        told = subprocess.run(
            [sys.executable, "-c", code, name], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert told.strip() == str([name])
