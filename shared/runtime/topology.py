"""`functions/topology.json`, read: the same map that Terraform and the local stack read."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shared.providers import names

ROOT = Path(__file__).resolve().parents[2]
TRIES = 20  # before a message is given up; terraform/messaging.tf has the same


@dataclass(frozen=True, slots=True)
class Subscription:
    """Messages of `topic` that pass `filter`; of one `provider`, where each has a topic of its own. `function` is where
    they are pushed; None where somebody pulls. `dead_letters` is the topic, and the subscription to it, in which those
    end that are given up; None where they wait for ever."""

    name: str
    topic: str
    filter: str = ""
    function: str | None = None
    provider: str | None = None
    dead_letters: str | None = None

    @property
    def address(self) -> str:
        """What the topic is called in Pub/Sub."""
        return f"{self.topic}-{_dashed(self.provider)}" if self.provider else self.topic

    @property
    def whole_filter(self) -> str:
        """The filter that takes the same from one topic of all providers; the local bus charges nothing for it."""
        of_provider = f'attributes.provider = "{self.provider}"' if self.provider else ""
        return f"{of_provider} AND ({self.filter})" if of_provider and self.filter else of_provider or self.filter


@cache
def read() -> dict[str, Any]:
    """The whole of it."""
    topology: dict[str, Any] = json.loads((ROOT / "functions" / "topology.json").read_text(encoding="utf-8"))
    return topology


def topics(providers: Iterable[str] = names()) -> list[str]:
    """As Pub/Sub calls them."""
    return [
        Subscription("", topic, provider=one).address for topic in read()["topics"] for one in _of(topic, providers)
    ]


def pushed(providers: Iterable[str] = names()) -> list[Subscription]:
    """Those of each function that takes messages: one for each provider where topics are theirs, and one beside it for
    what must not wait in the same queue."""
    return [
        Subscription(
            "-".join(_dashed(part) for part in (name, beside, provider) if part),
            declared["topic"],
            passes,
            name,
            provider,
            f"dead-letter-{_dashed(name)}",
        )
        for name, declared in read()["functions"].items()
        if declared["trigger"] == "pubsub"
        for beside, passes in {"": declared.get("filter", ""), **declared.get("beside", {})}.items()
        for provider in _of(declared["topic"], providers)
    ]


def stored(providers: Iterable[str] = names()) -> list[tuple[str, Subscription]]:
    """Warehouse tables and the subscriptions that feed them, as BigQuery subscriptions do when deployed."""
    return [
        (
            table,
            Subscription(
                "-".join(_dashed(part) for part in ("warehouse", topic, provider) if part),
                topic,
                filter=f"NOT ({left_out})" if (left_out := read()["unstored"].get(topic)) else "",
                provider=provider,
                dead_letters=f"dead-letter-warehouse-{topic}",
            ),
        )
        for topic, table in read()["warehouse"].items()
        for provider in _of(topic, providers)
    ]


def pulled() -> list[Subscription]:
    """For people and tools."""
    return [Subscription(topic, topic, filter=only) for topic, only in read()["pulled"].items()]


def dead_letters() -> list[str]:
    """Where messages end that were given up: topics, and subscriptions of the same names that hold them for people."""
    every = [*pushed(), *(own for _, own in stored())]
    return list(dict.fromkeys(own.dead_letters for own in every if own.dead_letters))


def _of(topic: str, providers: Iterable[str]) -> list[str | None]:
    return list(providers) if topic in read()["by_provider"] else [None]


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def given_up_from() -> dict[str, tuple[str | None, str]]:
    """Of each of `dead_letters`, the function that gave up and the topic whose messages it takes; None: the warehouse."""
    found: dict[str, tuple[str | None, str]] = {}
    for own in [*pushed(), *(one for _, one in stored())]:
        if own.dead_letters:
            found[own.dead_letters] = (own.function, own.topic)
    return found
