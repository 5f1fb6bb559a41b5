"""What each provider's signature covers, said once more and by hand: the contract suite holds adapters to it.

A new provider adds its entry here, or the contract suite fails and says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.events import DisputeStatus
from tests.simulator.facts import FactKind


@dataclass(frozen=True)
class Declared:
    """whole_body: every byte of the body is covered. headers: what of each header is (all that matches).

    earliest, latest: how far receipt may lie before and after the signed time; None where the scheme has no time.
    not_webhooks: sample files that are no webhook's body, by pattern, with the reason.
    silent: what the provider sends no message for. won: what it says instead of a ruling for us. deadline: how it writes until when a dispute can be answered,
    "instant", "date", a time from the message on, or None for not at all. reason_code: the network's 10.4, or
    its own word where it tells none. customer: whether it tells who paid, from which device and address. decline_code: whether it tells why a payment was declined. currencies:
    those it has, of the contract suite's; None for all. numbers: members that hold the provider's own ids where these
    are plain numbers as long as a card's; it must be a provider that never sees a card's number. poke: its
    messages name objects and no amounts, and the suite reads the objects back from the simulator's API. bare: nothing
    of the body is covered, so whatever is in it may be a poke and nothing else. framed: what is signed lies in a form,
    a token, items or the address, so that a body of another shape is nobody's.
    """

    whole_body: bool
    headers: Mapping[str, str]
    earliest: timedelta | None
    latest: timedelta | None
    not_webhooks: Mapping[str, str] = field(default_factory=dict)
    silent: frozenset[FactKind] = frozenset()
    won: DisputeStatus = DisputeStatus.WON
    deadline: str | timedelta | None = "instant"
    reason_code: str | None = "10.4"
    customer: bool = True
    decline_code: bool = True
    currencies: frozenset[str] | None = None
    numbers: frozenset[str] = frozenset()
    poke: bool = False
    bare: bool = False
    framed: bool = False

    def is_no_webhook(self, file: str) -> bool:
        return any(re.search(pattern, file) for pattern in self.not_webhooks)


DECLARED = {
    "stripe": Declared(
        whole_body=True,
        headers={"stripe-signature": r"t=\d+,v1=[0-9a-f]+"},
        earliest=timedelta(seconds=300),
        latest=timedelta(seconds=300),
        not_webhooks={r"objects/(?!.*event_|openapi_event)": "an object of the API, not an event around it"},
    ),
    "adyen": Declared(
        framed=True,
        whole_body=False,
        headers={"authorization": r".+"},
        earliest=None,
        latest=None,
        not_webhooks={
            r"dispute_api/": "request or answer of the Disputes API",
            r"java/post-": "answer of the Disputes API",
            r"signed/|hmac-validation": "a bare item, verified in test_adyen",
        },
    ),
    "paypal": Declared(
        whole_body=True,
        headers={
            "paypal-transmission-id": r".+",
            "paypal-transmission-time": r".+",
            "paypal-transmission-sig": r".+",
            "paypal-cert-url": r".+",
            "paypal-auth-algo": r".+",
        },
        currencies=frozenset({"EUR", "JPY", "HUF", "TWD"}),
        poke=True,
        earliest=timedelta(minutes=5),
        latest=timedelta(days=3, minutes=5),
        not_webhooks={
            r"disputes_api/|webhooks_api/": "request of PayPal's API",
            r"headers\.json$": "headers of a signed delivery, verified in test_paypal",
        },
    ),
    "braintree": Declared(
        framed=True,
        whole_body=False,  # a percent escape may be written in either case, and the form may have other fields
        headers={},
        earliest=timedelta(minutes=5),
        latest=timedelta(days=31),
        not_webhooks={r"signed/": "a signed form, verified in test_braintree"},
        silent=frozenset({FactKind.AUTHORIZED, FactKind.CANCELED, FactKind.REFUNDED, FactKind.FRAUD_WARNED}),
        deadline="date",
    ),
    "square": Declared(
        whole_body=True,
        headers={"x-square-hmacsha256-signature": r".+"},
        earliest=None,
        latest=None,
        not_webhooks={
            r"objects/": "an answer of the Disputes API",
            r"signed/": "a body with its signature, verified in test_square",
        },
        silent=frozenset({FactKind.FRAUD_WARNED}),
        reason_code="NO_KNOWLEDGE",
        customer=False,
        currencies=frozenset({"EUR", "JPY"}),
    ),
    "checkout": Declared(
        whole_body=True,
        headers={"cko-signature": r".+"},
        earliest=None,
        latest=None,
        silent=frozenset({FactKind.FRAUD_WARNED}),
    ),
    "dlocal": Declared(
        whole_body=True,
        headers={"x-login": r".+", "x-date": r".+", "authorization": r".+"},
        earliest=timedelta(minutes=5),
        latest=timedelta(days=8),
        not_webhooks={r"partial": "cut before its date"},
        silent=frozenset({FactKind.FRAUD_WARNED}),
        deadline=None,
    ),
    "worldpay": Declared(
        whole_body=True,
        headers={"event-signature": r".+"},
        earliest=None,
        latest=None,
        silent=frozenset({FactKind.FRAUD_WARNED, FactKind.DISPUTE_ANSWERED, FactKind.DISPUTE_LOST}),
        deadline=None,
        reason_code=None,
        customer=False,
        decline_code=False,
    ),
    "klarna": Declared(
        whole_body=True,
        headers={"klarna-signature": r".+", "klarna-signing-key-id": r".+"},
        earliest=None,
        latest=None,
        silent=frozenset({FactKind.CAPTURED, FactKind.REFUNDED, FactKind.FRAUD_WARNED}),
        reason_code="PURCHASE_UNAUTHORIZED",
        customer=False,
        decline_code=False,
        currencies=frozenset({"EUR", "HUF"}),
    ),
    "razorpay": Declared(
        whole_body=True,
        headers={"x-razorpay-signature": r".+"},
        earliest=None,
        latest=None,
        not_webhooks={r"sdk/(?!fake_payment_authorized_webhook)": "an object of the API, not an event around it"},
        silent=frozenset({FactKind.FRAUD_WARNED}),
        reason_code="fraudulent_transaction",
    ),
    "apple": Declared(
        framed=True,
        whole_body=True,
        headers={},
        earliest=timedelta(minutes=5),
        latest=timedelta(days=8),
        not_webhooks={r"decoded/": "what is inside a JWS, read in test_apple"},
        silent=frozenset({FactKind.AUTHORIZED, FactKind.FRAUD_WARNED, FactKind.DISPUTE_ANSWERED}),
        deadline=timedelta(hours=12),
        reason_code=None,
        customer=False,
        decline_code=False,
        numbers=frozenset({"transactionId", "originalTransactionId"}),
    ),
    "gocardless": Declared(
        whole_body=True,
        headers={"webhook-signature": r".+"},
        earliest=None,
        latest=None,
        not_webhooks={r"python/(?!webhook_body)": "requests and answers of the API"},
        silent=frozenset(
            {FactKind.AUTHORIZED, FactKind.FRAUD_WARNED, FactKind.DISPUTE_OPENED, FactKind.DISPUTE_ANSWERED}
        ),
        won=DisputeStatus.CLOSED,
        customer=False,
        poke=True,
    ),
    "mollie": Declared(
        whole_body=True,
        headers={"x-mollie-signature": r"(?<=sha256=).+"},
        earliest=None,
        latest=None,
        not_webhooks={
            r"(get_v2_webhooks|post_v2_webhooks|_list|list-)": "an answer of the API that is a list or a webhook",
            r"no_links": "an answer of the API, read in test_mollie",
        },
        silent=frozenset({FactKind.FRAUD_WARNED, FactKind.DISPUTE_ANSWERED, FactKind.DISPUTE_LOST}),
        deadline=timedelta(days=2),
        reason_code=None,
        currencies=frozenset({"EUR", "JPY", "HUF", "TWD"}),
    ),
    "mercadopago": Declared(
        framed=True,
        whole_body=False,
        bare=True,
        headers={"x-signature": r".+", "x-request-id": r".+"},
        earliest=timedelta(minutes=5),
        latest=timedelta(days=8),
        not_webhooks={r".": "an answer of the API, read in test_mercadopago"},
        silent=frozenset({FactKind.FRAUD_WARNED}),
        reason_code="fraud",
        currencies=frozenset({"EUR", "CLP"}),
        poke=True,
    ),
    "google": Declared(
        whole_body=False,
        bare=True,
        headers={"authorization": r"(?<=Bearer ).+"},
        earliest=timedelta(minutes=1),
        latest=timedelta(hours=1, minutes=1),
        not_webhooks={r"pubsub_envelope": "its data is no JSON, as published"},
        silent=frozenset({FactKind.AUTHORIZED, FactKind.FRAUD_WARNED, FactKind.DISPUTE_ANSWERED, FactKind.DISPUTE_WON}),
        deadline=timedelta(hours=24),
        reason_code=None,
        customer=False,
        decline_code=False,
        numbers=frozenset({"messageId"}),
        poke=True,
    ),
}
