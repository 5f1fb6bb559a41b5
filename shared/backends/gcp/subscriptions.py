"""What waits in Pub/Sub's subscriptions, by Google's own subscriber: for people's tools, and in no function's bundle."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from shared.domain.errors import Misconfigured, Unavailable
from shared.flows.ports import Pulled

PATIENCE = 5.0
"""Seconds after which nothing is said to wait: Pub/Sub holds a pull open until something comes."""
_CALL = 30.0
_AT_ONCE = 1000  # acknowledgements of a request


class PubSubSubscriptions:
    """`shared.flows.ports.Subscriptions`. `push_to` takes the whole push configuration, in Pub/Sub's own JSON."""

    def __init__(self, project: str, emulator: str | None, patience: float = PATIENCE) -> None:
        self._project, self._emulator, self._patience = project, emulator, patience

    @cached_property
    def _client(self) -> Any:
        from google.cloud import pubsub_v1  # type: ignore[attr-defined]

        if self._emulator is None:
            return pubsub_v1.SubscriberClient()
        import grpc
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        return pubsub_v1.SubscriberClient(
            transport=SubscriberGrpcTransport(channel=grpc.insecure_channel(self._emulator))
        )

    def take(self, name: str, limit: int) -> list[Pulled]:
        from google.api_core.exceptions import DeadlineExceeded

        asked = {"subscription": self._path(name), "max_messages": limit}
        with _told(name):
            try:
                answer = self._client.pull(request=asked, timeout=self._patience, retry=None)
            except DeadlineExceeded:
                return []
        return [
            Pulled(
                ack_id=one.ack_id,
                message_id=one.message.message_id,
                published_at=_instant(one.message.publish_time),
                attempt=max(one.delivery_attempt, 1),
                data=one.message.data,
                attributes=dict(one.message.attributes),
            )
            for one in answer.received_messages
        ]

    def ack(self, name: str, ack_ids: Sequence[str]) -> None:
        for chunk in _chunks(ack_ids):
            with _told(name):
                self._client.acknowledge(subscription=self._path(name), ack_ids=chunk, timeout=_CALL)

    def give_back(self, name: str, ack_ids: Sequence[str]) -> None:
        for chunk in _chunks(ack_ids):
            asked = {"subscription": self._path(name), "ack_ids": chunk, "ack_deadline_seconds": 0}
            with _told(name):
                self._client.modify_ack_deadline(request=asked, timeout=_CALL)

    def pushed_to(self, name: str) -> str | None:
        with _told(name):
            found = self._client.get_subscription(subscription=self._path(name), timeout=_CALL).push_config
        return json.dumps(type(found).to_dict(found), sort_keys=True) if found.push_endpoint else None

    def push_to(self, name: str, where: str | None) -> None:
        told = json.loads(where) if where else {}
        with _told(name):
            self._client.modify_push_config(subscription=self._path(name), push_config=told, timeout=_CALL)

    def _path(self, name: str) -> str:
        return f"projects/{self._project}/subscriptions/{name}"


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Google's errors as ours."""
    from google.api_core.exceptions import DeadlineExceeded, GoogleAPIError, NotFound, PermissionDenied
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    try:
        yield
    except DeadlineExceeded as error:
        raise Unavailable(f"Pub/Sub does not answer about {name}", reason="pubsub_down") from error
    except NotFound as error:
        raise Misconfigured(f"there is no subscription {name}", reason="no_subscription") from error
    except PermissionDenied as error:
        raise Misconfigured(
            f"these credentials may not do this with the subscription {name}: roles/pubsub.editor may",
            reason="not_allowed",
        ) from error
    except DefaultCredentialsError as error:
        raise Misconfigured("no credentials: run `gcloud auth application-default login`") from error
    except (GoogleAPIError, GoogleAuthError) as error:
        raise Unavailable(f"Pub/Sub fails with {name}: {type(error).__name__}", reason="pubsub_down") from error


def _chunks(ack_ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ack_ids), _AT_ONCE):
        yield list(ack_ids[start : start + _AT_ONCE])


def _instant(at: Any) -> datetime:
    return datetime.fromtimestamp(at.timestamp(), UTC)
