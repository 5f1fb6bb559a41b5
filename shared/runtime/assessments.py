"""The contract of `assess_payment`, version 1: what is asked, what is answered, and the OpenAPI document of both.

Members may be added to either within a version; none is taken away and none changes its meaning. Whoever may call is
decided by Google IAM, in front of the function.
"""

from datetime import datetime
from functools import cache
from time import monotonic
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared.domain.addresses import address
from shared.domain.errors import Misconfigured, Unavailable
from shared.domain.events import Card, Initiator, PaymentAssessed
from shared.domain.money import LARGEST_MINOR, Money
from shared.domain.privacy import email_parts, nameable
from shared.domain.pseudonyms import MAIL, Keyring, unkeyed_digest
from shared.domain.telemetry import alarm
from shared.flows.assess_payment import Assessment, Assessor
from shared.flows.judged import request_name
from shared.flows.scorer import CHAMPION, Scorer
from shared.fraud.words import in_words
from shared.runtime import contracts, entry
from shared.runtime.app import App
from shared.runtime.contracts import Closed, DoesNotFit, Operation

LARGEST = 64 << 10
PATH = "/v1/assessments"
LONGEST_BUDGET = 1000  # milliseconds
DEFAULT_BUDGET = 100
WORKED_ON = 4
"""How many requests an instance works on at once, for each of its threads: those whose caller has gone on count too."""


def _address(value: str) -> str:
    found = address(value)
    if found is None:
        raise ValueError("not an internet address")
    return found


def _mail(value: str) -> str:
    if None in email_parts(value):
        raise ValueError("not an e-mail address")
    return value


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[!-~]([ -~]*[!-~])?$")
]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


class RequestedAmount(Closed):
    """Money in minor units: 999 EUR is EUR 9.99, 999 JPY is JPY 999."""

    minor: int = Field(ge=0, le=LARGEST_MINOR)
    currency: Currency = Field(description="ISO 4217, in capitals")


class RequestedCard(Closed):
    """What is known of the card. Never its number."""

    fingerprint: Name | None = Field(None, description="The provider's stand-in for the number, as in its webhooks")
    bin: Annotated[str, StringConstraints(pattern="^[0-9]{6,8}$")] | None = None
    last4: Annotated[str, StringConstraints(pattern="^[0-9]{4}$")] | None = None
    network: Annotated[str, StringConstraints(pattern="^[a-z_]{2,20}$")] | None = None
    funding: Literal["credit", "debit", "prepaid"] | None = None
    country: Country | None = Field(None, description="The issuer's, ISO 3166-1 alpha-2")


class AssessmentRequest(Closed):
    """One attempt at paying that has not been sent to its provider yet."""

    request_id: Name = Field(
        description="Names this attempt, once and for all: the same request again gets the same answer and is counted once"
    )
    provider: Annotated[str, StringConstraints(pattern="^[a-z]{2,20}$")] = Field(description="Through whom it will go")
    account: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,60}$")] = "main"
    livemode: bool = True
    merchant_reference: Name | None = Field(
        None, description="Our order's name, by which the provider's webhooks will be matched within a day"
    )
    payment_ids: tuple[Name, ...] = Field(
        (),
        max_length=5,
        strict=False,
        description="What the provider's webhooks will call the payment, where it is known already",
    )
    flow: Annotated[str, StringConstraints(pattern="^[a-z0-9_]{0,40}$")] = Field(
        "", description="What the customer is doing: checkout, trial, renewal"
    )
    product: Name | None = Field(None, description="What is bought, by which rules and thresholds may be scoped")
    amount: RequestedAmount
    method: Annotated[str, StringConstraints(pattern="^[a-z0-9_]{1,40}$")] = "card"
    card: RequestedCard | None = None
    customer_id: Name | None = None
    device_id: Name | None = None
    ip: Annotated[str, StringConstraints(max_length=64), AfterValidator(_address)] | None = None
    email: Annotated[str, StringConstraints(max_length=320), AfterValidator(_mail)] | None = Field(
        None, description="Hashed on receipt, neither stored nor logged"
    )
    email_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="Instead of the address: SHA-256 of it in lower case, hexadecimal"
    )
    email_domain: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.\-]{1,253}$")] | None = None
    billing_country: Country | None = None
    initiator: Literal["customer", "merchant"] = "customer"
    three_d_secure: Literal["authenticated", "attempted", "failed", "exempted"] | None = None
    budget_ms: int = Field(DEFAULT_BUDGET, ge=10, le=LONGEST_BUDGET, description="How long the caller waits")

    @model_validator(mode="after")
    def _one_address(self) -> "AssessmentRequest":
        if self.email is not None and (self.email_sha256 is not None or self.email_domain is not None):
            raise ValueError("give the e-mail address, or its hash and domain, not both")
        return self

    def asked(self, keyring: Keyring, now: datetime) -> PaymentAssessed:
        """The request in our words, under our keys."""

        def word(text: str) -> str:
            return keyring.keyed_text(nameable(text))

        def name(text: str | None) -> str | None:
            return text if text is None else word(text)

        request_id = word(self.request_id)
        digest, domain = email_parts(self.email)
        if self.email_sha256 is not None:
            digest = unkeyed_digest(MAIL, self.email_sha256)
        card = self.card
        return PaymentAssessed(
            event_id=f"{self.provider}:{self.account}:assessment:{request_id}",
            provider=self.provider,
            account=self.account,
            occurred_at=now,
            livemode=self.livemode,
            request_id=request_id,
            payment_id=request_name(request_id),
            flow=word(self.flow),
            product=name(self.product),
            amount=Money(self.amount.minor, self.amount.currency),
            aliases=tuple(dict.fromkeys(map(word, self.payment_ids))),
            merchant_reference=name(self.merchant_reference),
            method=word(self.method),
            card=Card(
                fingerprint=name(card.fingerprint),
                bin=card.bin,
                last4=card.last4,
                network=card.network,
                funding=card.funding,
                country=card.country,
            )
            if card
            else None,
            customer_id=name(self.customer_id),
            device_id=name(self.device_id),
            ip=self.ip,
            email_hash=None if digest is None else keyring.keyed_text(digest),
            email_hash_also=() if digest is None else keyring.others(digest),
            email_domain=name(domain or self.email_domain),
            billing_country=self.billing_country,
            initiator=Initiator(self.initiator),
            three_d_secure=self.three_d_secure,
        )


class AnswerReason(Closed):
    """Why. weight: what it added to the log-odds of fraud, for the model's reasons."""

    source: Literal["list", "rule", "model", "fallback", "exploration"]
    code: str
    text: str
    weight: float | None


class AnswerVersions(Closed):
    """What decided: the model's SHA-256, and digests of the features, the rules and the thresholds."""

    model: str | None
    schema_: str = Field(alias="schema")
    rules: str
    policy: str


class AssessmentAnswer(Closed):
    """What to do. approve: send it. challenge: with 3-D Secure. review: hold it for a person. decline: do not send it.

    score: the probability of fraud, null where rules decided alone. fallback: what the answer does without: `no_model`;
    `store_slow`, `store_down`: nothing is known of its past; `commit_late`, `not_counted`: it is counted later.
    """

    decision_id: str
    request_id: str
    outcome: Literal["approve", "challenge", "review", "decline"]
    score: float | None = Field(ge=0, le=1)
    reasons: tuple[AnswerReason, ...]
    fallback: tuple[Literal["no_model", "store_slow", "store_down", "commit_late", "not_counted"], ...]
    sca_exemption: Literal["low_value", "transaction_risk_analysis"] | None = Field(
        None, description="What the provider may be told to ask the issuer for in the place of authentication"
    )
    versions: AnswerVersions
    decided_at: datetime

    @classmethod
    def of(cls, assessment: Assessment) -> "AssessmentAnswer":
        decision = assessment.decision
        return cls.model_validate(
            {
                "decision_id": decision.event_id,
                "request_id": decision.request_id,
                "outcome": decision.outcome.value,
                "score": decision.score,
                "reasons": tuple(
                    {"source": one.source, "code": one.code, "text": in_words(one, decision), "weight": one.weight}
                    for one in decision.reasons
                ),
                "fallback": (*([decision.fallback.value] if decision.fallback else []), *assessment.late),
                "sca_exemption": decision.sca_exemption.value if decision.sca_exemption else None,
                "versions": {
                    "model": decision.model_digest,
                    "schema": decision.schema_version,
                    "rules": decision.rules_version,
                    "policy": decision.policy_version,
                },
                "decided_at": decision.decided_at,
            }
        )


def door(app: App) -> entry.Handler:
    """POST /v1/assessments and GET /openapi.json. Raises Misconfigured for settings that contradict."""
    keyring, fallbacks, served = app.settings.keyring(), app.settings.without_history(), app.settings.providers
    scorer = Scorer(use_model=app.settings.use_model)
    try:
        # Connected before anybody waits, whether there is a model to load or not.
        if app.settings.use_model:
            scorer.start(app.ports, app.now())
        else:
            app.ports.documents.get([CHAMPION])
    except (Misconfigured, Unavailable) as error:
        # Whoever asks meanwhile is answered by what can be said without; with the first look that succeeds it is over.
        alarm("assessing_without_start", reason=error.reason)
    assessor = Assessor(lambda: app.ports, scorer, fallbacks, WORKED_ON * app.settings.threads)

    def assess(call: entry.Call) -> entry.Answer:
        started = monotonic()
        asked = read(call.body)
        if served and asked.provider not in served:
            raise DoesNotFit(f"provider: there is none of this name here; there are: {', '.join(served)}")
        event = asked.asked(keyring, app.now())
        told = AssessmentAnswer.of(assessor.assess(event, app.now(), started + asked.budget_ms / 1000))
        return told.model_dump_json(by_alias=True).encode(), "application/json"

    return entry.on_paths(
        {PATH: {"POST": assess}, "/openapi.json": {"GET": lambda _: (openapi(), "application/json")}}, LARGEST
    )


def read(body: bytes) -> AssessmentRequest:
    """Raises DoesNotFit, which says what does not fit and repeats no value."""
    return contracts.read(body, AssessmentRequest)


@cache
def openapi() -> bytes:
    """The OpenAPI 3.1 document of the function."""
    asked = Operation(
        PATH,
        "assess",
        "Approve, challenge, review or decline",
        AssessmentAnswer,
        "What to do",
        AssessmentRequest,
        {"409": "The request_id is that of another request"},
    )
    return contracts.openapi(
        "Pay-In: assess a payment before authorisation",
        "1",
        "An answer within the caller's budget, from what is known of the card, the customer, the device,"
        " the address and the e-mail. The same request_id again gets the same answer, and counts once.",
        [asked],
        LARGEST,
    )
