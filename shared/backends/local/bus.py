"""Topics and subscriptions in the local database, with Pub/Sub's behaviour: fan-out, filters, leases, dead letters."""

import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.backends.local.filters import compiled
from shared.backends.local.sql import Database, Direct, queue, stopped, subscriptions
from shared.backends.values import attributes
from shared.domain.errors import Misconfigured
from shared.flows.ports import Message, Pulled

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
TAKEN_FOR = 60.0
"""Seconds that a message is leased to whoever takes it."""
PUSHED = "local"
"""Where the pusher knows best where to."""


class LocalBus:
    """`shared.flows.ports.Bus` and `Subscriptions`, and the subscriber's side for whoever delivers messages to functions.

    `now` rules leases only; left out it is the machine's clock, for a lease is about processes, not about payments.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def subscribe(
        self,
        name: str,
        topic: str,
        filter: str = "",  # noqa: A002 - Pub/Sub's word
        max_attempts: int = 5,
        dead_letter_topic: str | None = None,
    ) -> None:
        """Let `name` receive what is published to `topic` from now on; a subscription of that name is changed.

        After `max_attempts` a message moves to `dead_letter_topic`; without one it is tried for ever.
        """
        compiled(filter)
        row = {
            "topic": topic,
            "filter": filter,
            "max_attempts": max_attempts,
            "dead_letter_topic": dead_letter_topic,
        }
        upsert = self._database.insert(subscriptions).values(name=name, **row)
        self._database.write(
            lambda connection: connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=row))
        )

    def publish(self, messages: Sequence[Message]) -> None:
        if messages:
            now = _instant(None)
            self._database.writing(lambda connection: _publish(connection, messages, now))

    def pull(self, name: str, limit: int, lease_seconds: float, now: datetime | None = None) -> list[Pulled]:
        """Up to `limit` messages, hidden from others for `lease_seconds`, the longest waiting first: what would be pushed, so
        nothing of a subscription that is stopped."""
        return self._pull(name, limit, lease_seconds, _instant(now), sa.not_(sa.exists(_stopped(name))))

    def take(self, name: str, limit: int) -> list[Pulled]:
        self._known(name)
        return self._pull(name, limit, TAKEN_FOR, _instant(None), sa.true())

    def give_back(self, name: str, ack_ids: Sequence[str]) -> None:
        self.nack(name, ack_ids)

    def pushed_to(self, name: str) -> str | None:
        self._known(name)
        with self._database.read() as connection:
            return None if connection.execute(_stopped(name)).first() else PUSHED

    def push_to(self, name: str, where: str | None) -> None:
        self._known(name)
        stop = self._database.insert(stopped).values(subscription=name).on_conflict_do_nothing()
        go_on = sa.delete(stopped).where(stopped.c.subscription == name)
        self._database.write(lambda connection: connection.execute(stop if where is None else go_on))

    def _known(self, name: str) -> None:
        with self._database.read() as connection:
            if connection.execute(sa.select(subscriptions.c.name).where(subscriptions.c.name == name)).first() is None:
                raise Misconfigured(f"there is no subscription {name}", reason="no_subscription")

    def _pull(self, name: str, limit: int, lease_seconds: float, at: int, only: sa.ColumnElement[bool]) -> list[Pulled]:
        waiting = (
            sa.select(queue)
            .where(queue.c.subscription == name, queue.c.visible_at <= at, only)
            .order_by(queue.c.visible_at, queue.c.seq)
            .limit(limit)
        )
        # Looking is free; only what is there to be had is worth a write.
        with self._database.read() as connection:
            if connection.execute(waiting.with_only_columns(queue.c.seq).limit(1)).first() is None:
                return []

        def lease(connection: sa.Connection) -> list[Pulled]:
            rows = connection.execute(waiting.with_for_update(skip_locked=True)).all()
            own = connection.execute(sa.select(subscriptions).where(subscriptions.c.name == name)).one()
            spent = [row for row in rows if own.dead_letter_topic is not None and row.attempts >= own.max_attempts]
            if spent:
                dead = [_dead_letter(row, own.dead_letter_topic) for row in spent]
                _publish(self._database.beneath(connection), dead, at)
                connection.execute(sa.delete(queue).where(queue.c.seq.in_([row.seq for row in spent])))
            leased = [row for row in rows if row not in spent]
            if not leased:
                return []
            token = secrets.token_hex(8)
            connection.execute(
                sa.update(queue)
                .where(queue.c.seq.in_([row.seq for row in leased]))
                .values(attempts=queue.c.attempts + 1, visible_at=at + _micros(lease_seconds), lease=token)
            )
            return [_pulled(row, token) for row in leased]

        return self._database.write(lease)

    def ack(self, name: str, ack_ids: Iterable[str]) -> None:
        """These are done. An `ack_id` whose lease somebody else has taken since is no longer worth anything."""
        held = _held(name, ack_ids)
        self._database.write(lambda connection: [connection.execute(sa.delete(queue).where(row)) for row in held])

    def nack(self, name: str, ack_ids: Iterable[str], delay_seconds: float = 0, now: datetime | None = None) -> None:
        """These failed: offer them again after `delay_seconds`."""
        visible_at = _instant(now) + _micros(delay_seconds)
        again = [sa.update(queue).where(row).values(visible_at=visible_at) for row in _held(name, ack_ids)]
        self._database.write(lambda connection: [connection.execute(statement) for statement in again])

    def backlog(self, name: str) -> int:
        """Messages of subscription `name` that are not acknowledged, leased ones among them."""
        with self._database.read() as connection:
            count = sa.select(sa.func.count()).select_from(queue).where(queue.c.subscription == name)
            return connection.execute(count).scalar_one()


def _stopped(name: str) -> sa.Select[Any]:
    return sa.select(stopped.c.subscription).where(stopped.c.subscription == name)


@cache
def _wanting(topics: int) -> sa.Select[Any]:
    among: list[sa.BindParameter[str]] = [sa.bindparam(f"topic{number}") for number in range(topics)]
    columns = (subscriptions.c.name, subscriptions.c.topic, subscriptions.c.filter)
    return sa.select(*columns).where(subscriptions.c.topic.in_(among))


_ROW = ("subscription", "message_id", "published_at", "data", "attributes", "attempts", "visible_at", "lease")
_QUEUE = sa.insert(queue).values({name: sa.bindparam(name) for name in _ROW}).inline()


def _publish(connection: Direct, messages: Sequence[Message], now: int) -> None:
    topics = sorted({message.topic for message in messages})
    wanting = connection.rows(_wanting(len(topics)), {f"topic{place}": topic for place, topic in enumerate(topics)})
    rows = []
    for message in messages:
        told = attributes(message.attributes)
        row = {
            "message_id": str(secrets.randbits(53)),
            "published_at": now,
            "data": message.data,
            "attributes": msgspec.json.encode(told).decode(),
            "attempts": 0,
            "visible_at": now,
            "lease": "",
        }
        rows += [
            {"subscription": name, **row}
            for name, topic, only in wanting
            if topic == message.topic and compiled(only)(told)
        ]
    connection.each(_QUEUE, rows)


def _dead_letter(row: sa.Row[Any], topic: str) -> Message:
    """The message as Pub/Sub forwards it (cloud.google.com/pubsub/docs/handling-failures)."""
    told = {
        "CloudPubSubDeadLetterSourceDeliveryCount": str(row.attempts),
        "CloudPubSubDeadLetterSourceSubscription": row.subscription,
        "CloudPubSubDeadLetterSourceTopicPublishTime": _time(row.published_at).isoformat(),
    }
    return Message(topic, row.data, _attributes(row) | told)


def _held(name: str, ack_ids: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    """Conditions rather than one IN: two subscribers' leases must never be mixed up."""
    split = [ack_id.split(":", 1) for ack_id in sorted(ack_ids)]
    return [
        sa.and_(queue.c.subscription == name, queue.c.seq == int(seq), queue.c.lease == token) for seq, token in split
    ]


def _pulled(row: sa.Row[Any], token: str) -> Pulled:
    return Pulled(
        ack_id=f"{row.seq}:{token}",
        message_id=row.message_id,
        published_at=_time(row.published_at),
        attempt=row.attempts + 1,
        data=bytes(row.data),
        attributes=_attributes(row),
    )


def _attributes(row: sa.Row[Any]) -> dict[str, str]:
    return msgspec.json.decode(row.attributes, type=dict[str, str])


def _instant(now: datetime | None) -> int:
    return time.time_ns() // 1000 if now is None else (now - _EPOCH) // _MICROSECOND


def _time(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
