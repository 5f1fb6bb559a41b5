"""Messages in, signed notifications out, to systems outside of Google Cloud: each endpoint by itself.

Pub/Sub offers a message again until the endpoint has taken it, later each time; each endpoint has subscriptions of its own,
so that none waits for another. What is sent again is the same bytes under the same id.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.domain.codec import decode, encode, from_document
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.notifications import Endpoint, EndpointState, Notification, NotificationUnknown
from shared.domain.telemetry import alarm, fact
from shared.flows.ports import Accumulate, Documents, Key, Ports, Snapshot

NOTIFICATIONS = "notifications"
ENDPOINTS = "endpoints"
EXPIRES = {"notifications": "expires_at"}
KEPT = timedelta(days=30)
SHOWN = 100

GONE = 410

# Topic and `action` to what it is called outside, and the member that is the same on every copy.
KINDS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("dispute-updates", ""): ("dispute.updated", "update_id"),
    ("dispute-actions", "remind"): ("dispute.reminder", "action_id"),
    ("dispute-actions", "answer_told"): ("dispute.answer", "action_id"),
    ("dispute-actions", "alert_answered"): ("dispute.alert_answered", "action_id"),
    ("payment-actions", "release"): ("payment.release", "action_id"),
    ("payment-actions", "refuse"): ("payment.refuse", "action_id"),
    ("payment-actions", "suspend"): ("payment.suspend", "action_id"),
    ("payment-actions", "restore"): ("payment.restore", "action_id"),
}
TOPICS = tuple(dict.fromkeys(topic for topic, _ in KINDS))
# Who of us decided is nobody's business outside.
WITHHELD = frozenset({"by", "answer_by"})

Send = Callable[[Endpoint, str, str, datetime], int]
"""Sends a body under an id, signed as of now, and answers the status, 0 where no answer came."""


def notify(
    endpoint: Endpoint,
    topic: str,
    data: bytes,
    attributes: Mapping[str, str],
    published_at: datetime,
    ports: Ports,
    send: Send,
    now: datetime,
) -> None:
    """Tell `endpoint` of a message, unless it has taken it already, said that nobody listens there, or is none of `KINDS`.

    Raises Unavailable where the endpoint did not take it, Unreadable for a message that is none of ours.
    """
    kind, member = KINDS.get((topic, attributes.get("action", "")), ("", ""))
    if not kind:
        return
    told = decode(data, dict[str, Any])
    if not isinstance(own := told.get(member), str):
        raise Unreadable(f"a message of {topic} without {member}", reason="malformed_message")
    # Never a provider's own id, which may hold what the signature's form cannot.
    notification_id = "msg_" + hashlib.sha256(f"{topic}/{own}".encode()).hexdigest()[:32]
    [found, state] = ports.documents.get([_key(endpoint, notification_id), Key(ENDPOINTS, endpoint.name)])
    if disabled_at(endpoint, state) is not None:
        fact("notification_withheld", endpoint=endpoint.name, notification_id=notification_id)
        return
    before = _read(found)
    if before is not None and before.delivered_at is not None:
        return
    shared = {name: value for name, value in told.items() if name not in WITHHELD}
    body = before.body if before else encode({"type": kind, "timestamp": published_at, "data": shared}).decode()
    status = _sent(endpoint, notification_id, kind, body, ports, send, now)
    if status != GONE and not _taken(status):
        raise Unavailable(f"{endpoint.name} answers {status or 'nothing'}", reason="endpoint_unavailable")


def _sent(
    endpoint: Endpoint,
    notification_id: str,
    kind: str,
    body: str,
    ports: Ports,
    send: Send,
    now: datetime,
    by: str | None = None,
) -> int:
    status = send(endpoint, notification_id, body, now)
    written: dict[tuple[str, ...], Any] = {
        ("endpoint",): endpoint.name,
        ("notification_id",): notification_id,
        ("kind",): kind,
        ("body",): body,
        ("tried_at",): now,
        ("status",): status,
        (EXPIRES[NOTIFICATIONS],): now + KEPT,
    }
    if _taken(status):
        written[("delivered_at",)] = now
    if by is not None:
        written[("resent_by",)] = by
    writes = [Accumulate(_key(endpoint, notification_id), add={("tries",): 1}, put=written)]
    if status == GONE:
        gone: dict[tuple[str, ...], Any] = {("url",): endpoint.url, ("disabled_at",): now}
        writes.append(Accumulate(Key(ENDPOINTS, endpoint.name), put=gone))
    ports.documents.commit(writes)
    if status == GONE:
        alarm("endpoint_gone", endpoint=endpoint.name)
    fact("notification_sent", endpoint=endpoint.name, notification_id=notification_id, kind=kind, status=status)
    return status


def resend(endpoint: Endpoint, notification_id: str, ports: Ports, send: Send, by: str, now: datetime) -> Notification:
    """Send once more, now, what was sent under this id, whatever came of it. Raises NotificationUnknown."""
    [found] = ports.documents.get([_key(endpoint, notification_id)])
    before = _read(found)
    if before is None:
        raise NotificationUnknown("nothing of this name was sent to this endpoint, or it is forgotten")
    _sent(endpoint, notification_id, before.kind, before.body, ports, send, now, by)
    after = _read(ports.documents.get([_key(endpoint, notification_id)])[0])
    assert after is not None
    return after


def listed(endpoint: Endpoint, ports: Ports, after: str = "") -> list[Notification]:
    """What was sent, in the order of its ids, the `SHOWN` that follow `after`."""
    found = map(_read, ports.documents.scan(NOTIFICATIONS, SHOWN, f"{endpoint.name}:{after}"))
    return [one for one in found if one is not None and one.endpoint == endpoint.name]


def enable(name: str, ports: Ports, by: str) -> None:
    """Somebody listens at this endpoint again. What was withheld is offered again by seeking its subscriptions."""
    ports.documents.commit([Accumulate(Key(ENDPOINTS, name), put={("enabled_by",): by}, drop=[("disabled_at",)])])
    fact("endpoint_enabled", endpoint=name)


def states(documents: Documents) -> dict[str, EndpointState]:
    """What endpoints have said of themselves, by name; of most there is nothing."""
    return {one.key.id: from_document(one.document, EndpointState) for one in documents.scan(ENDPOINTS, SHOWN)}


def disabled_at(endpoint: Endpoint, found: Snapshot | None) -> datetime | None:
    """Since when nobody listens at this very address, as it said itself; another one begins anew."""
    state = from_document(found.document, EndpointState) if found else EndpointState()
    return state.disabled_at if state.url == endpoint.url else None


def _taken(status: int) -> bool:
    return 200 <= status < 300


def _key(endpoint: Endpoint, notification_id: str) -> Key:
    return Key(NOTIFICATIONS, f"{endpoint.name}:{notification_id}")


def _read(found: Snapshot | None) -> Notification | None:
    return from_document(found.document, Notification) if found else None
