"""Adapters: µs a delivery to verify it, read it and translate it, beside the provider's own SDK.

Every simulated delivery of a provider, as if it had just come. The SDK verifies and reads the same ones (where it leaves
JSON, a form or the URL to its user, the standard library reads it) and translates nothing; both in turn, in the same
rounds. `report` is the comparison with what is known of the provider's messages. Target: faster than every SDK.
"""

import json
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qs

from rich.console import Console
from rich.progress import track
from rich.table import Table

from shared import providers
from shared.providers.kit.unmapped import unmapped
from tests.providers.kits import NOON, Kit, a_kit
from tests.simulator.facts import SignedRequest

ROUNDS = 25
ALMOST = 0.004  # seconds a round, so that the clock's grain does not show

Read = Callable[[SignedRequest], object]


def stripe(kit: Kit) -> Read:
    from stripe import Webhook

    secret = kit.credentials.keys["current"]
    # The SDK judges age by the clock on the wall, and simulated deliveries are of another day.
    ages = 10**9
    return lambda request: Webhook.construct_event(
        request.body, request.headers["Stripe-Signature"], secret, tolerance=ages
    )


def adyen(kit: Kit) -> Read:
    from Adyen.util import is_valid_hmac_notification

    return lambda request: is_valid_hmac_notification(json.loads(request.body), kit.credentials.keys["current"])


def apple(kit: Kit) -> Read:
    from appstoreserverlibrary.models.Environment import Environment
    from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    root = x509.load_pem_x509_certificate(kit.credentials.trust or b"").public_bytes(Encoding.DER)
    verifier = SignedDataVerifier([root], False, Environment.SANDBOX, kit.credentials.keys["current"])

    def read(request: SignedRequest) -> object:
        told = verifier.verify_and_decode_notification(json.loads(request.body)["signedPayload"])
        if told.data and told.data.signedRenewalInfo:
            verifier.verify_and_decode_renewal_info(told.data.signedRenewalInfo)
        if told.data and told.data.signedTransactionInfo:
            verifier.verify_and_decode_signed_transaction(told.data.signedTransactionInfo)
        return told

    return read


def braintree(kit: Kit) -> Read:
    sdk = import_module("braintree")
    ((public, private), *_) = kit.credentials.keys.items()
    gateway = sdk.BraintreeGateway(
        sdk.Configuration(environment=sdk.Environment.Sandbox, merchant_id="m", public_key=public, private_key=private)
    )

    def read(request: SignedRequest) -> object:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        return gateway.webhook_notification.parse(form["bt_signature"], form["bt_payload"])

    return read


def gocardless(kit: Kit) -> Read:
    webhooks = import_module("gocardless_pro.webhooks")
    secret = kit.credentials.keys["current"]
    return lambda request: webhooks.parse(request.body, secret, request.headers["Webhook-Signature"])


def google(kit: Kit) -> Read:
    id_token = import_module("google.oauth2.id_token")
    from shared.providers.google import webhook as adapter
    from tests.simulator.providers.google import AUDIENCE

    class Kept:
        """Google's certificates, which the library would otherwise fetch for every token."""

        status, data = 200, kit.fetch(adapter.CERTIFICATES)

    def read(request: SignedRequest) -> object:
        token, ages = request.headers["Authorization"].removeprefix("Bearer "), 10**9
        id_token.verify_oauth2_token(token, lambda *_, **__: Kept, AUDIENCE, clock_skew_in_seconds=ages)
        return json.loads(b64decode(json.loads(request.body)["message"]["data"]))

    return read


def mercadopago(kit: Kit) -> Read:
    validator = import_module("mercadopago.webhook").WebhookSignatureValidator

    def read(request: SignedRequest) -> object:
        (own,) = parse_qs(request.path.partition("?")[2])["data.id"]
        validator.validate(
            request.headers["X-Signature"], request.headers["X-Request-Id"], own, kit.credentials.keys["current"]
        )
        return json.loads(request.body)

    return read


def mollie(kit: Kit) -> Read:
    from mollie.utils.webhooks.signature_validator import SignatureValidator

    validator = SignatureValidator(kit.credentials.keys["current"])

    def read(request: SignedRequest) -> object:
        validator.validate_payload(request.body.decode(), request.headers["X-Mollie-Signature"])
        return json.loads(request.body)

    return read


def razorpay(kit: Kit) -> Read:
    utility = import_module("razorpay").Client(auth=("key", "secret")).utility
    secret = kit.credentials.keys["current"]

    def read(request: SignedRequest) -> object:
        utility.verify_webhook_signature(request.body.decode(), request.headers["X-Razorpay-Signature"], secret)
        return json.loads(request.body)

    return read


def square(kit: Kit) -> Read:
    from square.utils.webhooks_helper import verify_signature

    def read(request: SignedRequest) -> object:
        assert verify_signature(
            request_body=request.body.decode(),
            signature_header=request.headers["X-Square-Hmacsha256-Signature"],
            signature_key=kit.credentials.keys["current"],
            notification_url=kit.credentials.url,
        )
        return json.loads(request.body)

    return read


SDKS: dict[str, Callable[[Kit], Read]] = {
    sdk.__name__: sdk
    for sdk in (stripe, adyen, apple, braintree, gocardless, google, mercadopago, mollie, razorpay, square)
}


@dataclass(frozen=True)
class Measured:
    """µs a delivery, the best round of each. `read`: the body opened, beyond what verify has opened of it already."""

    bytes_: float
    verify: float
    read: float
    translate: float
    report: float
    sdk: float | None


def measure(name: str, folder: Path) -> Measured:
    kit = a_kit(name, folder)
    # One key, as on any day but that of a rotation, and as an SDK can take.
    key_id, secret = next(iter(kit.credentials.keys.items()))
    kit = replace(kit, credentials=replace(kit.credentials, keys={key_id: secret}))
    fetch = cache(kit.fetch)  # as the webhook keeps certificates
    requests = [kit.simulator.sign(body, NOON) for body in kit.bodies()]
    deliveries = [kit.delivery(request) for request in requests]
    verdicts = [kit.provider.verify(delivery, kit.credentials, fetch) for delivery in deliveries]
    normalized = [kit.normalize(*pair) for pair in zip(deliveries, verdicts, strict=True)]
    sdk = SDKS[name](kit) if name in SDKS else None

    def verify() -> None:
        for delivery in deliveries:
            kit.provider.verify(delivery, kit.credentials, fetch)

    def read() -> None:
        for delivery in deliveries:
            kit.provider.opened(delivery)

    def translate() -> None:
        for delivery, verdict in zip(deliveries, verdicts, strict=True):
            kit.provider.normalize(delivery, verdict, kit.credentials)

    def report() -> None:
        for delivery, told in zip(deliveries, normalized, strict=True):
            unmapped(kit.provider, delivery, told)

    def theirs() -> None:
        for request in requests:
            assert sdk
            sdk(request)

    steps: list[Callable[[], None]] = [verify, read, translate, report, *([theirs] if sdk else [])]

    def one_after_another() -> list[float]:
        for delivery in deliveries:
            delivery.memo.clear()
        spent = []
        for step in steps:
            begins = time.perf_counter()
            step()
            spent.append(time.perf_counter() - begins)
        return spent

    one_after_another()
    times = max(1, round(ALMOST / sum(one_after_another())))
    rounds = [
        [sum(step) for step in zip(*(one_after_another() for _ in range(times)), strict=True)] for _ in range(ROUNDS)
    ]
    best = [min(step) / times / len(deliveries) * 1e6 for step in zip(*rounds, strict=True)]
    size = sum(len(delivery.body) for delivery in deliveries) / len(deliveries)
    return Measured(size, best[0], best[1], best[2], best[3], best[4] if sdk else None)


def main() -> None:
    console = Console()
    table = Table(title=f"adapters, µs a delivery, best of {ROUNDS} rounds")
    headings = ("provider", "bytes", "verify", "read", "translate", "in all", "report", "its SDK", "ratio", "in all")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "provider" else "right")
    for name in track(providers.names(), description="adapters", console=console, transient=True):
        with tempfile.TemporaryDirectory() as folder:
            one = measure(name, Path(folder))
        proved = one.verify + one.read
        whole = proved + one.translate
        table.add_row(
            name,
            f"{one.bytes_:,.0f}",
            *(f"{step:.1f}" for step in (one.verify, one.read, one.translate, whole, one.report)),
            *((f"{one.sdk:.1f}", f"{proved / one.sdk:.2f}", f"{whole / one.sdk:.2f}") if one.sdk else ("none", "", "")),
        )
    console.print(table)
    console.print(
        "ratio: our verify and read to the SDK, which does as much; the last column, with translation into events"
    )


if __name__ == "__main__":
    main()
