"""`functions/topology.json`, read: the same map that Terraform reads."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True, slots=True)
class Subscription:
    """Messages of `topic` that pass `filter`. `function` is where they are pushed; None where somebody pulls."""

    name: str
    topic: str
    filter: str = ""
    function: str | None = None


@cache
def _read() -> dict[str, Any]:
    topology: dict[str, Any] = json.loads((ROOT / "functions" / "topology.json").read_text(encoding="utf-8"))
    return topology


def topics() -> list[str]:
    return list(_read()["topics"])


def functions() -> list[str]:
    return list(_read()["functions"])


def pushed() -> list[Subscription]:
    """One for each function that takes messages, named as the function is."""
    return [
        Subscription(name, declared["topic"], declared.get("filter", ""), name)
        for name, declared in _read()["functions"].items()
        if declared["trigger"] == "pubsub"
    ]


def stored() -> dict[str, Subscription]:
    """Warehouse table to the subscription that feeds it, as BigQuery subscriptions do when deployed."""
    return {table: Subscription(f"warehouse-{topic}", topic) for topic, table in _read()["warehouse"].items()}
