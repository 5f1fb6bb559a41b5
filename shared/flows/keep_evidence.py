"""What other systems tell of a subscriber is kept: what proves, when a dispute comes, that the service was used."""

from datetime import datetime

from shared.domain import timeline, usage
from shared.domain.codec import from_document
from shared.domain.errors import Unreadable
from shared.domain.telemetry import fact
from shared.domain.usage import Told, Usage
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.ports import Document, Key, Ports, Snapshot

COLLECTION = "usage"
EXPIRES = {"usage": "expires_at"}


def keep_evidence(told: Told, ports: Ports, now: datetime) -> None:
    """Add what is `told` to `usage/<customer_id>`, in one read and one commit; what is known changes nothing. The document
    expires `usage.KEPT` after the newest thing in it.

    Raises Unreadable for what is dated further ahead than clocks go apart, Unavailable when the documents are down or
    too contended.
    """
    if usage.latest(told) > now + usage.FARTHEST_AHEAD:
        raise Unreadable("a message of something that has not happened yet", reason="from_the_future")
    key = Key(COLLECTION, told.customer_id)

    def decide(seen: Seen) -> Decision[bool]:
        before = usage_of(seen[key]) or Usage(customer_id=told.customer_id)
        after = usage.record(before, told)
        if after == before:
            return Decision(True)
        return Decision(False, [write(key, seen[key], document_of(after, now))])

    known = change(ports.documents, [key], decide)
    fact("usage_kept", source=told.source, outcome="duplicate" if known else "kept")


def document_of(kept: Usage, now: datetime) -> Document:
    return {**timeline.compact(kept), EXPIRES[COLLECTION]: (kept.newest_at or now) + usage.KEPT}


def usage_of(snapshot: Snapshot | None) -> Usage | None:
    """The usage in a stored document."""
    return from_document(snapshot.document, Usage) if snapshot else None
