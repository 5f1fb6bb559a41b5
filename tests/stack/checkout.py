"""Our own checkout, which asks `assess_payment` before it sends a payment to its provider, and does what the answer says.

Not everybody comes by: a renewal is begun by the provider's own billing, and whoever pays on a provider's pages, by a
mandate or in an app store has given us no card to ask about. Of those `score_payment` hears first.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from shared.domain.decisions import Outcome
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.events import Initiator, PaymentChanged
from shared.providers import load
from shared.runtime.assessments import LONGEST_BUDGET, PATH, AssessmentAnswer
from shared.settings import Settings
from tests.simulator.facts import Attempt, Fact, FactKind, ProviderSimulator, SignedRequest
from tests.stack.sender import Sender

TAKES_CARDS_FOR = frozenset({"adyen", "checkout", "dlocal", "mollie", "razorpay", "square", "stripe"})
"""Providers whose customers enter their cards on our pages."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked about an attempt, and what came of it. let_through: it went to its provider, after a challenge where
    `outcome` says so. seconds: the caller's."""

    attempt: Attempt
    outcome: Outcome
    fallback: tuple[str, ...]
    let_through: bool
    seconds: float


class Checkout:
    """Asks at `url`, one customer after the other."""

    def __init__(self, url: str, settings: Settings, simulators: Mapping[str, ProviderSimulator]) -> None:
        self._sender = Sender(url, at_once=1)
        self._settings, self._simulators = settings, simulators

    @staticmethod
    def asks(fact: Fact) -> bool:
        """Whether `fact` begins an attempt that comes by here."""
        attempt = fact.attempt
        begins = fact.kind in (FactKind.AUTHORIZED, FactKind.DECLINED)
        return begins and attempt.initiator is Initiator.CUSTOMER and attempt.provider in TAKES_CARDS_FOR

    def ask(self, fact: Fact, proves: bool) -> Asked:
        """What comes of the attempt that `fact` begins. proves: whether whoever pays stands a challenge.

        Raises RuntimeError where nothing is answered: the budget is the door's promise.
        """
        provider = fact.attempt.provider
        request = request_of(fact, self._simulators[provider], self._settings.credentials(provider))
        answered = self._sender.send(request)
        if answered.status != 200:
            raise RuntimeError(f"assess_payment answers {answered.status} about {fact.attempt.id}: {answered.body!r}")
        answer = AssessmentAnswer.model_validate_json(answered.body)
        outcome = Outcome(answer.outcome)
        passes = outcome is not Outcome.DECLINE and (outcome is not Outcome.CHALLENGE or proves)
        return Asked(fact.attempt, outcome, answer.fallback, passes, answered.seconds)

    def close(self) -> None:
        self._sender.close()


def request_of(fact: Fact, simulator: ProviderSimulator, credentials: Credentials) -> SignedRequest:
    """In the provider's own words for card and customer, with which its page has given them to ours."""
    attempt, told = fact.attempt, _told(fact, simulator, credentials)
    assert told.amount is not None, "an attempt is about money"
    # A PaymentIntent of Stripe's exists before it is confirmed; others have only the order's name from us.
    known = {"merchant_reference": told.merchant_reference} if told.merchant_reference else {}
    asked = {
        "request_id": attempt.id,
        "provider": attempt.provider,
        "account": told.account,
        "livemode": told.livemode,
        **(known if attempt.provider != "stripe" else {"payment_ids": [told.payment_id]}),
        "flow": attempt.plan,
        "amount": {"minor": told.amount.minor, "currency": told.amount.currency},
        "method": told.method,
        "card": asdict(told.card) if told.card else None,
        "customer_id": told.customer_id,
        "device_id": attempt.device,
        "ip": attempt.ip,
        "email": attempt.email,
        "billing_country": attempt.country,
        "initiator": "customer",
        "budget_ms": LONGEST_BUDGET,  # a demo waits: what a busy machine answers without would be another story each time
    }
    return SignedRequest(PATH, {"Content-Type": "application/json"}, json.dumps(asked).encode())


def _told(fact: Fact, simulator: ProviderSimulator, credentials: Credentials) -> PaymentChanged:
    """What the provider would say of it."""
    request = simulator.sign(simulator.requests(fact)[0], fact.at)
    headers = {name.lower(): value for name, value in request.headers.items()}
    delivery = Delivery(simulator.name, request.body, headers, fact.at, *request.path.partition("?")[::2])
    [event] = load(simulator.name).normalize(delivery, Verdict(("checkout",)), credentials).events
    assert isinstance(event, PaymentChanged)
    return event
