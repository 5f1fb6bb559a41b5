"""The contract of `review_payment`, version 1: the queue of payments that wait for a person, and what people do with them.

Who may call is decided by Google IAM, in front of the function; who called is what their ID token says, and stands in the
audit trail. Members may be added within a version; none is taken away and none changes its meaning.
"""

import unicodedata
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from shared.domain.decisions import Action
from shared.domain.privacy import mask
from shared.domain.reviews import Promise, Review, ReviewAction
from shared.flows.audit import Errand, audited
from shared.flows.review_desk import Listing, View, claim_next, decide_and_list, queue, view
from shared.flows.reviews import LEASE, Word, claim, release
from shared.runtime import contracts, entry
from shared.runtime.app import App
from shared.runtime.contracts import Closed, Operation, ToldMoney, Why

LARGEST = 16 << 10
PATH = "/v1/reviews"
_MINUTE = timedelta(minutes=1)


def _named(text: str) -> str:
    """Whatever letters a provider calls payments by: what could not be named would be taken and never decided."""
    if not text.strip() or any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("not a name: it is blank, or has control characters")
    return text


ReviewId = Annotated[
    str,
    StringConstraints(max_length=300),
    AfterValidator(_named),
    Field(description="As the queue names it: `<provider>:<payment id>`"),
]
Minutes = Annotated[int, Field(ge=1, le=60, description="How long it is the caller's alone")]


class Next(Closed):
    """The most urgent review that nobody holds; or the caller's own, once more."""

    minutes: Minutes = LEASE // _MINUTE


class Named(Closed):
    review_id: ReviewId


class Claim(Named):
    """That one; once more, to hold it for longer."""

    minutes: Minutes = LEASE // _MINUTE


class Release(Named):
    """Back into the queue, for somebody else."""

    reason: Why


class ListedToo(Closed):
    """Whom the payment names is let pass, or stopped, from the next payment on."""

    action: Literal["allow", "block"]
    kind: Literal["card", "customer", "device", "ip"]
    days: int = Field(ge=1, le=365)


class Decide(Named):
    """The last word, of whoever holds the review."""

    request_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,100}$")] = Field(
        description="Names this word, once and for all: the same again changes nothing, and is told once more"
    )
    action: Literal["release", "refuse"]
    code: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,39}$")] = Field(
        description="Why, for machines: known_customer, stolen_card"
    )
    reason: Why = Field(description="Why, for people; no card numbers, no addresses")
    label: Literal["third_party_fraud", "first_party_fraud", "service", "genuine"] | None = Field(
        None,
        description="What the payment is. Of one that is released genuine, of one that is refused third_party_fraud",
    )

    lists: Annotated[tuple[ListedToo, ...], Field(max_length=4, strict=False)] = ()

    @model_validator(mode="after")
    def _agrees(self) -> "Decide":
        if self.label is not None and (self.label == "genuine") is (self.action == "refuse"):
            raise ValueError("what is genuine is released, and nothing else is")
        return self

    @property
    def word(self) -> Word:
        label = self.label or ("genuine" if self.action == "release" else "third_party_fraud")
        return Word(
            request_id=self.request_id,
            action=ReviewAction(self.action),
            code=self.code,
            reason=mask(self.reason),
            label=label,
        )


class ToldReview(Closed):
    """A line of the queue. late: it waits longer than was promised. state: `waiting`, `claimed`, `release`, `refuse`, or
    `closed`, where there was nothing left to decide."""

    review_id: str
    provider: str
    account: str
    livemode: bool
    payment_id: str
    decision_id: str
    request_id: str | None
    amount: ToldMoney | None
    score: float | None
    opened_at: datetime
    state: Literal["waiting", "claimed", "release", "refuse", "closed"]
    late: bool
    held_by: str | None
    held_until: datetime | None

    @classmethod
    def of(cls, review: Review, now: datetime, promise: Promise) -> "ToldReview":
        holder = review.holder(now)
        state = "claimed" if holder else "waiting"
        if review.verdict is not None:
            state = review.verdict.action.value
        elif review.closed is not None:
            state = "closed"
        return cls.model_validate(
            {
                "review_id": review.id,
                **{name: getattr(review, name) for name in _ALIKE},
                "amount": ToldMoney.of(review.amount),
                "state": state,
                "late": review.queued_at is not None and now - review.opened_at >= promise.within,
                "held_by": holder,
                "held_until": review.lease.until if holder and review.lease else None,
            }
        )


_ALIKE = ("provider", "account", "livemode", "payment_id", "decision_id", "request_id", "score", "opened_at")


class ToldQueue(Closed):
    """The hundred that wait longest, the most urgent first: late ones, then by amount and score."""

    reviews: tuple[ToldReview, ...]


class ToldNext(Closed):
    """null: nothing waits."""

    review: ToldReview | None


class ToldStep(Closed):
    at: datetime
    by: str
    act: str
    why: str


class ToldReason(Closed):
    source: str
    code: str
    text: str
    weight: float | None


class ToldEntity(Closed):
    """One whom the payment names: as the decision saw it, and now. counts: of 30 days, as far as they are remembered."""

    entity: str
    value: str | None
    state: str
    last_seen_at: datetime | None
    first_seen: datetime | None
    last_seen: datetime | None
    counts: dict[str, int]


class ToldCase(Closed):
    """All that is known of a review: what the decision knew, and what became of the payment since."""

    review: ToldReview
    trail: tuple[ToldStep, ...]
    occurred_at: datetime
    country: str | None
    initiator: str | None
    fallback: str | None
    reasons: tuple[ToldReason, ...]
    features: dict[str, float | None]
    payment_id: str
    payment_state: str | None
    fraud_reported_at: datetime | None
    disputes: tuple[str, ...]
    entities: tuple[ToldEntity, ...]

    @classmethod
    def of(cls, seen: View, now: datetime, promise: Promise) -> "ToldCase":
        decision = seen.decision
        return cls(
            review=ToldReview.of(seen.review, now, promise),
            trail=tuple(ToldStep(at=one.at, by=one.by, act=one.act, why=one.why) for one in seen.review.trail),
            occurred_at=decision.occurred_at,
            country=decision.country,
            initiator=decision.initiator,
            fallback=decision.fallback,
            reasons=tuple(
                ToldReason(source=one.source, code=one.code, text=text, weight=one.weight)
                for one, text in zip(decision.reasons, seen.reasons, strict=True)
            ),
            features={one.name: one.value for one in decision.features},
            payment_id=seen.payment_id,
            payment_state=seen.payment_state,
            fraud_reported_at=seen.fraud_reported_at,
            disputes=seen.disputes,
            entities=tuple(
                ToldEntity(**{name: getattr(one, name) for name in ToldEntity.model_fields}) for one in seen.entities
            ),
        )


def desk(app: App) -> entry.Handler:
    """The queue at GET /v1/reviews, what is done with it at its POSTs, and GET /openapi.json. Raises Misconfigured."""
    promise = app.settings.promise()

    def told(review: Review) -> ToldReview:
        return ToldReview.of(review, app.now(), promise)

    def listed(call: entry.Call) -> BaseModel:
        call.caller()
        return ToldQueue(reviews=tuple(map(told, queue(app.ports.documents, app.now(), promise))))

    def shown(call: entry.Call) -> BaseModel:
        call.caller()
        asked, now = contracts.read(call.body, Named), app.now()
        return ToldCase.of(view(app.ports.documents, asked.review_id, now), now, promise)

    def taken_next(call: entry.Call) -> BaseModel:
        by, asked = call.caller(), contracts.read(call.body, Next)
        found = claim_next(app.ports, by, app.now(), promise, asked.minutes * _MINUTE)
        return ToldNext(review=told(found) if found else None)

    def taken(call: entry.Call) -> BaseModel:
        by, asked = call.caller(), contracts.read(call.body, Claim)
        return told(claim(app.ports, asked.review_id, by, app.now(), asked.minutes * _MINUTE))

    def given_back(call: entry.Call) -> BaseModel:
        by, asked = call.caller(), contracts.read(call.body, Release)
        return told(release(app.ports, asked.review_id, by, app.now(), mask(asked.reason)))

    def decided(call: entry.Call) -> BaseModel:
        by, asked = call.caller(), contracts.read(call.body, Decide)
        listings = [Listing(action=Action(one.action), kind=one.kind, days=one.days) for one in asked.lists]
        errand = Errand(who=by, why=asked.word.reason, what=f"review_payment {asked.action}", at=app.now())
        kept = audited(app.ports, errand)
        return told(decide_and_list(kept, asked.review_id, by, app.now(), asked.word, listings))

    acts = {"next": taken_next, "case": shown, "claim": taken, "release": given_back, "decide": decided}
    return contracts.desk(PATH, listed, acts, openapi, LARGEST)


@cache
def openapi() -> bytes:
    """The OpenAPI 3.1 document of the function."""
    known = {"401": "Nobody says who calls", "503": "A dependency is down: ask again"}
    one = known | {"404": "No such review"}
    held = one | {
        "409": "Somebody else holds it, or has decided, or nothing is left to decide: `detail` says who and what"
    }
    listed = held | {"400": "The payment does not name whom `lists` means, or no more can be said of them"}
    return contracts.openapi(
        "Pay-In: review a payment",
        "1",
        "Payments that wait for a person: taken for some minutes, looked at, released or refused, each once.",
        [
            Operation(PATH, "list_reviews", "What waits", ToldQueue, "The most urgent first", refusals=known),
            Operation(
                f"{PATH}/next", "claim_next", "Take the most urgent", ToldNext, "It is the caller's", Next, known
            ),
            Operation(f"{PATH}/case", "get_case", "All that is known", ToldCase, "Then, and now", Named, one),
            Operation(f"{PATH}/claim", "claim", "Take this one", ToldReview, "It is the caller's", Claim, held),
            Operation(f"{PATH}/release", "release", "Give it back", ToldReview, "It waits again", Release, held),
            Operation(f"{PATH}/decide", "decide", "Release or refuse the payment", ToldReview, "Told", Decide, listed),
        ],
        LARGEST,
        signed=True,
    )
