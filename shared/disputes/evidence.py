"""Which evidence answers which claim, and what our own records say of it.

A template is of a product, a reason and a network. Its items have weights, and completeness is the part of them that there
is; while a required one is missing, half of that. An item is there when our records speak for the payment: what speaks
against it, or says nothing, is left out, and so is personal data that the template does not ask for.

Sources, read on 2026-11-27: what answers each claim, usa.review.visa.com ("Dispute conditions": 10.4, 12.6, 13.1, 13.2, 13.3,
13.6, 13.7), docs.finix.com "Dispute reason codes" (Visa, Mastercard, American Express, Discover by reason); what counts for
digital goods, developer.paypal.com/braintree "Evidence requirements" (address and device, prior undisputed payments, the
service used after the payment); what issuers are shown, Stripe's API reference "Dispute evidence object". Weights are ours,
and to be learned from outcomes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.disputes.reason_codes import is_network_code, look_up
from shared.domain import usage as used
from shared.domain.disputes import Dispute
from shared.domain.events import DisputeReason, PaymentStep
from shared.domain.evidence import CompellingEvidence, Consumption, Item, Merchant, Purchase
from shared.domain.payments import Payment
from shared.domain.usage import Usage

DIGITAL_SUBSCRIPTION = "digital_subscription"
ANY = "any"
_PERIOD = timedelta(days=25)
"""No subscription of ours is billed more often than each month."""
LINES = 40
"""Of a list in a text: who reads it has minutes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    item: Item
    weight: int
    required: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """name: `<product>/<reason>/<network>`, as it is recorded with what was sent."""

    name: str
    wanted: tuple[Wanted, ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(one.item for one in self.wanted)

    def completeness(self, items: Collection[Item]) -> float:
        """0 to 1: the weight of what there is, halved while something required is missing."""
        there = sum(one.weight for one in self.wanted if one.item in items)
        whole = there / sum(one.weight for one in self.wanted)
        missing = any(one.required and one.item not in items for one in self.wanted)
        return round(whole / 2 if missing else whole, 4)


def _of(required: Mapping[Item, int], optional: Mapping[Item, int]) -> tuple[Wanted, ...]:
    return tuple(Wanted(item, weight, item in required) for item, weight in {**required, **optional}.items())


_ITEMS: Mapping[tuple[str, DisputeReason], tuple[Wanted, ...]] = {
    (DIGITAL_SUBSCRIPTION, DisputeReason.FRAUD): _of(
        {Item.PAYMENT: 2, Item.USAGE: 3, Item.PURCHASE_IP: 3, Item.PRIOR_PAYMENTS: 3},
        {Item.DEVICE: 2, Item.LOGIN: 2, Item.AUTHENTICATION: 2, Item.BILLING_COUNTRY: 1, Item.DESCRIPTOR: 1}
        | {Item.PRODUCT: 1, Item.POLICY: 1, Item.REFUNDS: 1},
    ),
    (DIGITAL_SUBSCRIPTION, DisputeReason.NOT_RECEIVED): _of(
        {Item.PAYMENT: 2, Item.PRODUCT: 2, Item.USAGE: 4},
        {Item.SERVICE_DATE: 2, Item.PLAN: 1, Item.LOGIN: 2, Item.POLICY: 1, Item.MESSAGES: 1, Item.REFUNDS: 1},
    ),
    (DIGITAL_SUBSCRIPTION, DisputeReason.NOT_AS_DESCRIBED): _of(
        {Item.PAYMENT: 2, Item.PRODUCT: 3, Item.POLICY: 2},
        {Item.USAGE: 3, Item.MESSAGES: 2, Item.REFUNDS: 1, Item.PLAN: 1, Item.CANCELLATION: 1},
    ),
    (DIGITAL_SUBSCRIPTION, DisputeReason.DUPLICATE): _of(
        {Item.PAYMENT: 2, Item.DUPLICATE: 4},
        {Item.PRODUCT: 1, Item.SERVICE_DATE: 1, Item.PLAN: 1, Item.USAGE: 1, Item.REFUNDS: 2},
    ),
    (DIGITAL_SUBSCRIPTION, DisputeReason.CANCELED): _of(
        {Item.PAYMENT: 2, Item.CANCELLATION: 3, Item.POLICY: 3},
        {Item.USAGE: 3, Item.PLAN: 1, Item.MESSAGES: 2, Item.PRIOR_PAYMENTS: 1, Item.REFUNDS: 1}
        | {Item.SERVICE_DATE: 1},
    ),
    (DIGITAL_SUBSCRIPTION, DisputeReason.CREDIT_NOT_PROCESSED): _of(
        {Item.PAYMENT: 2, Item.REFUNDS: 4, Item.POLICY: 2},
        {Item.CANCELLATION: 2, Item.MESSAGES: 2, Item.USAGE: 1},
    ),
    (DIGITAL_SUBSCRIPTION, DisputeReason.OTHER): _of(
        {Item.PAYMENT: 2, Item.PRODUCT: 1},
        {Item.USAGE: 2, Item.AUTHENTICATION: 2, Item.POLICY: 1, Item.PRIOR_PAYMENTS: 1, Item.REFUNDS: 1}
        | {Item.DESCRIPTOR: 1, Item.MESSAGES: 1},
    ),
    # Of a product that we know nothing of: the payment itself, and what was agreed.
    **{
        (ANY, reason): _of(
            {Item.PAYMENT: 2, Item.PRODUCT: 1},
            {Item.PRIOR_PAYMENTS: 1, Item.AUTHENTICATION: 1, Item.POLICY: 1, Item.REFUNDS: 1, Item.MESSAGES: 1},
        )
        for reason in DisputeReason
    },
}

# Where a network weighs an item otherwise than the reason does.
_WEIGHED: Mapping[tuple[str, DisputeReason], Mapping[Item, int]] = {
    # Compelling Evidence 3.0: prior payments decide, and address or device must be among what they have alike.
    ("visa", DisputeReason.FRAUD): {Item.PRIOR_PAYMENTS: 5, Item.DEVICE: 3},
    # 4837: an authenticated payment is the issuer's; First-Party Trust compares device and address.
    ("mastercard", DisputeReason.FRAUD): {Item.AUTHENTICATION: 4, Item.DEVICE: 3},
    # F29: goods and services used by the card member.
    ("amex", DisputeReason.FRAUD): {Item.USAGE: 4},
}


class Source(StrEnum):
    """Who says what an item says, in words."""

    PROVIDER = "what the provider told of the payment"
    SERVICE = "what our service told of its use"
    PURCHASES = "the subscriber's other payments"
    MERCHANT = "what is set of the merchant"


SOURCES: Mapping[Item, Source] = {
    **dict.fromkeys((Item.PAYMENT, Item.PURCHASE_IP, Item.BILLING_COUNTRY, Item.AUTHENTICATION), Source.PROVIDER),
    Item.REFUNDS: Source.PROVIDER,
    **dict.fromkeys((Item.DEVICE, Item.LOGIN, Item.USAGE, Item.SERVICE_DATE, Item.PLAN), Source.SERVICE),
    **dict.fromkeys((Item.CANCELLATION, Item.POLICY, Item.MESSAGES), Source.SERVICE),
    **dict.fromkeys((Item.PRIOR_PAYMENTS, Item.DUPLICATE), Source.PURCHASES),
    **dict.fromkeys((Item.DESCRIPTOR, Item.PRODUCT), Source.MERCHANT),
}


def template(product: str, reason: DisputeReason | None, network: str | None) -> Template:
    """The template for `product` (any other than those known counts as `any`), where `reason` None is an untold one."""
    reason = reason or DisputeReason.OTHER
    product = product if (product, reason) in _ITEMS else ANY
    weights = _WEIGHED.get((network or "", reason), {}) if product != ANY else {}
    wanted = tuple(Wanted(one.item, weights.get(one.item, one.weight), one.required) for one in _ITEMS[product, reason])
    return Template(f"{product}/{reason}/{network if weights else ANY}", wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Our records of a disputed payment. purchases: the subscriber's other payments, which say themselves whether somebody
    disputed or reported them."""

    payment: Payment
    dispute: Dispute
    usage: Usage | None = None
    purchases: Sequence[Purchase] = ()
    compelling: CompellingEvidence | None = None
    merchant: Merchant = field(default_factory=Merchant)

    @property
    def paid_at(self) -> datetime | None:
        """When the attempt that went through was first told."""
        told = [fact.occurred_at for fact in self.payment.facts.values() if fact.step in _WENT_THROUGH]
        return min(told, default=self.payment.first_at)

    @property
    def disputed_at(self) -> datetime | None:
        return self.dispute.first_at


def collect(known: Known, asked: Template) -> dict[Item, str]:
    """What our records say of each item that the template asks for, in plain English; the same records say the same. An item
    of which they say nothing is not among them."""
    found = {item: _SAYING[item](known) for item in asked.items}
    return {item: text for item, text in found.items() if text}


def consumption(known: Known, at: datetime) -> Consumption | None:
    """What an app store is told of the payment, by what is known `at` that time. None where we do not know enough to tell it
    anything: that it was delivered is shown by its use, or by a plan that our own service says began; what was offered before
    is the merchant's word. Of a subscription that renews itself there is no share: Apple takes none.

    Consent is the subscriber's newest word for the purpose; where there is none, that they have accepted the policy in which
    the merchant asks for it. It is never assumed.
    """
    usage, paid_at, merchant = known.usage, known.paid_at, known.merchant
    if usage is None or paid_at is None or merchant.sampled is None:
        return None
    plays = [one for one in usage.plays.values() if paid_at <= one.last_at <= at]
    uses = {instant for one in plays for instant in (one.first_at, one.last_at) if instant >= paid_at}
    if not uses and not any(one.at <= at for one in usage.plans.values()):
        return None
    said = [one for one in usage.consents.values() if one.purpose == used.APP_STORES and one.at <= at]
    agreed = any(one.policy == merchant.store_consent and one.at <= at for one in usage.policies.values())
    return Consumption(
        # Of two words of one instant it is "no" that counts.
        consented=max(said, key=lambda one: (one.at, not one.given)).given if said else agreed,
        delivered=True,
        sampled=merchant.sampled,
        uses=tuple(sorted(uses)),
    )


def timeline(payment: Payment, dispute: Dispute) -> list[tuple[datetime, str]]:
    """What happened, in order: the steps of the payment and the opening of the dispute."""
    steps = [
        (fact.occurred_at, f"{_STEPS[fact.step]}{f' {fact.amount}' if fact.amount else ''}")
        for fact in payment.facts.values()
        if fact.step in _STEPS and not fact.step_unsigned
    ]
    opened = [(dispute.first_at, f"Disputed{f' {dispute.amount}' if dispute.amount else ''}")]
    return sorted({*steps, *((at, text) for at, text in opened if at)})


def claim(dispute: Dispute) -> str:
    """What the cardholder claims, in the network's words where we know them."""
    code = look_up(dispute.network, dispute.reason_code)
    said = code.name if code else (dispute.reason or DisputeReason.OTHER).replace("_", " ").capitalize()
    told = dispute.reason_code
    # A provider's own word says the same once more, and nothing to a network.
    return f"{said} ({told})" if told and is_network_code(dispute.network, told) else said


def instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _payment(known: Known) -> str:
    payment, card = known.payment, known.payment.details.card
    if not payment.facts:
        return ""
    with_card = (
        f" with a {title(card.network)} card ending in {card.last4}" if card and card.network and card.last4 else ""
    )
    amount = payment.captured or payment.authorized
    paid = f"Payment {payment.payment_id}" + (f" of {amount}" if amount else "") + f" was made{with_card}"
    paid += f" on {instant(known.paid_at)}." if known.paid_at else "."
    steps = [f"{instant(at)}: {text}" for at, text in timeline(payment, known.dispute)]
    return "\n".join([paid, *steps[:LINES]])


def _descriptor(known: Known) -> str:
    named = known.merchant.descriptors
    told = named.get(known.payment.account) or named.get("")
    return f'The payment stands on the cardholder\'s statement as "{told}".' if told else ""


def _product(known: Known) -> str:
    return known.merchant.product


def _purchase_ip(known: Known) -> str:
    """The address alone: providers have a field for it."""
    return known.payment.details.ip or ""


def _device(known: Known) -> str:
    device = known.payment.details.device_id
    if not device:
        return ""
    told = f"The payment was made on device {device}."
    return told + _seen("That device", [key for key, one in _sign_ins(known) if one.device_id == device])


def _login(known: Known) -> str:
    details = known.payment.details
    if not details.customer_id:
        return ""
    told = f"The payment was made in the account {details.customer_id}."
    before = [one for _, one in _sign_ins(known) if known.paid_at and one.first_at <= known.paid_at]
    if before and known.paid_at:
        last = max(one.last_at if one.last_at <= known.paid_at else one.first_at for one in before)
        told += f" Before the payment its subscriber last signed in on {instant(last)}."
    if details.ip:
        same = [key for key, one in _sign_ins(known) if one.ip == details.ip]
        told += _seen("The address from which the payment was made", same)
    return told


def _seen(what: str, keys: Sequence[str]) -> str:
    days = sorted({key.partition("/")[0] for key in keys})
    if not days:
        return ""
    when = f"on {days[0]}" if len(days) == 1 else f"on {len(days)} days from {days[0]} to {days[-1]}"
    return f" {what} was used to sign in to the account {when}."


def _billing_country(known: Known) -> str:
    details = known.payment.details
    agree = details.card is not None and details.card.country == details.billing_country
    return (
        f"Billing country {details.billing_country}, in which the card was issued."
        if agree and details.billing_country
        else ""
    )


def _authentication(known: Known) -> str:
    details = known.payment.details
    told = {
        "3-D Secure: the cardholder was authenticated.": details.three_d_secure == "authenticated",
        "3-D Secure: authentication was attempted.": details.three_d_secure == "attempted",
        "The card's security code (CVV) matched.": details.cvv_result == "match",
        "The billing address matched the card's (AVS).": details.avs_result == "match",
    }
    return " ".join(text for text, holds in told.items() if holds)


def _prior_payments(known: Known) -> str:
    lines = []
    if known.compelling and known.compelling.priors:
        alike = ", ".join(title(one) for one in known.compelling.matched)
        lines = [
            f"These earlier payments, which nobody disputed, meet {known.compelling.rule}. The same on all: {alike}."
        ]
        lines += [_line(one, known.compelling.matched) for one in known.compelling.priors]
    named = {one.payment_id for one in known.compelling.priors} if known.compelling else set()
    others = [
        one
        for one in known.purchases
        if not (one.disputed or one.fraud_reported)
        and one.payment_id not in named
        and known.paid_at
        and one.at < known.paid_at
    ]
    if others:
        first = min(one.at for one in others)
        lines += [
            f"{len(others)} {'further' if named else 'earlier'} payments since {first:%Y-%m-%d} that nobody disputed:"
        ]
        newest = sorted(others, key=lambda one: (one.at, one.payment_id))[-(LINES // 2) :]
        lines += [_line(one, ()) for one in newest]
    return "\n".join(lines)


def _line(one: Purchase, matched: Sequence[str]) -> str:
    values = {"ip": one.ip, "device": one.device_id, "device_id": one.device_id, "login": one.login}
    alike = "".join(f", {title(name)} {values[name]}" for name in matched if values.get(name))
    return f"{instant(one.at)}: {one.amount}, payment {one.payment_id}{alike}"


def _usage(known: Known) -> str:
    """What was used of what this payment paid for: from the payment until the dispute, or a month."""
    if known.usage is None or known.paid_at is None:
        return ""
    since = known.paid_at.astimezone(UTC).date().isoformat()
    until = known.disputed_at.astimezone(UTC).date().isoformat() if known.disputed_at else "9999"
    days = {day: told for day, told in used.days(known.usage.plays).items() if since <= day <= until}
    # The day itself counts from the payment on.
    days = {day: told for day, told in days.items() if max(one.last_at for one in told) >= known.paid_at}
    if not days:
        return ""
    count = sum(one.count for told in days.values() for one in told)
    seconds = sum(one.seconds for told in days.values() for one in told)
    long = f", {seconds / 3600:.1f} hours in all" if seconds else ""
    told = [
        f"After the payment the service was used on {len(days)} {'day' if len(days) == 1 else 'days'}, from {min(days)} to"
        f" {max(days)}: {count} {'play' if count == 1 else 'plays'}{long}."
    ]
    for day, plays in list(days.items())[-LINES:]:
        first, last = min(one.first_at for one in plays), max(one.last_at for one in plays)
        told.append(f"{day}: {sum(one.count for one in plays)} plays, {first:%H:%M} to {last:%H:%M} UTC")
    return "\n".join(told)


def _service_date(known: Known) -> str:
    """The date alone: providers have a field for it."""
    return known.paid_at.astimezone(UTC).date().isoformat() if known.paid_at else ""


def _plan(known: Known) -> str:
    changes = sorted(known.usage.plans.values(), key=lambda one: (one.at, one.plan)) if known.usage else []
    return "\n".join(
        f"{instant(one.at)}: "
        + (f"changed from {one.before} to {one.plan}" if one.before else f"subscribed to {one.plan}")
        for one in changes
    )


def _cancellation(known: Known) -> str:
    """How one cancels, in the merchant's words, and that nobody did before the payment: nothing where somebody did, or where
    nothing is known of the subscription."""
    usage, paid_at, until = known.usage, known.paid_at, known.disputed_at
    if usage is None or paid_at is None or not (usage.plans or usage.cancellations):
        return ""
    steps = sorted(usage.cancellations.values(), key=lambda one: (one.at, one.step))
    steps = [one for one in steps if until is None or one.at <= until]
    ends = None
    for one in steps:
        ends = (one.effective_at or one.at) if one.step == "confirmed" else None if one.step == "revoked" else ends
    if ends is not None and ends <= paid_at:
        return ""
    lines = [known.merchant.cancellation] if known.merchant.cancellation else []
    if not any(one.step == "confirmed" for one in steps):
        lines.append("Our records show no cancellation before the dispute.")
    for one in steps:
        effect = f", to end the subscription on {instant(one.effective_at)}" if one.effective_at else ""
        lines.append(f"{instant(one.at)}: cancellation {one.step}{effect}")
    return "\n".join(lines)


def _policy(known: Known) -> str:
    accepted = sorted(known.usage.policies.values(), key=lambda one: (one.at, one.policy)) if known.usage else []
    before = [one for one in accepted if known.paid_at is None or one.at <= known.paid_at]
    lines = [
        f"{instant(one.at)}: the subscriber accepted {title(one.policy)}, version {one.version}"
        + (f" (SHA-256 of the text {one.digest})" if one.digest else "")
        for one in before
    ]
    return "\n".join([*lines, *([known.merchant.refunds] if lines and known.merchant.refunds else [])])


def _refunds(known: Known) -> str:
    payment, refunded = known.payment, known.payment.refunded
    steps = sorted(
        (fact.occurred_at, fact.amount)
        for fact in payment.facts.values()
        if fact.step is PaymentStep.REFUNDED and fact.amount and not fact.step_unsigned
    )
    if refunded and refunded.minor:
        lines = [f"{refunded} of this payment has been refunded."]
        return "\n".join([*lines, *(f"{instant(at)}: refunded {amount}" for at, amount in steps[:LINES])])
    return ""


def _duplicate(known: Known) -> str:
    """The payment nearest to this one, of the same amount, where a billing period lies between them: closer ones may be what
    the cardholder says they are."""
    paid_at, amount = known.paid_at, known.payment.captured or known.payment.authorized
    same = [one for one in known.purchases if one.amount == amount]
    if not paid_at or not amount or not same:
        return ""
    other = min(same, key=lambda one: (abs(one.at - paid_at), one.payment_id))
    if abs(other.at - paid_at) < _PERIOD:
        return ""
    return (
        f"Payment {known.payment.payment_id} of {amount} on {instant(paid_at)} and payment {other.payment_id} of"
        f" {other.amount} on {instant(other.at)}, which is nearest to it, are {abs(other.at - paid_at).days} days apart: each"
        " is for a billing period of its own."
    )


def _messages(known: Known) -> str:
    messages = sorted(known.usage.messages.values(), key=lambda one: (one.at, one.text)) if known.usage else []
    return "\n".join(
        f"{instant(one.at)}, {'the customer' if one.from_customer else 'we'} by {title(one.channel)}: {' '.join(one.text.split())}"
        for one in messages[-(LINES // 2) :]
    )


def title(word: str) -> str:
    return _TITLES.get(word, word.replace("_", " "))


_TITLES = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "ip": "IP address",
    "device_id": "device",
}
_WENT_THROUGH = (PaymentStep.AUTHORIZED, PaymentStep.CAPTURED)
_STEPS: Mapping[PaymentStep | None, str] = {
    PaymentStep.AUTHORIZED: "Authorized",
    PaymentStep.CAPTURED: "Captured",
    PaymentStep.REFUNDED: "Refunded",
    PaymentStep.CANCELED: "Released",
    PaymentStep.REVERSED: "Taken back by the provider",
}
_SAYING: Mapping[Item, Callable[[Known], str]] = {
    Item.PAYMENT: _payment,
    Item.DESCRIPTOR: _descriptor,
    Item.PRODUCT: _product,
    Item.PURCHASE_IP: _purchase_ip,
    Item.DEVICE: _device,
    Item.LOGIN: _login,
    Item.BILLING_COUNTRY: _billing_country,
    Item.AUTHENTICATION: _authentication,
    Item.PRIOR_PAYMENTS: _prior_payments,
    Item.USAGE: _usage,
    Item.SERVICE_DATE: _service_date,
    Item.PLAN: _plan,
    Item.CANCELLATION: _cancellation,
    Item.POLICY: _policy,
    Item.REFUNDS: _refunds,
    Item.DUPLICATE: _duplicate,
    Item.MESSAGES: _messages,
}


def _sign_ins(known: Known) -> list[tuple[str, used.SignIn]]:
    return sorted(known.usage.sign_ins.items()) if known.usage else []
