"""By what disputes are fought or accepted: as it stands, as it stood, and as people publish it."""

from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock

from shared.disputes.strategy import SHIPPED, Strategy
from shared.domain.codec import decode, encode
from shared.domain.errors import Unreadable
from shared.domain.telemetry import alarm, fact
from shared.flows.ports import Document, Documents, Key, Ports
from shared.flows.revisions import Published

STRATEGIES = Published("strategy", Key("registry", "strategy"), lambda version: Key("strategies", version))
ASKED_ANEW = timedelta(minutes=1)


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
    from. What was announced stays announced, by the version that it names."""
    contents = encode(replace(strategy, version=SHIPPED.version))
    return STRATEGIES.publish(ports.documents, contents, now, after=after or None, author=author, why=why)


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
