"""BigQuery columns derived from our dataclasses. `python -m tests.backends.declared` writes payment_events.json anew."""

import dataclasses
import json
import types
import typing
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from shared.domain.disputes import DisputeUpdate
from shared.domain.events import KINDS
from shared.domain.health import HealthMeasured
from shared.domain.labels import FraudLabel
from shared.domain.payouts import PayoutExplained
from shared.domain.traffic import TrafficCounted
from shared.flows.decisions import DecisionRow

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "learning" / "sql" / "tables"

Columns = list[dict[str, Any]]

# What a BigQuery subscription adds with `write_metadata`.
METADATA: Columns = [
    {"name": "subscription_name", "type": "STRING", "mode": "NULLABLE"},
    {"name": "message_id", "type": "STRING", "mode": "NULLABLE"},
    {"name": "publish_time", "type": "TIMESTAMP", "mode": "NULLABLE"},
    {"name": "attributes", "type": "STRING", "mode": "NULLABLE"},
]

_TYPES = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", datetime: "TIMESTAMP"}


def columns_of(*classes: type) -> Columns:
    """The union of the members of `classes`, in order of first appearance."""
    found: dict[str, dict[str, Any]] = {}
    for cls in classes:
        hints = typing.get_type_hints(cls)
        for member in dataclasses.fields(cls):
            column = _column(member.name, hints[member.name])
            if found.setdefault(member.name, column) != column:
                raise AssertionError(f"{member.name} has one type in {cls.__name__} and another elsewhere")
    return list(found.values())


def _column(name: str, hint: Any) -> dict[str, Any]:
    mode = "NULLABLE"
    if isinstance(hint, types.UnionType):
        [hint] = [one for one in typing.get_args(hint) if one is not type(None)]
    if typing.get_origin(hint) is tuple:
        mode, hint = "REPEATED", typing.get_args(hint)[0]
    if dataclasses.is_dataclass(hint):
        return {"name": name, "type": "RECORD", "mode": mode, "fields": columns_of(typing.cast(type, hint))}
    return {"name": name, "type": "STRING" if issubclass(hint, StrEnum) else _TYPES[hint], "mode": mode}


def tables() -> dict[str, Columns]:
    """Every table whose rows are messages of a dataclass of ours."""
    # What `codec.encode_event` adds to an event.
    envelope: Columns = [
        {"name": "kind", "type": "STRING", "mode": "NULLABLE"},
        {"name": "heard_at", "type": "TIMESTAMP", "mode": "NULLABLE"},
    ]
    return {
        "payment_events": [*envelope, *columns_of(*KINDS.values()), *METADATA],
        "fraud_decisions": [*columns_of(DecisionRow), *METADATA],
        "fraud_labels": [*columns_of(FraudLabel), *METADATA],
        "dispute_updates": [*columns_of(DisputeUpdate), *METADATA],
        "model_health": [*columns_of(HealthMeasured), *METADATA],
        "provider_traffic": [*columns_of(TrafficCounted), *METADATA],
        "payouts": [*columns_of(PayoutExplained), *METADATA],
    }


def text_of(columns: Columns) -> str:
    """One column a line."""
    return "[\n" + ",\n".join("  " + json.dumps(column) for column in columns) + "\n]\n"


if __name__ == "__main__":
    (FOLDER / "payment_events.json").write_text(text_of(tables()["payment_events"]), encoding="utf-8")
