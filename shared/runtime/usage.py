"""The contract of `usage-evidence`, version 1: what systems of ours publish of a subscriber.

Members and kinds may be added within a version; none is taken away and none changes its meaning. A message may tell many
things of one subscriber at once, a day or a whole history. What to publish, and when:

- a plan that changed, a step of the cancellation flow, a policy that was accepted, a consent that was given or taken back: when
  it happens;
- logins and plays, by day: of a subscriber whose payment is disputed or warned of (`dispute-updates`), the days that are
  known of, once, and then each day on which they used the service until the dispute is over. Of everybody, on every day, it
  would cost more than half as much as all the rest (`make cost`, `traffic.usage_a_payment`);
- messages of and to the customer: of the same subscribers.

Who may publish is decided by Google IAM (`usage_publishers`).
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from shared.domain import usage
from shared.domain.addresses import address
from shared.domain.codec import decode, encode
from shared.domain.errors import Unreadable
from shared.domain.privacy import mask, nameable
from shared.domain.pseudonyms import Keyring
from shared.domain.usage import (
    CancellationStep,
    CustomerMessage,
    PlanChanged,
    Played,
    PolicyAccepted,
    SignIn,
    Told,
)
from shared.runtime.contracts import Closed, Instant, sentences

TOPIC = "usage-evidence"
LARGEST = 1 << 20
"""Of a message, in bytes."""
RECORDS = 1000
SHOWN = 1000
"""So many characters of a customer's message are kept."""


def _address(value: str) -> str:
    found = address(value)
    if found is None:
        raise ValueError("not an internet address")
    return found


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[!-~]([ -~]*[!-~])?$")
]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Ip = Annotated[str, StringConstraints(max_length=64), AfterValidator(_address)]
Word = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,39}$")]


class Login(Closed):
    """The subscriber signed in to the account."""

    kind: Literal["login"]
    at: Instant
    ip: Ip | None = None
    device_id: Name | None = Field(None, description="As payments know it")

    def kept(self) -> SignIn:
        device = nameable(self.device_id) if self.device_id else None
        return SignIn(first_at=self.at, last_at=self.at, ip=self.ip, device_id=device)


class Plays(Closed):
    """What was used on one day (UTC), counted so far: the same day may be told again with a greater count."""

    kind: Literal["plays"]
    day: Annotated[date, Field(strict=False)]
    count: int = Field(ge=1, le=10**6)
    seconds: int = Field(0, ge=0, le=10**8, description="How long in all, where it is counted")
    first_at: Instant
    last_at: Instant

    @model_validator(mode="after")
    def _on_its_day(self) -> "Plays":
        if not self.first_at.date() == self.last_at.date() == self.day or self.last_at < self.first_at:
            raise ValueError("first_at and last_at are of that day, in this order")
        return self

    def kept(self) -> Played:
        return Played(count=self.count, seconds=self.seconds, first_at=self.first_at, last_at=self.last_at)


class Plan(Closed):
    """The subscription changed, or began."""

    kind: Literal["plan"]
    at: Instant
    plan: Title
    before: Title | None = Field(None, description="The plan until then; null where the subscription began")

    def kept(self) -> PlanChanged:
        return PlanChanged(at=self.at, plan=mask(self.plan), before=mask(self.before) if self.before else None)


class Cancellation(Closed):
    """A step of the cancellation flow."""

    kind: Literal["cancellation"]
    at: Instant
    step: Literal["opened", "offered", "confirmed", "abandoned", "revoked"]
    effective_at: Instant | None = Field(None, description="When what was confirmed ends the subscription")

    def kept(self) -> CancellationStep:
        return CancellationStep(at=self.at, step=self.step, effective_at=self.effective_at)


class Policy(Closed):
    """A version of a policy was accepted."""

    kind: Literal["policy"]
    at: Instant
    policy: Word = Field(description="terms, cancellation, refunds, ...")
    version: Name
    digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="SHA-256 of the text that was shown, hexadecimal in lower case"
    )
    ip: Ip | None = None

    def kept(self) -> PolicyAccepted:
        version = nameable(self.version)
        return PolicyAccepted(at=self.at, policy=self.policy, version=version, digest=self.digest, ip=self.ip)


class Consent(Closed):
    """The subscriber agrees to a use of data, or takes that back: the newest word counts."""

    kind: Literal["consent"]
    at: Instant
    purpose: Literal["app_stores"] = Field(
        description="app_stores: Apple or Google, asked for a refund, is told whether and when the purchase was used"
    )
    given: bool

    def kept(self) -> usage.Consent:
        return usage.Consent(at=self.at, purpose=self.purpose, given=self.given)


class Message(Closed):
    """What was written. Card numbers, IBANs and e-mail addresses in it are masked on receipt."""

    kind: Literal["message"]
    at: Instant
    direction: Literal["from_customer", "to_customer"]
    channel: Word = Field(description="email, chat, phone, ...")
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] = Field(
        repr=False, description=f"Its first {SHOWN} characters are kept"
    )

    def kept(self) -> CustomerMessage:
        # Masked before it is cut: half a card number is none that anybody would know.
        text = mask(self.text)[:SHOWN]
        from_customer = self.direction == "from_customer"
        return CustomerMessage(at=self.at, from_customer=from_customer, channel=self.channel, text=text)


Record = Annotated[Login | Plays | Plan | Cancellation | Policy | Consent | Message, Field(discriminator="kind")]


class UsageEvidence(Closed):
    """What one system knows of one subscriber, or has news of."""

    version: Literal[1] = 1
    message_id: Name = Field(description="Unique within the source, and the same for every copy of the same message")
    source: Word = Field(description="The system that says it: player, accounts, support")
    customer_id: Name = Field(description="As payments know the subscriber: `customer_id` of assessments and metadata")
    records: Annotated[tuple[Record, ...], Field(min_length=1, max_length=RECORDS, strict=False)]

    def told(self) -> Told:
        """In our words, as far as a message of ours can be known without our keys."""
        return Told(
            message_id=nameable(self.message_id),
            source=self.source,
            customer_id=nameable(self.customer_id),
            sign_ins=tuple(one.kept() for one in self.records if isinstance(one, Login)),
            plays=tuple(one.kept() for one in self.records if isinstance(one, Plays)),
            plans=tuple(one.kept() for one in self.records if isinstance(one, Plan)),
            cancellations=tuple(one.kept() for one in self.records if isinstance(one, Cancellation)),
            policies=tuple(one.kept() for one in self.records if isinstance(one, Policy)),
            consents=tuple(one.kept() for one in self.records if isinstance(one, Consent)),
            messages=tuple(one.kept() for one in self.records if isinstance(one, Message)),
        )


def read(data: bytes, keyring: Keyring) -> Told:
    """What a message tells, with names under our keys. Raises Unreadable, which says what does not fit and repeats no
    value: the message is tried again, then dead-lettered, and `message_unreadable` alarms."""
    if len(data) > LARGEST:
        raise Unreadable(f"longer than {LARGEST} bytes", reason="usage_too_large")
    try:
        message = UsageEvidence.model_validate_json(data)
    except ValidationError as error:
        raise Unreadable("; ".join(sentences(error, "message")), reason="malformed_usage") from None
    return decode(keyring.keyed(encode(message.told())), Told)
