"""A review: a payment that waits until a person has looked, who took it, what was decided and why.

It is opened by the commit of the decision that asks for it, and closed once: by a verdict, or because there is nothing left
to decide. Whoever works on it holds a lease, which ends by itself. Everything here is pure; time is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.decisions import Decision
from shared.domain.errors import Rejected
from shared.domain.money import Money
from shared.domain.people import colleague

MOST_STEPS = 200
"""Of more steps than this the oldest are forgotten: none of them is the verdict, which is the last."""
RETELL_AFTER = timedelta(minutes=1)
"""Whoever decided is still telling of it until then."""
CLOCK = "clock"
"""Who decides where nobody did in time."""


class ReviewTaken(Rejected):
    """Somebody else has it, or has had the last word. Answered 409."""

    reason = "review_taken"
    status = 409


class ReviewUnknown(Rejected):
    """No decision of that name asked for a review. Answered 404."""

    reason = "unknown_review"
    status = 404


class ReviewAction(StrEnum):
    """What becomes of the payment."""

    RELEASE = "release"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    by: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A line of the audit trail. by: a person's e-mail address, or `clock`."""

    at: datetime
    by: str
    act: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The last word. request_id: the reviewer's own name of it, for one that is sent again. code: for machines, reason: for
    people. label: what the payment was, in the reviewer's eyes, as `FraudLabel` names it; None where nobody looked. payment_id: what the provider
    called the payment then, `request:<request_id>` while it had not heard of it. listed: whom it lists with that, `allow card 90`, in order."""

    request_id: str
    action: ReviewAction
    code: str
    reason: str
    by: str
    at: datetime
    payment_id: str
    label: str | None = None
    listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One payment's. payment_id, decision_id: as the decision names them.

    queued_at: as opened_at while it waits, then None: the queue is read by it. tell_at: when what was decided is told again,
    unless that is known to be done. closed: why there was nothing left to decide.
    """

    provider: str
    account: str
    payment_id: str
    decision_id: str
    livemode: bool
    opened_at: datetime
    amount: Money | None = None
    score: float | None = None
    request_id: str | None = None
    queued_at: datetime | None = None
    tell_at: datetime | None = None
    lease: Lease | None = None
    verdict: Verdict | None = None
    closed: str | None = None
    trail: tuple[Step, ...] = ()

    @classmethod
    def of(cls, decision: Decision) -> "Review":
        """The review for which `decision` asks."""
        return cls(
            provider=decision.provider,
            account=decision.account,
            payment_id=decision.payment_id,
            decision_id=decision.event_id,
            livemode=decision.livemode,
            amount=decision.amount,
            score=decision.score,
            request_id=decision.request_id,
            opened_at=decision.decided_at,
            queued_at=decision.decided_at,
        )

    @property
    def id(self) -> str:
        """That of its decision's document."""
        return f"{self.provider}:{self.payment_id}"

    def holder(self, now: datetime) -> str | None:
        """Who works on it."""
        return self.lease.by if self.lease is not None and now < self.lease.until else None

    def claimed(self, by: str, now: datetime, until: datetime) -> "Review":
        """Taken by `by`, or kept by them for longer. Raises ReviewTaken."""
        self._still_open()
        holder = self.holder(now)
        if holder not in (None, by):
            raise self._held()
        lease = Lease(by=by, until=until)
        return replace(self, lease=lease) if holder else self._stepped(now, by, "claimed", lease=lease)

    def released(self, by: str, now: datetime, why: str) -> "Review":
        """Back in the queue. Raises ReviewTaken for whoever does not hold it."""
        self._held_by(by, now)
        return self._stepped(now, by, "released", why, lease=None)

    def decided(self, verdict: Verdict) -> "Review":
        """Closed by `verdict`; by itself where that is the one that stands. Raises ReviewTaken for whoever does not hold it,
        and for another verdict than the one that stands."""
        stands = self.verdict
        if stands is not None and replace(verdict, at=stands.at, payment_id=stands.payment_id) == stands:
            return self
        if verdict.by != CLOCK:
            self._held_by(verdict.by, verdict.at)
        else:
            self._still_open()
        why = f"{verdict.code}: {verdict.reason}" if verdict.reason else verdict.code
        closed = self._stepped(verdict.at, verdict.by, verdict.action, why, verdict=verdict)
        return replace(closed, queued_at=None, lease=None, tell_at=verdict.at + RETELL_AFTER)

    def ended(self, now: datetime, why: str) -> "Review":
        """Closed, for there is nothing left to decide."""
        return replace(self._stepped(now, CLOCK, "closed", why, closed=why), queued_at=None, lease=None)

    def told(self) -> "Review":
        return replace(self, tell_at=None)

    def _held_by(self, by: str, now: datetime) -> None:
        self._still_open()
        if self.holder(now) is None:
            raise ReviewTaken("nobody holds this review now: claim it first", reason="review_not_claimed")
        if self.holder(now) != by:
            raise self._held()

    def _still_open(self) -> None:
        if self.verdict is not None:
            raise ReviewTaken(
                f"{colleague(self.verdict.by)} has decided: {self.verdict.action}", reason="review_decided"
            )
        if self.closed is not None:
            raise ReviewTaken(f"there is nothing left to decide: {self.closed}", reason="review_closed")

    def _held(self) -> ReviewTaken:
        assert self.lease is not None
        return ReviewTaken(f"{colleague(self.lease.by)} holds it until {self.lease.until:%H:%M:%S} UTC")

    def _stepped(self, at: datetime, by: str, act: str, why: str = "", **changes: object) -> "Review":
        trail = (*self.trail, Step(at=at, by=by, act=act, why=why))[-MOST_STEPS:]
        return replace(self, trail=trail, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAction:
    """A message of `payment-actions`: release the payment that was held, or refuse it. action_id: the same for every copy.
    payment_id: `request:<request_id>` where the provider had not heard of it: then `request_id` says whose it is."""

    action_id: str
    action: ReviewAction
    provider: str
    account: str
    livemode: bool
    payment_id: str
    request_id: str | None
    decision_id: str
    by: str
    code: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Promise:
    """Within how long somebody looks, and what becomes of a payment at which nobody did, how long after it was queued; None:
    it goes on waiting."""

    within: timedelta = timedelta(hours=4)
    then: ReviewAction | None = None
    after: timedelta = timedelta(hours=24)


OVER: Mapping[str, str] = {
    "declined": "the issuer declined it",
    "canceled": "it was canceled",
    "refunded": "it was refunded",
    "reversed": "it was reversed",
}
"""States of a payment in which nothing is left to release or to refuse."""
