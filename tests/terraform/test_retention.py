"""Everything that is kept has a class, a period and a reason, and Terraform and the code keep it for that long."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.domain import usage
from shared.flows import judged, notify
from terraform.tools import policy, tool

DAY = timedelta(days=1)
KEPT: dict[str, Any] = json.loads((tool.ROOT / "functions" / "retention.json").read_text())
TOPOLOGY: dict[str, Any] = json.loads((tool.ROOT / "functions" / "topology.json").read_text())
KINDS = ("collections", "tables", "topics", "buckets", "backups")


def days(kind: str, name: str) -> int | None:
    found: int | None = KEPT["classes"][KEPT[kind][name]]["days"]
    return found


def test_nothing_is_kept_without_a_class() -> None:
    for kind in ("collections", "tables"):
        assert set(KEPT[kind]) == set(TOPOLOGY[kind]), f"give each of the {kind} a class in functions/retention.json"
    assert set(KEPT["topics"]) == {*TOPOLOGY["topics"], "dead-letter"}, (
        "give each topic a class in functions/retention.json"
    )


def test_every_class_has_a_reason_and_something_in_it() -> None:
    used = {name for kind in KINDS for name in KEPT[kind].values()}
    assert used == set(KEPT["classes"])
    for name, one in KEPT["classes"].items():
        assert len(one["why"]) > 30, name
        assert one["days"] is None or one["days"] > one.get("at_least_days", 0), name


def test_a_collection_of_a_class_that_ends_expires_and_no_other_does() -> None:
    assert {name for name in KEPT["collections"] if days("collections", name)} == {
        name for name, of in TOPOLOGY["collections"].items() if of.get("expires")
    }


@pytest.mark.parametrize(
    ("collection", "period"),
    [
        ("feature_state", judged.FORGOTTEN_AFTER),
        ("lists", judged.FORGOTTEN_AFTER),
        ("assessments", 2 * judged.ONE_PURCHASE),
        ("usage", usage.KEPT),
        ("notifications", notify.KEPT),
    ],
)
def test_the_code_lets_documents_expire_when_their_class_says(collection: str, period: timedelta) -> None:
    assert days("collections", collection) == period / DAY


def test_terraform_keeps_tables_topics_buckets_and_copies_for_as_long(planned: Callable[[str], dict[str, Any]]) -> None:
    w = policy.world(planned("prod"), prod=True)
    tables = {
        one.values["table_id"]: one.block("time_partitioning").get("expiration_ms")
        for one in w.of("google_bigquery_table")
        if not one.values.get("view")
    }
    in_days = {name: None if ms is None else ms / 86_400_000 for name, ms in tables.items()}
    assert in_days == {name: days("tables", name) for name in KEPT["tables"]}
    # An endpoint outside of Google Cloud that hears a topic has it kept for a week.
    heard = {
        topic.split("/")[0]
        for one in w.of("google_pubsub_subscription")
        if one.values["name"].startswith("notify-")
        for topic in KEPT["topics"]
        if one.values["name"].endswith(topic)
    }
    for one in w.of("google_pubsub_topic"):
        name = one.values["name"]
        topic = next(topic for topic in sorted(KEPT["topics"], key=len, reverse=True) if name.startswith(topic))
        kept = max(days("topics", topic) or 0, 7 if topic in heard else 0)
        assert one.values["message_retention_duration"] == f"{kept * 86_400}s", name
    buckets = {one.values["name"].rpartition("-payin-")[2]: one for one in w.of("google_storage_bucket")}
    assert set(buckets) == set(KEPT["buckets"]), "give each bucket a class in functions/retention.json"
    for name, bucket in buckets.items():
        of = KEPT["classes"][KEPT["buckets"][name]]
        rules = bucket.values.get("lifecycle_rule") or []
        assert [rule["condition"][0]["age"] for rule in rules] == ([of["days"]] if of["days"] else [])
        locked = bucket.block("retention_policy").get("retention_period") if "at_least_days" in of else None
        assert locked == (str(of["at_least_days"] * 86_400) if "at_least_days" in of else None)
    copies = sorted(int(one.values["retention"][:-1]) // 86_400 for one in w.of("google_firestore_backup_schedule"))
    assert copies == sorted(days("backups", name) or 0 for name in KEPT["backups"])


def test_the_page_on_deploying_lists_every_class() -> None:
    page = (tool.ROOT / "terraform" / "README.md").read_text()
    for name, one in KEPT["classes"].items():
        kept = "no end" if one["days"] is None else f"{one['days']:,} days"
        assert f"| {name} | {kept} |" in page, name
