import base64
import contextlib
import dataclasses
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unavailable, Unreadable
from shared.domain.events import (
    AnyEvent,
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.domain.pseudonyms import NAME, unkeyed
from shared.fraud.claims import DisputeClaim
from shared.providers import load
from shared.providers.kit.protocol import Normalized
from shared.providers.kit.unmapped import unmapped
from shared.providers.paypal import api
from shared.providers.paypal import webhook as paypal
from tests.providers.kits import SAMPLES, Kit, a_fact, a_kit, an_attempt
from tests.simulator.facts import FactKind

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
CREDENTIALS = Credentials(keys={"main": "1AB23456CD789012E"}, account="ours")
SIGNED = SAMPLES / "paypal" / "signed"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit("paypal", tmp_path_factory.mktemp("paypal"))


# Genuine deliveries


@pytest.mark.parametrize("name", ["v1_python_sdk", "v2_java_sslutil", "v3_java_validatecert"])
def test_what_paypal_really_signed_verifies_and_its_old_certificate_is_no_longer_trusted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not SIGNED.exists():
        pytest.skip("the folder of real payloads is absent")
    told = json.loads((SIGNED / f"{name}.headers.json").read_bytes())
    sent_at = datetime.fromisoformat(told["transmission_time"])
    headers = {f"paypal-{key.replace('_', '-')}": told[key] for key in told if key.startswith(("transmission", "auth"))}
    # The Java fixture's URL is made up, and no part of what is signed; its path would rightly be refused.
    headers["paypal-cert-url"] = told["cert_url"].replace("/notifications/test", "/notifications/certs/test")
    delivery = Delivery("paypal", (SIGNED / f"{name}.body.json").read_bytes(), headers, sent_at + timedelta(minutes=1))
    leaf = (SIGNED / told["cert"]).read_bytes()
    credentials = Credentials(keys={"other": "8PT597110X687430LKGECATA", "its": told["webhook_id"]})

    def verify(delivery: Delivery, credentials: Credentials = credentials) -> Verdict:
        return paypal.verify(delivery, credentials, lambda url: leaf)

    with pytest.raises(SignatureInvalid, match="chain"):
        verify(delivery)
    # The fixture holds the leaf without its issuer, so no chain can be built: here the signature alone is proved.
    monkeypatch.setattr(paypal, "_public_key", lambda *_: x509.load_pem_x509_certificate(leaf).public_key())
    assert verify(delivery) == Verdict(key_ids=("its",), signed_at=sent_at, unsigned=paypal.UNSIGNED)
    reserialised = dataclasses.replace(delivery, body=json.dumps(json.loads(delivery.body)).encode())
    with pytest.raises(SignatureInvalid, match="no signature matches"):
        verify(reserialised)
    with pytest.raises(SignatureInvalid, match="no signature matches"):
        verify(delivery, dataclasses.replace(credentials, keys={"other": "8PT597110X687430LKGECATA"}))


# A body of the same CRC-32


def of_the_same_crc(body: bytes, as_in: bytes) -> bytes:
    """`body`, an object, with a member more that gives it the CRC-32 of `as_in`, as anybody can make it: a CRC is
    affine, so enough bits in which letters may differ span every value."""
    head, tail = body[:-1] + b',"pad":"', b'"}'
    plain = b"@" * 64
    wanted = zlib.crc32(head + plain + tail) ^ zlib.crc32(as_in)
    basis: dict[int, tuple[int, int]] = {}
    for bit in range(128):
        place, change = divmod(bit, 2)
        changed = bytearray(plain)
        changed[place] ^= 1 << change  # '@' becomes a letter
        moved, made_of = zlib.crc32(head + changed + tail) ^ zlib.crc32(head + plain + tail), 1 << bit
        while moved:
            top = moved.bit_length()
            if top not in basis:
                basis[top] = (moved, made_of)
                break
            moved, made_of = moved ^ basis[top][0], made_of ^ basis[top][1]
    bits = 0
    while wanted:
        moved, made_of = basis[wanted.bit_length()]
        wanted, bits = wanted ^ moved, bits ^ made_of
    padding = bytes(64 ^ ((bits >> 2 * place) & 3) for place in range(64))
    return head + padding + tail


@pytest.mark.parametrize("kind", [FactKind.CAPTURED, FactKind.REFUNDED, FactKind.DISPUTE_OPENED])
def test_another_body_of_the_same_crc_moves_no_money_no_deadline_no_id_and_no_label(kit: Kit, kind: FactKind) -> None:
    genuine = kit.signed(kit.simulator.requests(a_fact(kind))[0])
    (poke,) = kit.normalize(genuine, kit.verify(genuine)).events
    whole = json.loads(genuine.body)
    rich = {"value": "99999.00", "currency_code": "USD"}
    whole["resource"] |= {"amount": rich, "dispute_amount": rich, "seller_response_due_date": "2036-01-01T00:00:00Z"}
    whole["resource"] |= {"id": "ANOTHERPAYMENT", "reason": "UNAUTHORISED", "status": "RESOLVED"}
    for kind_told in (whole["event_type"], "PAYMENT.CAPTURE.REVERSED", "CUSTOMER.DISPUTE.RESOLVED"):
        told = json.dumps({**whole, "event_type": kind_told, "create_time": "2036-01-01T00:00:00Z"}).encode()
        forged = dataclasses.replace(genuine, body=of_the_same_crc(told, genuine.body))
        verdict = kit.verify(forged)  # PayPal's scheme cannot tell it apart
        with contextlib.suppress(Unreadable):
            for event in kit.normalize(forged, verdict).events:
                assert isinstance(event, ResourceChanged)
                assert kit.told(event) == kit.told(poke)


def test_an_event_that_paypal_does_not_know_is_told_by_nobody(kit: Kit) -> None:
    genuine = kit.signed(kit.simulator.requests(a_fact(FactKind.CAPTURED))[0])
    invented = json.dumps({**json.loads(genuine.body), "id": "WH-INVENTED"}).encode()
    forged = dataclasses.replace(genuine, body=of_the_same_crc(invented, genuine.body))
    (poke,) = kit.normalize(forged, kit.verify(forged)).events
    assert isinstance(poke, ResourceChanged)
    with pytest.raises(AssertionError, match="404"):
        kit.answered(poke)


# Certificates


def delivered(kit: Kit, **headers: str) -> Delivery:
    delivery = kit.signed(kit.bodies()[0], NOON)
    return dataclasses.replace(delivery, headers={**delivery.headers, **headers})


def test_a_certificate_url_of_paypals_is_followed_by_either_host(kit: Kit) -> None:
    for host in ("api.sandbox.paypal.com", "api-m.sandbox.paypal.com", "api.sandbox.paypal.com:443"):
        url = f"https://{host}/v1/notifications/certs/CERT-simulated-current"
        assert kit.verify(delivered(kit, **{"paypal-cert-url": url}))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.sandbox.paypal.com/v1/notifications/certs/C",
        "https://api.paypal.com/v1/notifications/certs/C",
        "https://api.sandbox.paypal.com.evil.example/v1/notifications/certs/C",
        "https://evilpaypal.com/v1/notifications/certs/C",
        "https://evil.example/api.sandbox.paypal.com/v1/notifications/certs/C",
        "https://api.sandbox.paypal.com@evil.example/v1/notifications/certs/C",
        "https://user@api.sandbox.paypal.com/v1/notifications/certs/C",
        "https://api.sandbox.paypal.com:8443/v1/notifications/certs/C",
        "https://api.sandbox.paypal.com/v1/notifications/certs/../../oauth2/C",
        "https://api.sandbox.paypal.com/v1/notifications/certs/..",
        "https://api.sandbox.paypal.com/v1/notifications/certs/%2e%2e",
        "https://api.sandbox.paypal.com/v1/notifications/certs/",
        "https://api.sandbox.paypal.com/v1/notifications/certs/C?u=https://evil.example",
        "https://api.sandbox.paypal.com/v1/notifications/certs/C#x",
        "https://api.sandbox.paypal.com\\@evil.example/v1/notifications/certs/C",
        "https://api.sandbox.paypal.com/v1/notifications/certs/C\nx",
        "https://api\u3002sandbox.paypal.com/v1/notifications/certs/C",
        "https://www.sandbox.paypal.com/v1/notifications/certs/C",
        "//api.sandbox.paypal.com/v1/notifications/certs/C",
        "file:///etc/passwd",
    ],
)
def test_any_other_certificate_url_is_refused_and_never_fetched(kit: Kit, url: str) -> None:
    def fetch(url: str) -> bytes:
        raise AssertionError("fetched")

    with pytest.raises(SignatureInvalid) as refusal:
        paypal.verify(delivered(kit, **{"paypal-cert-url": url}), kit.credentials, fetch)
    assert refusal.value.reason == "untrusted_certificate_url"


def test_a_live_endpoint_takes_no_sandbox_certificate_and_the_reverse(kit: Kit) -> None:
    live = dataclasses.replace(kit.credentials, live=True)
    with pytest.raises(SignatureInvalid) as refusal:
        kit.verify(delivered(kit), live)
    assert refusal.value.reason == "untrusted_certificate_url"
    url = "https://api.paypal.com/v1/notifications/certs/CERT-simulated-current"
    with pytest.raises(SignatureInvalid) as refusal:
        kit.verify(delivered(kit, **{"paypal-cert-url": url}), live)
    assert refusal.value.reason == "untrusted_certificate"


def test_an_old_delivery_costs_no_fetch(kit: Kit) -> None:
    def fetch(url: str) -> bytes:
        raise AssertionError("fetched")

    with pytest.raises(SignatureInvalid):
        paypal.verify(dataclasses.replace(delivered(kit), received_at=NOON + timedelta(days=4)), kit.credentials, fetch)


def test_a_certificate_that_cannot_be_had_is_for_later(kit: Kit) -> None:
    def fetch(url: str) -> bytes:
        raise Unavailable("down")

    with pytest.raises(Unavailable):
        paypal.verify(delivered(kit), kit.credentials, fetch)


@pytest.mark.parametrize(
    "pem", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"]
)
def test_a_certificate_that_is_none_is_refused(kit: Kit, pem: bytes) -> None:
    with pytest.raises(SignatureInvalid) as refusal:
        paypal.verify(delivered(kit), kit.credentials, lambda url: pem)
    assert refusal.value.reason == "untrusted_certificate"


def a_certificate(
    name: str = "messageverificationcerts.sandbox.paypal.com",
    *,
    issuer: tuple[Any, x509.Name] | None = None,
    key: Any = None,
    start: datetime = NOON - timedelta(days=30),
    end: datetime = NOON + timedelta(days=30),
    authority: bool = False,
    issuer_at: str | None = None,
) -> tuple[Any, x509.Certificate]:
    key = key or generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, by = issuer or (key, subject)
    builder = (
        x509.CertificateBuilder(issuer_name=by, subject_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer_at:
        where = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer_at)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
    if authority:
        usage = [False] * 9
        usage[5] = usage[6] = True
        builder = builder.add_extension(x509.KeyUsage(*usage), critical=True).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
    return key, builder.sign(signer, SHA256())


@pytest.fixture(scope="module")
def root() -> tuple[Any, x509.Certificate]:
    return a_certificate("a root", authority=True)


def signed_by(
    key: Any,
    certificates: list[x509.Certificate],
    root: x509.Certificate,
    live: bool = False,
    elsewhere: dict[str, bytes] | None = None,
) -> Callable[[], Verdict]:
    """A delivery signed by `key`, whose certificate URL serves `certificates`, at an endpoint that trusts `root`.

    elsewhere: what other URLs serve; any that is not there must not be asked for.
    """
    body, stamp = b"{}", "2026-05-01T12:00:00Z"
    message = f"id-1|{stamp}|{CREDENTIALS.keys['main']}|{zlib.crc32(body)}".encode()
    signature = key.sign(message, PKCS1v15(), SHA256()) if isinstance(key, RSAPrivateKey) else b"x"
    headers = {
        "paypal-transmission-id": "id-1",
        "paypal-transmission-time": stamp,
        "paypal-transmission-sig": base64.b64encode(signature).decode(),
        "paypal-cert-url": f"https://api.{'' if live else 'sandbox.'}paypal.com/v1/notifications/certs/C",
        "paypal-auth-algo": "SHA256withRSA",
    }
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
    credentials = dataclasses.replace(CREDENTIALS, trust=root.public_bytes(Encoding.PEM), live=live)
    served = elsewhere if elsewhere is not None else {}
    served[headers["paypal-cert-url"]] = pem
    return lambda: paypal.verify(Delivery("paypal", body, headers, NOON), credentials, served.__getitem__)


def test_a_chain_through_an_intermediate_is_followed(root: tuple[Any, x509.Certificate]) -> None:
    middle_key, middle = a_certificate("a middle", issuer=(root[0], root[1].subject), authority=True)
    key, leaf = a_certificate(issuer=(middle_key, middle.subject))
    assert signed_by(key, [leaf, middle], root[1])().key_ids == ("main",)
    with pytest.raises(SignatureInvalid):
        signed_by(key, [leaf], root[1])()


ISSUER_AT = "http://cacerts.digicert.com/DigiCertSHA2ExtendedValidationServerCA.crt"


def test_a_certificate_served_without_its_issuer_names_where_that_is(root: tuple[Any, x509.Certificate]) -> None:
    middle_key, middle = a_certificate("a middle", issuer=(root[0], root[1].subject), authority=True)
    key, leaf = a_certificate(issuer=(middle_key, middle.subject), issuer_at=ISSUER_AT)
    issuer = {ISSUER_AT.replace("http:", "https:"): middle.public_bytes(Encoding.DER)}
    assert signed_by(key, [leaf], root[1], elsewhere=issuer)().key_ids == ("main",)
    assert signed_by(key, [leaf, middle], root[1])().key_ids == ("main",)


@pytest.mark.parametrize("served", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----"])
def test_an_issuer_that_is_none_leads_to_no_root(root: tuple[Any, x509.Certificate], served: bytes) -> None:
    middle_key, middle = a_certificate("a middle", issuer=(root[0], root[1].subject), authority=True)
    key, leaf = a_certificate(issuer=(middle_key, middle.subject), issuer_at=ISSUER_AT)
    with pytest.raises(SignatureInvalid) as refusal:
        signed_by(key, [leaf], root[1], elsewhere={ISSUER_AT.replace("http:", "https:"): served})()
    assert refusal.value.reason == "untrusted_certificate"


def test_an_issuer_that_cannot_be_had_is_for_later(root: tuple[Any, x509.Certificate]) -> None:
    class Down(dict[str, bytes]):
        def __missing__(self, url: str) -> bytes:
            raise Unavailable("down")

    middle_key, middle = a_certificate("a middle", issuer=(root[0], root[1].subject), authority=True)
    key, leaf = a_certificate(issuer=(middle_key, middle.subject), issuer_at=ISSUER_AT)
    with pytest.raises(Unavailable):
        signed_by(key, [leaf], root[1], elsewhere=Down())()


def test_an_issuer_whom_no_root_knows_is_refused(root: tuple[Any, x509.Certificate]) -> None:
    stranger_key, stranger = a_certificate("a stranger", authority=True)
    key, leaf = a_certificate(issuer=(stranger_key, stranger.subject), issuer_at=ISSUER_AT)
    issuer = {ISSUER_AT.replace("http:", "https:"): stranger.public_bytes(Encoding.DER)}
    with pytest.raises(SignatureInvalid) as refusal:
        signed_by(key, [leaf], root[1], elsewhere=issuer)()
    assert refusal.value.reason == "untrusted_certificate"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/computeMetadata/v1/",
        "http://cacerts.digicert.com.evil.example/A.crt",
        "http://cacerts.digicert.com@evil.example/A.crt",
        "http://cacerts.digicert.com:8080/A.crt",
        "http://cacerts.digicert.com/../A.crt",
        "http://cacerts.digicert.com/A.crt?x",
        "ldap://cacerts.digicert.com/A.crt",
    ],
)
def test_an_issuer_is_asked_for_nowhere_else(root: tuple[Any, x509.Certificate], url: str) -> None:
    middle_key, middle = a_certificate("a middle", issuer=(root[0], root[1].subject), authority=True)
    key, leaf = a_certificate(issuer=(middle_key, middle.subject), issuer_at=url)
    with pytest.raises(SignatureInvalid) as refusal:
        signed_by(key, [leaf], root[1])()
    assert refusal.value.reason == "untrusted_certificate"


def test_a_live_certificate_is_named_without_sandbox(root: tuple[Any, x509.Certificate]) -> None:
    key, leaf = a_certificate("messageverificationcerts.paypal.com", issuer=(root[0], root[1].subject))
    assert signed_by(key, [leaf], root[1], live=True)()
    with pytest.raises(SignatureInvalid):
        signed_by(key, [leaf], root[1], live=False)()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "www.sandbox.paypal.com"},
        {"name": "messageverificationcerts.sandbox.paypal.com.evil.example"},
        {"name": "messageverificationcertsxsandbox.paypal.com"},
        {"name": "messageverificationcerts.sandbox.evilpaypal.com"},
        {"end": NOON - timedelta(seconds=1)},
        {"start": NOON + timedelta(seconds=1)},
        {"issuer": None},
        {"key": generate_ec_key(SECP256R1())},
        {"key": generate_private_key(public_exponent=65537, key_size=1024)},  # noqa: S505 - to be refused
        {"authority": True},
    ],
    ids=lambda changes: str(next(iter(changes))),
)
def test_a_certificate_of_another_name_time_issuer_or_kind_is_refused(
    root: tuple[Any, x509.Certificate], changes: dict[str, Any]
) -> None:
    key, leaf = a_certificate(**{"issuer": (root[0], root[1].subject), **changes})
    with pytest.raises(SignatureInvalid) as refusal:
        signed_by(key, [leaf, root[1]], root[1])()
    assert refusal.value.reason == "untrusted_certificate"


@pytest.mark.parametrize(
    "algorithm", ["SHA1withRSA", "sha256withrsa", "SHA512withRSA", "none", "SHA256withRSA, SHA1withRSA"]
)
def test_the_hash_is_never_taken_from_the_header(kit: Kit, algorithm: str) -> None:
    with pytest.raises(SignatureInvalid) as refusal:
        kit.verify(delivered(kit, **{"paypal-auth-algo": algorithm}))
    assert refusal.value.reason == "wrong_algorithm"


def test_public_roots_are_used_where_settings_name_none(kit: Kit) -> None:
    with pytest.raises(SignatureInvalid) as refusal:
        kit.verify(delivered(kit), dataclasses.replace(kit.credentials, trust=None))
    assert refusal.value.reason == "untrusted_certificate"


def test_a_root_that_is_none_is_refused_at_start(kit: Kit) -> None:
    with pytest.raises(Misconfigured, match="PAYIN_PAYPAL_CERTIFICATES"):
        paypal.check_credentials(dataclasses.replace(kit.credentials, trust=b"not a certificate"))


# The table of types


def translated(kind: str, resource: dict[str, Any]) -> Normalized:
    """What such a delivery comes to, its event read back."""
    whole = {"id": "WH-1", "event_type": kind, "create_time": "2026-05-01T12:00:00.000Z", "resource": resource}
    body = json.dumps(whole).encode()
    found = paypal.normalize(Delivery("paypal", body, {}, NOON), Verdict(("main",)), CREDENTIALS)
    (poke,) = found.events
    assert isinstance(poke, ResourceChanged)
    return dataclasses.replace(found, events=api.read_resource(poke, body))


def events(kind: str, resource: dict[str, Any]) -> tuple[AnyEvent, ...]:
    found = translated(kind, resource)
    assert found.unreadable == ()
    return found.events


def payment(kind: str, resource: dict[str, Any]) -> PaymentChanged:
    event = events(kind, resource)[0]
    assert isinstance(event, PaymentChanged)
    return event


def dispute(kind: str = "CUSTOMER.DISPUTE.UPDATED", **changes: Any) -> DisputeChanged:
    resource = {
        "dispute_id": "PP-R-ABC-12345678",
        "disputed_transactions": [{"seller_transaction_id": "CAP1"}],
        "reason": "UNAUTHORISED",
        "external_reason_code": " 10.4",
        "dispute_amount": {"value": "19.99", "currency_code": "EUR"},
        "dispute_life_cycle_stage": "CHARGEBACK",
        "status": "WAITING_FOR_SELLER_RESPONSE",
        "seller_response_due_date": "2026-05-10T06:59:59Z",
        "links": [{"rel": "self", "href": "x"}, {"rel": "provide_evidence", "href": "x"}],
        **changes,
    }
    (event,) = events(kind, resource)
    assert isinstance(event, DisputeChanged)
    return event


def test_fees_are_what_the_seller_was_charged_until_now_less_what_was_given_back() -> None:
    def moved(reason: str, value: str, party: str = "SELLER", way: str = "DEBIT", **changes: Any) -> dict[str, Any]:
        amount = {"value": value, "currency_code": "USD"}
        return {"affected_party": party, "amount": amount, "type": way, "reason": reason, **changes}

    settled, charged = moved("DISPUTE_SETTLEMENT", "24.98"), moved("CHARGEBACK_FEE", "20.00")
    buyers = moved("DISPUTE_SETTLEMENT_FEE", "9.00", party="BUYER", way="CREDIT")
    returned = moved("CHARGEBACK_FEE", "5.00", way="CREDIT")
    assert dispute(money_movements=[settled, charged, buyers]).fees == Money(2000, "USD")
    assert dispute(money_movements=[settled, charged, returned]).fees == Money(1500, "USD")
    assert dispute(money_movements=[settled]).fees is None
    # An amount that cannot be read costs the fees, and not the dispute.
    odd = {"dispute_id": "PP-1", "money_movements": [charged, moved("DISPUTE_FEE", "many")]}
    [event] = translated("CUSTOMER.DISPUTE.UPDATED", odd).events
    assert isinstance(event, DisputeChanged)
    assert (event.fees, event.dispute_id) == (None, "PP-1")


def test_a_dispute_about_several_payments_is_filed_with_one_and_a_person_is_told_of_the_others() -> None:
    def about(*names: str | None) -> dict[str, Any]:
        listed = [{"seller_transaction_id": name} if name else {"reference_id": "R1"} for name in names]
        return {"dispute_id": "PP-1", "status": "OPEN", "disputed_transactions": listed}

    several = translated("CUSTOMER.DISPUTE.CREATED", about(None, "CAP1", "CAP2"))
    assert [line for line in several.unreadable if "several payments" in line]
    (filed,) = several.events
    assert isinstance(filed, DisputeChanged)
    assert filed.payment_id == "CAP1"
    assert translated("CUSTOMER.DISPUTE.CREATED", about("CAP1", "CAP1", None)).unreadable == ()


AMOUNT = {"value": "19.99", "currency_code": "EUR"}
CAPTURE = {
    "id": "CAP1",
    "amount": AMOUNT,
    "invoice_id": "order-1",
    "custom_id": "c=c-1&d=d-1&i=198.51.100.7&n=mit",
    "supplementary_data": {"related_ids": {"order_id": "ORD1"}},
}
UP = {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/CAP1"}
ITSELF = {"rel": "self", "href": "https://api.paypal.com/v2/payments/captures/CAP1"}
SALE = {"id": "SALE1", "amount": {"total": "19.99", "currency": "EUR"}, "parent_payment": "PAY-1"}
SOLD = {"rel": "sale", "href": "https://api.paypal.com/v1/payments/sale/SALE1"}
CAPTURED_V1 = {"rel": "capture", "href": "https://api.paypal.com/v1/payments/capture/CAP1"}
PAID = {"type": "PAYPAL", "payment_id": "PAY1", "payment_date": "2026-05-01", "method": "PAYPAL", "amount": AMOUNT}
BY_HAND = {"type": "EXTERNAL", "payment_id": "EXTR-1", "method": "CASH", "amount": AMOUNT}
BACK = {"type": "PAYPAL", "refund_id": "REF1", "refund_date": "2026-05-02", "amount": AMOUNT}
INVOICE = {
    "id": "INV2-1",
    "detail": {"invoice_number": "#123", "currency_code": "EUR"},
    "payments": {"paid_amount": AMOUNT, "transactions": [BY_HAND, PAID]},
}
INVOICE_V1 = {
    "id": "INV2-1",
    "number": "0001",
    "payments": [{"type": "PAYPAL", "transaction_id": "PAY1", "amount": {"value": "19.99", "currency": "EUR"}}],
}

PAYMENT_TABLE = [
    ("PAYMENT.AUTHORIZATION.CREATED", {"id": "AUTH1", "amount": AMOUNT}, "AUTH1", PaymentStep.AUTHORIZED),
    ("PAYMENT.AUTHORIZATION.VOIDED", {"id": "AUTH1", "amount": AMOUNT}, "AUTH1", PaymentStep.CANCELED),
    ("PAYMENT.CAPTURE.COMPLETED", CAPTURE, "CAP1", PaymentStep.CAPTURED),
    ("PAYMENT.CAPTURE.PENDING", CAPTURE, "CAP1", PaymentStep.PENDING),
    ("PAYMENT.CAPTURE.DECLINED", CAPTURE, "CAP1", PaymentStep.DECLINED),
    ("PAYMENT.CAPTURE.DENIED", CAPTURE, "CAP1", PaymentStep.DECLINED),
    ("PAYMENT.CAPTURE.REFUNDED", {"id": "REF1", "amount": AMOUNT, "links": [UP]}, "CAP1", PaymentStep.REFUNDED),
    ("PAYMENT.CAPTURE.REVERSED", {"id": "REF1", "amount": AMOUNT, "links": [UP]}, "CAP1", PaymentStep.REVERSED),
    ("PAYMENT.CAPTURE.REVERSED", {**CAPTURE, "links": [ITSELF]}, "CAP1", PaymentStep.REVERSED),
    ("PAYMENT.CAPTURE.REVERSED", {**SALE, "id": "R1", "links": [CAPTURED_V1]}, "CAP1", PaymentStep.REVERSED),
    ("PAYMENT.CAPTURE.REFUNDED", {**SALE, "id": "R1", "links": [CAPTURED_V1]}, "CAP1", PaymentStep.REFUNDED),
    ("PAYMENT.CAPTURE.REVERSED", {**SALE, "links": [{**CAPTURED_V1, "rel": "self"}]}, "CAP1", PaymentStep.REVERSED),
    ("PAYMENT.REFUND.PENDING", {"id": "REF1", "amount": AMOUNT, "links": [UP]}, "CAP1", PaymentStep.REFUND_PENDING),
    ("PAYMENT.REFUND.FAILED", {"id": "REF1", "amount": AMOUNT, "links": [UP]}, "CAP1", PaymentStep.REFUND_FAILED),
    ("PAYMENT.SALE.COMPLETED", SALE, "SALE1", PaymentStep.CAPTURED),
    ("PAYMENT.SALE.PENDING", SALE, "SALE1", PaymentStep.PENDING),
    ("PAYMENT.SALE.DENIED", SALE, "SALE1", PaymentStep.DECLINED),
    ("PAYMENT.SALE.REFUNDED", {**SALE, "id": "R1", "sale_id": "SALE1"}, "SALE1", PaymentStep.REFUNDED),
    ("PAYMENT.SALE.REVERSED", {**SALE, "id": "R1", "sale_id": "SALE1"}, "SALE1", PaymentStep.REVERSED),
    ("PAYMENT.SALE.REVERSED", {**SALE, "id": "R1", "links": [SOLD]}, "SALE1", PaymentStep.REVERSED),
    ("PAYMENT.SALE.REVERSED", {**SALE, "links": [{**SOLD, "rel": "self"}]}, "SALE1", PaymentStep.REVERSED),
    ("CHECKOUT.ORDER.APPROVED", {"id": "ORD1", "purchase_units": [{"amount": AMOUNT}]}, "ORD1", PaymentStep.PENDING),
    (
        "CHECKOUT.ORDER.COMPLETED",
        {"id": "ORD1", "purchase_units": [{"payments": {"captures": [{**CAPTURE, "status": "COMPLETED"}]}}]},
        "CAP1",
        PaymentStep.CAPTURED,
    ),
    ("INVOICING.INVOICE.PAID", {"invoice": INVOICE}, "PAY1", PaymentStep.CAPTURED),
    ("INVOICING.INVOICE.PAID", {"invoice": INVOICE_V1}, "PAY1", PaymentStep.CAPTURED),
    (
        "INVOICING.INVOICE.REFUNDED",
        {"invoice": {**INVOICE, "refunds": {"transactions": [BACK]}}},
        "PAY1",
        PaymentStep.REFUNDED,
    ),
    ("CHECKOUT.PAYMENT-APPROVAL.REVERSED", {"order_id": "ORD1", "amount": AMOUNT}, "ORD1", PaymentStep.CANCELED),
    ("CHECKOUT.ORDER.VOIDED", {"id": "ORD1", "amount": AMOUNT}, "ORD1", PaymentStep.CANCELED),
]


@pytest.mark.parametrize(("kind", "resource", "payment_id", "step"), PAYMENT_TABLE)
def test_each_type_tells_its_step_of_the_payment(
    kind: str, resource: dict[str, Any], payment_id: str, step: PaymentStep
) -> None:
    event = payment(kind, resource)
    assert (event.payment_id, event.step, event.amount) == (payment_id, step, Money(1999, "EUR"))
    assert (event.occurred_at, event.method) == (NOON, "paypal")


def test_the_table_above_and_the_adapter_know_the_same_payment_types() -> None:
    tested = {kind for kind, *_ in PAYMENT_TABLE}
    others = {kind for kind in paypal.TYPES if "DISPUTE" in kind or "PAYOUT" in kind}
    assert tested | others == set(paypal.TYPES)


CARD = {"last_digits": "4242", "brand": "VISA", "type": "CREDIT"}


@pytest.mark.parametrize("kind", ["CHECKOUT.ORDER.APPROVED", "CHECKOUT.ORDER.COMPLETED"])
@pytest.mark.parametrize(
    ("source", "last4", "domain", "country"),
    [
        ({"venmo": {"email_address": "ana@m.example", "address": {"country_code": "US"}}}, None, "m.example", "US"),
        ({"blik": {"email": "ana@m.example", "country_code": "PL"}}, None, "m.example", "PL"),
        ({"bancontact": {"name": "Ana Lind", "country_code": "BE", "card_last_digits": "4242"}}, None, None, "BE"),
        ({"apple_pay": {"email_address": "ana@m.example", "card": CARD}}, "4242", "m.example", None),
        ({"google_pay": {"card": CARD | {"billing_address": {"country_code": "SE"}}}}, "4242", None, "SE"),
    ],
)
def test_whoever_pays_by_another_wallet_or_a_bank_is_known_by_what_that_tells(
    kind: str, source: dict[str, Any], last4: str | None, domain: str | None, country: str | None
) -> None:
    event = payment(kind, ORDERS[kind] | {"payment_source": source})
    assert (event.card.last4 if event.card else None, event.email_domain, event.billing_country) == (
        last4,
        domain,
        country,
    )


@pytest.mark.parametrize("wallet", [None, "apple_pay", "google_pay"])
@pytest.mark.parametrize(("status", "expected"), [("Y", "authenticated"), ("R", "failed"), ("U", None)])
def test_a_card_tells_how_its_owner_was_checked(wallet: str | None, status: str, expected: str | None) -> None:
    card = CARD | {"authentication_result": {"three_d_secure": {"authentication_status": status}}}
    source = {wallet: {"card": card}} if wallet else {"card": card}
    event = payment("CHECKOUT.ORDER.APPROVED", ORDERS["CHECKOUT.ORDER.APPROVED"] | {"payment_source": source})
    assert event.three_d_secure == expected


@pytest.mark.parametrize(
    ("customer", "custom", "expected"),
    [
        ({"id": "PP-1", "merchant_customer_id": "c-17"}, "", "c-17"),
        ({"id": "PP-1"}, "", "PP-1"),
        ({"id": "PP-1"}, "c=c-9&n=cit", "c-9"),
    ],
)
def test_whose_a_kept_payment_method_is_and_who_uses_it_is_told_where_we_wrote_neither(
    customer: dict[str, str], custom: str, expected: str
) -> None:
    card = CARD | {
        "attributes": {"vault": {"customer": customer}},
        "stored_credential": {"payment_initiator": "MERCHANT"},
    }
    order = {
        "id": "ORD1",
        "purchase_units": [{"amount": AMOUNT, "custom_id": custom}],
        "payment_source": {"card": card},
    }
    event = payment("CHECKOUT.ORDER.APPROVED", order)
    assert (event.customer_id, event.initiator) == (expected, Initiator.CUSTOMER if custom else Initiator.MERCHANT)


@pytest.mark.parametrize(
    ("recipients", "domain"),
    [
        ({"primary_recipients": [{"billing_info": {"email_address": "ana@m.example"}}]}, "m.example"),
        ({"billing_info": [{"email": "ana@m.example"}]}, "m.example"),
        ({"billing_info": [{"email": "ana@m.example"}, {"email": "bo@m.example"}]}, None),
    ],
)
def test_an_invoice_is_paid_by_the_one_that_it_was_sent_to(recipients: dict[str, Any], domain: str | None) -> None:
    event = payment("INVOICING.INVOICE.PAID", {"invoice": INVOICE | recipients})
    assert event.email_domain == domain


def test_each_payment_of_an_invoice_is_one_of_its_own_and_what_was_paid_elsewhere_is_none() -> None:
    paid = [PAID, {**PAID, "payment_id": "PAY2"}, BY_HAND]
    found = events("INVOICING.INVOICE.PAID", {"invoice": {**INVOICE, "payments": {"transactions": paid}}})
    told = [(one.payment_id, one.reference, one.merchant_reference) for one in found if isinstance(one, PaymentChanged)]
    assert told == [("PAY1", "PAY1", "#123"), ("PAY2", "PAY2", "#123")]
    assert len({one.event_id for one in found}) == 2
    by_hand: dict[str, Any] = {
        "id": "WH-1",
        "event_type": "INVOICING.INVOICE.PAID",
        "create_time": "2026-05-01T12:00:00.000Z",
    }
    by_hand["resource"] = {"invoice": {**INVOICE, "payments": {"transactions": [BY_HAND]}}}
    delivery = Delivery("paypal", json.dumps(by_hand).encode(), {}, NOON)
    assert paypal.normalize(delivery, Verdict(("main",)), CREDENTIALS).events == ()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("INVOICING.INVOICE.PAID", {"payments": {}}),
        (
            "INVOICING.INVOICE.REFUNDED",
            {
                "payments": {"transactions": [PAID, {**PAID, "payment_id": "PAY2"}]},
                "refunds": {"transactions": [BACK]},
            },
        ),
    ],
)
def test_an_invoice_that_does_not_say_which_payment_it_means_is_for_a_person(kind: str, more: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        translated(kind, {"invoice": INVOICE | more})


def test_a_capture_of_an_authorization_also_ends_the_authorization() -> None:
    related = {"related_ids": {"order_id": "ORD1", "authorization_id": "AUTH1"}}
    captured, succeeded = events("PAYMENT.CAPTURE.COMPLETED", {**CAPTURE, "supplementary_data": related})
    assert isinstance(captured, PaymentChanged)
    assert isinstance(succeeded, PaymentChanged)
    assert (captured.payment_id, captured.aliases, captured.reference) == ("CAP1", ("ORD1",), "CAP1")
    assert (succeeded.payment_id, succeeded.step, succeeded.reference) == ("AUTH1", PaymentStep.SUCCEEDED_BY, "CAP1")
    assert captured.event_id != succeeded.event_id
    linked = {**CAPTURE, "links": [{"rel": "up", "href": "https://api.paypal.com/v2/payments/authorizations/AUTH1"}]}
    assert len(events("PAYMENT.CAPTURE.COMPLETED", linked)) == 2
    of_v1 = {"rel": "authorization", "href": "https://api.paypal.com/v1/payments/authorization/AUTH1"}
    assert len(events("PAYMENT.CAPTURE.COMPLETED", {**CAPTURE, "links": [of_v1]})) == 2
    assert len(events("PAYMENT.CAPTURE.DECLINED", {**CAPTURE, "supplementary_data": related})) == 1


ORDERS = {
    "CHECKOUT.ORDER.APPROVED": {"id": "ORD1", "purchase_units": [{"amount": AMOUNT}]},
    "CHECKOUT.ORDER.COMPLETED": {"id": "ORD1", "purchase_units": [{"payments": {"captures": [CAPTURE]}}]},
}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize(
    "payer",
    [
        {"payer": {"email_address": "ana@music.example", "address": {"country_code": "SE"}}},
        {"payment_source": {"paypal": {"email_address": "ana@music.example", "address": {"country_code": "SE"}}}},
    ],
)
def test_an_order_says_who_pays_for_it_until_it_is_paid(kind: str, payer: dict[str, Any]) -> None:
    event = payment(kind, ORDERS[kind] | payer)
    assert (event.email_domain, event.billing_country, event.card) == ("music.example", "SE", None)


@pytest.mark.parametrize("kind", ORDERS)
def test_an_order_says_by_which_card_it_was_paid(kind: str) -> None:
    bin_ = {"bin": "424242", "bin_country_code": "DE"}
    card = {"last_digits": "4242", "brand": "VISA", "type": "CREDIT", "bin_details": bin_}
    event = payment(kind, ORDERS[kind] | {"payment_source": {"card": card}})
    assert event.card == Card(bin="424242", last4="4242", network="visa", funding="credit", country="DE")


def test_our_own_words_travel_in_custom_id_and_anything_else_there_is_nothing() -> None:
    event = payment("PAYMENT.CAPTURE.COMPLETED", CAPTURE)
    assert (event.customer_id, event.device_id, event.ip) == ("c-1", "d-1", "198.51.100.7")
    assert (event.initiator, event.merchant_reference) == (Initiator.MERCHANT, "order-1")
    for words in ("", "invoice 7", "c=&d", "i=999.1.1.1", "&" * 200, 7, None):
        other = payment("PAYMENT.CAPTURE.COMPLETED", {**CAPTURE, "custom_id": words})
        assert (other.customer_id, other.device_id, other.ip, other.initiator) == (None, None, None, None)
    number = payment("PAYMENT.CAPTURE.COMPLETED", {**CAPTURE, "custom_id": "c=4242424242424242&d=d-1"})
    assert (number.customer_id, number.device_id) == (unkeyed(NAME, "4242424242424242"), "d-1")


@pytest.mark.parametrize("kind", paypal.REFUNDS)
def test_a_refund_or_reversal_that_names_no_payment_is_unreadable_and_makes_none_under_its_own_id(kind: str) -> None:
    own = {"rel": "self", "href": "https://api.paypal.com/v1/payments/refund/REF1"}
    for links in ([], [own]):
        with pytest.raises(Unreadable, match=r"resource\.(links|sale_id|payments)"):
            translated(kind, {"id": "REF1", "amount": AMOUNT, "parent_payment": "PAY-1", "links": links})


def test_a_refund_of_a_capture_of_v1_names_it_in_a_member() -> None:
    resource = {"id": "REF1", "capture_id": "CAP1", "amount": {"total": "5.00", "currency": "EUR"}}
    event = payment("PAYMENT.CAPTURE.REFUNDED", resource)
    assert (event.payment_id, event.reference, event.amount) == ("CAP1", "REF1", Money(500, "EUR"))


def test_a_refund_of_v1_is_negative_there_and_positive_here() -> None:
    resource = {**SALE, "id": "R1", "sale_id": "SALE1", "amount": {"total": "-5.00", "currency": "EUR"}}
    event = payment("PAYMENT.SALE.REFUNDED", resource)
    assert (event.amount, event.reference, event.aliases) == (Money(500, "EUR"), "R1", ("PAY-1",))


@pytest.mark.parametrize(
    ("value", "currency", "minor"), [("500", "JPY", 500), ("500", "HUF", 50000), ("0.01", "USD", 1)]
)
def test_amounts_are_decimal_text(value: str, currency: str, minor: int) -> None:
    event = payment("PAYMENT.CAPTURE.COMPLETED", {**CAPTURE, "amount": {"value": value, "currency_code": currency}})
    assert event.amount == Money(minor, currency)


@pytest.mark.parametrize("value", ["1,99", "1.999", "1e1000", "NaN", "", " ", "0x1", [], {}])
def test_an_amount_that_is_no_decimal_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable, match=r"resource\.amount"):
        translated("PAYMENT.CAPTURE.COMPLETED", {**CAPTURE, "amount": {"value": value, "currency_code": "EUR"}})


# Disputes


@pytest.mark.parametrize(
    ("changes", "status", "final"),
    [
        ({"status": "OPEN"}, DisputeStatus.NEEDS_RESPONSE, True),
        ({"status": "WAITING_FOR_SELLER_RESPONSE"}, DisputeStatus.NEEDS_RESPONSE, True),
        ({"status": "WAITING_FOR_BUYER_RESPONSE"}, DisputeStatus.UNDER_REVIEW, True),
        ({"status": "UNDER_REVIEW"}, DisputeStatus.UNDER_REVIEW, True),
        ({"status": None, "dispute_state": "REQUIRED_ACTION"}, DisputeStatus.NEEDS_RESPONSE, True),
        ({"status": "OTHER", "dispute_state": "UNDER_PAYPAL_REVIEW"}, DisputeStatus.UNDER_REVIEW, True),
        (
            {"status": "RESOLVED", "dispute_outcome": {"outcome_code": "RESOLVED_SELLER_FAVOUR"}},
            DisputeStatus.WON,
            True,
        ),
        (
            {"status": "RESOLVED", "dispute_outcome": {"outcome_code": "RESOLVED_BUYER_FAVOUR"}},
            DisputeStatus.LOST,
            True,
        ),
        (
            {
                "status": "RESOLVED",
                "dispute_outcome": {
                    "outcome_code": "RESOLVED_SELLER_FAVOUR",
                    "outcome_reason": "BUYER_CANCELLED_CASE",
                },
            },
            DisputeStatus.CLOSED,
            True,
        ),
        (
            {
                "status": "RESOLVED",
                "dispute_outcome": {
                    "outcome_code": "RESOLVED_SELLER_FAVOUR",
                    "outcome_reason": "CUSTOMER_RECOGNIZES_TRANSACTION",
                },
            },
            DisputeStatus.WON,
            True,
        ),
        ({"status": "RESOLVED", "dispute_outcome": {"outcome_code": "RESOLVED_WITH_PAYOUT"}}, DisputeStatus.WON, False),
        ({"status": "RESOLVED", "dispute_outcome": {"outcome_code": "CANCELED_BY_BUYER"}}, DisputeStatus.CLOSED, True),
        ({"status": "RESOLVED", "dispute_outcome": {"outcome_code": "ACCEPTED"}}, DisputeStatus.ACCEPTED, True),
        (
            {
                "status": "RESOLVED",
                "dispute_state": "APPEALABLE",
                "dispute_outcome": {"outcome_code": "RESOLVED_BUYER_FAVOUR"},
            },
            DisputeStatus.LOST,
            False,
        ),
    ],
)
def test_each_status_and_outcome_is_told(changes: dict[str, Any], status: DisputeStatus, final: bool) -> None:
    event = dispute(**changes)
    assert (event.status, event.final) == (status, final)


def test_where_no_network_tells_a_code_paypals_own_word_is_kept() -> None:
    assert dispute(reason="PROBLEM_WITH_REMITTANCE", external_reason_code=None).reason_code == "PROBLEM_WITH_REMITTANCE"


def test_what_paypal_refunds_itself_disproves_no_fraud() -> None:
    paid_out, found_for_us = (
        dispute(status="RESOLVED", reason="UNAUTHORISED", dispute_outcome={"outcome_code": code})
        for code in ("RESOLVED_WITH_PAYOUT", "RESOLVED_SELLER_FAVOUR")
    )
    assert (DisputeClaim.of(paid_out).disproved, DisputeClaim.of(found_for_us).disproved) == (False, True)


@pytest.mark.parametrize("outcome", ["DENIED", "NONE", None])
def test_an_outcome_that_favours_nobody_is_to_be_read_back(outcome: str | None) -> None:
    found = translated(
        "CUSTOMER.DISPUTE.RESOLVED", {"dispute_id": "PP-1", "dispute_outcome": {"outcome_code": outcome}}
    )
    (event,) = found.events
    assert isinstance(event, DisputeChanged)
    assert (event.status, event.final) == (None, False)
    assert "read it back" in found.unreadable[0]


@pytest.mark.parametrize("stage", list(DisputeStage))
def test_each_stage_is_told(stage: DisputeStage) -> None:
    assert dispute(dispute_life_cycle_stage=stage.value.upper()).stage is stage


def test_a_dispute_names_payment_reason_deadline_and_what_can_be_done() -> None:
    event = dispute("RISK.DISPUTE.CREATED")
    assert (event.dispute_id, event.payment_id, event.amount) == ("PP-R-ABC-12345678", "CAP1", Money(1999, "EUR"))
    assert (event.reason, event.reason_code) == (DisputeReason.FRAUD, "10.4")
    assert event.respond_by == datetime(2026, 5, 10, 6, 59, 59, tzinfo=UTC)
    assert (event.respond_by_text, event.can_respond) == ("2026-05-10T06:59:59Z", True)
    assert dispute(links=[{"rel": "self", "href": "x"}]).can_respond is False
    assert dispute(links=[]).can_respond is None


def test_a_deadline_without_a_zone_is_read_as_the_earliest_that_it_can_mean() -> None:
    event = dispute(seller_response_due_date="2026-05-20")
    assert (event.respond_by, event.respond_by_text) == (datetime(2026, 5, 19, 10, tzinfo=UTC), "2026-05-20")


@pytest.mark.parametrize("due", ["next Friday", 7])
def test_a_deadline_that_cannot_be_read_does_not_hide_its_dispute(due: Any) -> None:
    resource = {"dispute_id": "PP-1", "status": "OPEN", "seller_response_due_date": due}
    found = translated("CUSTOMER.DISPUTE.CREATED", resource)
    (event,) = found.events
    assert isinstance(event, DisputeChanged)
    assert (event.status, event.respond_by) == (DisputeStatus.NEEDS_RESPONSE, None)
    assert found.unreadable == ("resource.seller_response_due_date: neither an instant nor a date",)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("MERCHANDISE_OR_SERVICE_NOT_RECEIVED", DisputeReason.NOT_RECEIVED),
        ("MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED", DisputeReason.NOT_AS_DESCRIBED),
        ("CREDIT_NOT_PROCESSED", DisputeReason.CREDIT_NOT_PROCESSED),
        ("DUPLICATE_TRANSACTION", DisputeReason.DUPLICATE),
        ("CANCELED_RECURRING_BILLING", DisputeReason.CANCELED),
        ("INCORRECT_AMOUNT", DisputeReason.OTHER),
    ],
)
def test_each_reason_is_told_in_our_words(word: str, reason: DisputeReason) -> None:
    assert dispute(reason=word).reason is reason


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        (
            "CUSTOMER.DISPUTE.UPDATED",
            {
                "dispute_id": "PP-1",
                "status": "OPEN",
                "disputed_transactions": [{"buyer": {"payer_id": "X"}, "seller_protection_type": "X"}],
                "fund_movements": [{"party": "SELLER"}],
            },
        ),
        (
            "PAYMENT.CAPTURE.REFUNDED",
            {"id": "REF1", "capture_id": "CAP1", "amount": AMOUNT, "payer": {"merchant_id": "X"}, "links": [UP]},
        ),
    ],
)
def test_what_paypal_documents_is_no_news(kind: str, resource: dict[str, Any]) -> None:
    whole = {"id": "WH-1", "event_type": kind, "create_time": "2026-05-01T12:00:00.000Z", "resource": resource}
    delivery = Delivery("paypal", json.dumps(whole).encode(), {}, NOON)
    assert unmapped(load("paypal"), delivery, translated(kind, resource)) == ()


def test_payouts_are_told() -> None:
    item = {
        "payout_item_id": "P1",
        "transaction_status": "SUCCESS",
        "payout_item": {"amount": {"value": "1.00", "currency": "USD"}},
    }
    (paid,) = events("PAYMENT.PAYOUTS-ITEM.SUCCEEDED", item)
    assert isinstance(paid, PayoutChanged)
    assert (paid.payout_id, paid.status, paid.amount) == ("P1", "SUCCESS", Money(100, "USD"))
    referenced = {"item_id": "I1", "processing_state": {"status": "SUCCESS"}, "payout_amount": AMOUNT}
    (paid,) = events("PAYMENT.REFERENCED-PAYOUT-ITEM.COMPLETED", referenced)
    assert isinstance(paid, PayoutChanged)
    assert paid.amount == Money(1999, "EUR")


def test_an_id_that_paypal_really_gave_is_not_mistaken_for_a_card_number() -> None:
    whole = {"id": "WH-2MW4820926242972J-6SG447389E205703U", "event_type": "BILLING.PLAN.CREATED"}
    found = paypal.normalize(Delivery("paypal", json.dumps(whole).encode(), {}, NOON), Verdict(()), CREDENTIALS)
    assert found.ignored == ("BILLING.PLAN.CREATED",)


def test_an_authorization_that_the_simulator_captures_goes_on_under_the_capture(kit: Kit) -> None:
    for number in range(40):
        attempt = an_attempt(id=f"attempt-{number}")
        authorized = kit.events(a_fact(FactKind.AUTHORIZED, attempt))
        captured = kit.events(a_fact(FactKind.CAPTURED, attempt))
        assert len(captured) == 1 + len(authorized)
        if authorized:
            assert isinstance(authorized[0], PaymentChanged)
            assert isinstance(captured[1], PaymentChanged)
            assert captured[1].payment_id == authorized[0].payment_id
            return
    raise AssertionError("the simulator never authorizes first")
