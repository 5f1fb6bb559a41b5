"""By what disputes are fought or accepted: as it stands, as it stood, and as people publish it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from threading import Lock
from typing import TypeVar

from shared.disputes.strategy import ANY, SHIPPED, Count, Outcomes, Strategy, decide
from shared.domain.codec import decode, encode
from shared.domain.disputes import AnsweredBy, Dispute
from shared.domain.errors import Rejected, Unreadable
from shared.domain.events import DisputeReason, DisputeStage, DisputeStatus
from shared.domain.money import Money
from shared.domain.telemetry import alarm, fact
from shared.flows.ports import Document, Documents, Key, Ports
from shared.flows.revisions import Published

STRATEGIES = Published("strategy", Key("registry", "strategy"), lambda version: Key("strategies", version))
ASKED_ANEW = timedelta(minutes=1)

T = TypeVar("T")


class Undecidable(Rejected):
    """A strategy that does not decide every dispute. Answered 422."""

    reason = "bad_strategy"
    status = 422


def standing_strategy(documents: Documents) -> Strategy:
    """What decides now. Raises Unreadable for one that this release does not know."""
    found = STRATEGIES.now(documents)
    return _strategy_in(found) if found else SHIPPED


def kept_strategy(documents: Documents, version: int) -> Strategy | None:
    """That version, whoever has published since, 0 being what is shipped. None where there is none. Raises as
    `standing_strategy`."""
    if version == SHIPPED.version:
        return SHIPPED
    found = STRATEGIES.at(documents, version)
    return _strategy_in(found) if found else None


def publish_strategy(ports: Ports, strategy: Strategy, now: datetime, *, after: int, author: str, why: str) -> int:
    """Decide by `strategy` from now on, as `Published.publish` says; answers its version. after: the version that it was made
    from. What was announced stays announced, by the version that it names. Raises as `rehearse` too."""
    rehearse(strategy, now)
    contents = encode(replace(strategy, version=SHIPPED.version))
    return STRATEGIES.publish(ports.documents, contents, now, after=after or None, author=author, why=why)


def rehearse(strategy: Strategy, now: datetime) -> None:
    """Decide a dispute of every reason by `strategy`, with the emptiest packet and a complete one, where nothing is known yet
    and where all of many were won or lost. Raises Undecidable for what one of them could not be decided by."""
    known = (Count(), Count(won=_MANY), Count(lost=_MANY))
    for reason, completeness, count in product(DisputeReason, (0.0, 1.0), known):
        dispute = Dispute(
            provider="stripe",
            dispute_id="example",
            account="example",
            stage=DisputeStage.INQUIRY,
            status=DisputeStatus.NEEDS_RESPONSE,
            answered_by=AnsweredBy.US,
            reason=reason,
            amount=Money(1999, next(iter(strategy.costs), "EUR")),
            respond_by=now + timedelta(days=10),
        )
        try:
            decide(
                dispute,
                packet_completeness=completeness,
                compelling=None,
                outcomes=Outcomes(counts={(reason, ANY, dispute.provider): count}),
                strategy=strategy,
                now=now,
            )
        except (ValueError, ArithmeticError) as error:
            told = f"priors.{reason} {strategy.priors[reason]} with the weight {strategy.weight}"
            raise Undecidable(f"no dispute could be decided by {told}: {error}") from error


_MANY = 100_000


def _strategy_in(document: Document) -> Strategy:
    try:
        return replace(decode(document["contents"], Strategy), version=int(document["revision"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"not a strategy: {error!r}"[:300], reason="bad_strategy") from error


class StandingStrategy:
    """The strategy that stands, looked for once a minute, however many disputes are decided meanwhile."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._strategy = SHIPPED
        self._asked_at: datetime | None = None

    def at(self, documents: Documents, now: datetime) -> Strategy:
        """One that cannot be read is alarmed, and the one before goes on: silence would lose cases. Raises Unavailable."""
        with self._lock:
            if self._asked_at is None or abs(now - self._asked_at) >= ASKED_ANEW:
                try:
                    found = standing_strategy(documents)
                except Unreadable as error:
                    alarm("strategy_not_loaded", reason=error.reason, kept=self._strategy.version)
                else:
                    if found.version != self._strategy.version:
                        fact("strategy_loaded", version=found.version)
                    self._strategy = found
                self._asked_at = now
            return self._strategy

    def decided(self, documents: Documents, now: datetime, by: Callable[[Strategy], T]) -> T:
        """What `by` makes of the strategy that stands. One that decides nothing is alarmed, and what is shipped decides in its
        place: a message that comes back for ever would lose cases too. Raises Unavailable."""
        strategy = self.at(documents, now)
        try:
            return by(strategy)
        except (ValueError, ArithmeticError) as error:
            alarm(
                "strategy_not_loaded",
                reason="decides_nothing",
                version=strategy.version,
                kept=SHIPPED.version,
                error=repr(error)[:300],
            )
            return by(SHIPPED)
