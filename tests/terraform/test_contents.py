"""The infrastructure is what the code needs, no less and no more; and each kind of drift is seen."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from shared.backends.tables import columns
from shared.disputes import ready_flags
from shared.disputes.strategy import OUTCOMES_SQL
from shared.flows import cohorts, freshness, monitor_model, watch_traffic
from shared.flows.backtest import COUNT_SQL
from shared.flows.explain_payouts import HEARD_SQL
from shared.flows.payout_links import LINKS_SQL, UNPAID_SQL
from shared.flows.ports import FOUND_BY, LISTED_BY
from shared.flows.recompute_decisions import NEWEST_SQL, replayed_sql
from shared.flows.replay_deliveries import STORED_SQL, TOLD_SQL
from shared.flows.rule_health import HITS_SQL, MEASURED_SQL
from shared.fraud.attacks import NEWCOMERS_SQL
from shared.fraud.backtest import backtest_sql
from shared.fraud.book import SHIPPED
from shared.fraud.point_in_time import audited_sql, logged_sql, served_sql
from shared.learning import data_set
from shared.operations.payouts import PAID_SQL
from shared.providers import names as providers
from terraform.tools import bundle, policy, tool
from tests.terraform.contents import Contents, differences, of_code, of_plan

Plan = dict[str, Any]
ROOT = tool.ROOT
TOPOLOGY: dict[str, Any] = json.loads((ROOT / "functions" / "topology.json").read_text())


@cache
def code() -> Contents:
    return of_code(ROOT)


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_terraform_has_what_the_code_needs_and_nothing_else(env: str, planned: Callable[[str], Plan]) -> None:
    assert differences(code(), of_plan(planned(env))) == []


def test_the_topology_says_what_the_code_does() -> None:
    here = code()
    assert {
        f"{name}/{topic}" for name, f in TOPOLOGY["functions"].items() for topic in f["publishes"]
    } == here.publishes
    assert {
        f"{name}/{part}:{access}" for name, f in TOPOLOGY["functions"].items() for part, access in f["needs"].items()
    } == here.needs
    functions = TOPOLOGY["functions"].items()
    jobs = {job for name, f in functions for job in ([name] if "schedule" in f else f.get("schedules", ()))}
    assert jobs == here.jobs
    assert set(TOPOLOGY["collections"]) == here.collections
    assert {
        f"{name}/{field}{word}"
        for name, c in TOPOLOGY["collections"].items()
        for part, word in (("due", ""), ("found", ""), ("expires", " expires"))
        for field in c.get(part, ())
    } | {
        f"{name}/{index}"
        for name, c in TOPOLOGY["collections"].items()
        for order, texts in c.get("listed", {}).items()
        for index in (order, *(f"{text}+{order}" for text in texts))
    } == here.due
    assert {field for c in TOPOLOGY["collections"].values() for field in c.get("found", ())} == FOUND_BY
    assert {
        order: fields for c in TOPOLOGY["collections"].values() for order, fields in c.get("listed", {}).items()
    } == {order: list(fields) for order, fields in LISTED_BY.items()}
    assert set(TOPOLOGY["tables"]) == here.tables


def test_each_function_reaches_firestore_the_way_that_the_topology_says(planned: Callable[[str], Plan]) -> None:
    for one in policy.world(planned("prod"), prod=True).of("google_cloudfunctions2_function"):
        declared = TOPOLOGY["functions"][one.block("build_config")["entry_point"]].get("firestore")
        assert one.block("service_config")["environment_variables"].get("PAYIN_FIRESTORE_TRANSPORT") == declared


def test_what_publishes_a_providers_words_has_the_key_of_pseudonyms_and_nothing_else_has() -> None:
    for name, function in TOPOLOGY["functions"].items():
        sources = [data for path, data in bundle.files(name).items() if path != "shared/runtime/app.py"]
        asks = any(b".pseudonymous_bus()" in data or b".settings.keyring()" in data for data in sources)
        secrets = [one for one in function.get("secrets", []) if one != "PAYIN_CONSOLE_KEY"]
        assert secrets == (["PAYIN_PSEUDONYM_KEYS"] if asks else []), name


def test_every_environment_serves_every_provider() -> None:
    for file in (ROOT / "terraform" / "envs").glob("*.tfvars"):
        served = re.findall(r"^  (\w+)\s*= \{", file.read_text().split("payment_providers")[1], re.MULTILINE)
        assert sorted(served) == sorted(providers()), f"{file.name}: one entry in payment_providers for each adapter"


def test_a_topic_that_is_published_is_also_read() -> None:
    read = {f["topic"] for f in TOPOLOGY["functions"].values() if "topic" in f}
    assert read | set(TOPOLOGY["warehouse"]) | set(TOPOLOGY["pulled"]) == set(TOPOLOGY["topics"])


def test_tables_are_partitioned_and_clustered_by_columns_that_they_have() -> None:
    for table, layout in TOPOLOGY["tables"].items():
        types = {column.name: column.type for column in columns(table)}
        assert types[layout["partition"]] in ("TIMESTAMP", "DATE")
        assert 1 <= len(layout["cluster"]) <= 4
        assert {*layout["cluster"], layout["partition"]} <= set(types)
        if "once" in layout:
            assert {*layout["once"], layout["newest"]} <= set(types)
            # Only so does a filter on the de-duplicating view reach the table under it.
            assert layout["partition"] in layout["once"]


def test_every_query_of_ours_names_the_partitions_that_it_reads() -> None:
    trained = [data_set.labeled_sql(sql) for sql in (data_set.named_sql(served_sql()), logged_sql())]
    watched = [
        sql
        for of in (monitor_model, cohorts, freshness, ready_flags, watch_traffic)
        for name, sql in vars(of).items()
        if name.endswith("_SQL") and "FROM" in sql
    ]
    assert NEWCOMERS_SQL in watched
    for sql in (
        data_set.COUNT_SQL,
        data_set.LOGGED_SQL,
        *trained,
        *watched,
        audited_sql(),
        OUTCOMES_SQL,
        COUNT_SQL,
        HITS_SQL,
        MEASURED_SQL,
        backtest_sql(SHIPPED.contents.rules, ())[0],
        replayed_sql(named=True, entities=True),
        NEWEST_SQL,
        STORED_SQL,
        TOLD_SQL,
        HEARD_SQL,
        LINKS_SQL,
        UNPAID_SQL,
        PAID_SQL,
    ):
        scans = [
            (select, table.name)
            for select in sqlglot.parse_one(sql, dialect="bigquery").find_all(exp.Select)
            for table in [select.args["from_"].this if select.args.get("from_") else None]
            if isinstance(table, exp.Table) and table.name in TOPOLOGY["tables"]
        ]
        assert scans
        for select, table in scans:
            filtered = {column.name for column in select.args["where"].find_all(exp.Column)}
            assert TOPOLOGY["tables"][table]["partition"] in filtered, f"BigQuery would refuse this query of {table}"


# Drift in the code: a change somebody makes there and forgets here.

# Each is a definition anew of something that is reached, as an edit of it would be: what nothing calls is no drift.
DRIFT_IN_CODE = {
    "a topic": (
        "shared/flows/record_payment.py",
        '\ndef record_payment(event, ports, now):\n    ports.bus.publish([Message("refund-requests", b"")])\n',
        "topics: the code has refund-requests, Terraform has not",
    ),
    "a collection": (
        "shared/flows/track_dispute.py",
        '\ndef track_dispute(event, ports, now):\n    ports.documents.get([Key("evidence", "1")])\n',
        "collections: the code has evidence, Terraform has not",
    ),
    "a query": (
        "shared/flows/track_dispute.py",
        '\ndef track_dispute(event, ports, now):\n    ports.documents.due("cases", "stale_at", now, 1)\n',
        "due: the code has cases/stale_at, Terraform has not",
    ),
    "a text to find by": (
        "shared/flows/track_dispute.py",
        '\ndef track_dispute(event, ports, now):\n    ports.documents.find("cases", "paid_by", "x", 1)\n',
        "due: the code has cases/paid_by, Terraform has not",
    ),
    "a need": (
        "shared/flows/record_payment.py",
        "\ndef record_payment(event, ports, now):\n    ports.warehouse.query('SELECT 1')\n",
        "needs: the code has record_payment/warehouse:read, Terraform has not",
    ),
    "a setting": (
        "shared/settings.py",
        '\ndef _more(environment):\n    return environment.get("PAYIN_REGION")\n',
        "environment: the code has PAYIN_REGION, Terraform has not",
    ),
    "a job": (
        "functions/check_deadlines/main.py",
        '\nentry.on_tick("send_reports", lambda _: None)\n',
        "jobs: the code has send_reports, Terraform has not",
    ),
    "a publisher": (
        "shared/flows/record_payment.py",
        '\ndef record_payment(event, ports, now):\n    ports.bus.publish([Message("fraud-decisions", b"")])\n',
        "publishes: the code has record_payment/fraud-decisions, Terraform has not",
    ),
    "a function": (
        "functions/close_books/main.py",
        "",
        "functions: the code has close_books, Terraform has not",
    ),
    "a provider": (
        "shared/providers/newpay/api.py",
        "def resource_request(): ...\n",
        "secrets: the code has fetch_resource/API_NEWPAY, Terraform has not",
    ),
    "a table": (
        "shared/learning/sql/tables/invoices.json",
        "[]",
        "tables: the code has invoices, Terraform has not",
    ),
    "a column": (
        "shared/learning/sql/tables/deliveries.json",
        None,
        "columns: the code has deliveries.invented STRING NULLABLE, Terraform has not",
    ),
}


@pytest.mark.parametrize("kind", DRIFT_IN_CODE)
def test_drift_in_the_code_is_seen(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code()  # where it is, before it is looked for elsewhere
    for part in ("shared", "functions"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    name, added, sentence = DRIFT_IN_CODE[kind]
    file = tmp_path / name
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.touch()
        if file.name == "main.py":
            (file.parent / "requirements.txt").touch()
    if added is None:
        file.write_text(json.dumps([*json.loads(file.read_text()), {"name": "invented", "type": "STRING"}]))
    else:
        file.write_text(file.read_text() + added)
    assert sentence in differences(of_code(tmp_path), before)


# Drift in Terraform: something left out of the configuration, or invented there.

DRIFT_IN_TERRAFORM = [
    ('google_pubsub_topic.topic["dispute-updates"]', "topics: the code has dispute-updates"),
    (
        'google_pubsub_topic_iam_member.publisher["score_payment/fraud-decisions"]',
        "publishes: the code has score_payment/",
    ),
    ('google_cloud_scheduler_job.tick["check_deadlines"]', "jobs: the code has check_deadlines"),
    ('google_firestore_field.unindexed["cases"]', "collections: the code has cases"),
    ('google_firestore_field.due["disputes/next_action_at"]', "due: the code has disputes/next_action_at"),
    (
        'google_firestore_field.expires["feature_state/expires_at"]',
        "due: the code has feature_state/expires_at expires",
    ),
    ('google_project_iam_member.documents["track_dispute"]', "needs: the code has track_dispute/documents:write"),
    ('google_storage_bucket_iam_member.models_write["train_model"]', "needs: the code has train_model/models:write"),
    ('module.webhook["stripe"].google_cloudfunctions2_function.this', "secrets: the code has webhook/WEBHOOK_STRIPE"),
    (
        'module.function["score_payment"].google_cloudfunctions2_function.this',
        "environment: the code has PAYIN_ASSESSMENTS,",
    ),
    ('google_bigquery_table.table["deliveries"]', "tables: the code has deliveries"),
    ('google_bigquery_table.table["deliveries"]', "columns: the code has deliveries.body BYTES"),
    ('module.function["train_model"].google_cloudfunctions2_function.this', "functions: the code has train_model"),
]


def _without(module: dict[str, Any], address: str) -> bool:
    """Remove `address` wherever it is; whether it was there."""
    before = len(module.get("resources", []))
    module["resources"] = [one for one in module.get("resources", []) if one["address"] != address]
    found = len(module["resources"]) < before
    return any([found, *(_without(child, address) for child in module.get("child_modules", []))])


@pytest.mark.parametrize(("address", "sentence"), DRIFT_IN_TERRAFORM)
def test_what_terraform_leaves_out_is_seen(address: str, sentence: str, planned: Callable[[str], Plan]) -> None:
    plan = planned("dev")
    assert _without(plan["planned_values"]["root_module"], address), f"{address} is no resource of the plan"
    assert any(one.startswith(sentence) for one in differences(code(), of_plan(plan)))


def test_each_kind_of_drift_is_planted_on_either_side() -> None:
    kinds = {part.name for part in fields(Contents)}
    assert {sentence.split(":")[0] for _, _, sentence in DRIFT_IN_CODE.values()} == kinds
    assert {sentence.split(":")[0] for _, sentence in DRIFT_IN_TERRAFORM} == kinds


def test_what_nothing_reaches_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("shared", "functions"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    before = of_code(tmp_path)
    flow = tmp_path / "shared" / "flows" / "record_payment.py"
    flow.write_text(flow.read_text() + '\ndef unused():\n    return Message("nowhere", b"")\n')
    assert of_code(tmp_path) == before


INDEX = {"order": "ASCENDING", "query_scope": "COLLECTION"}
INVENTED: list[tuple[str, dict[str, Any], str]] = [
    ('google_pubsub_topic.topic["nobody-publishes"]', {}, "topics: Terraform has nobody-publishes"),
    (
        "google_firestore_index.composite",
        {"collection": "disputes", "fields": [{"field_path": "provider"}, {"field_path": "respond_by"}]},
        "due: Terraform has disputes/provider+respond_by",
    ),
    (
        'google_firestore_field.due["payments/updated_at"]',
        {"collection": "payments", "field": "updated_at", "index_config": [{"indexes": [INDEX]}]},
        "due: Terraform has payments/updated_at",
    ),
    (
        "google_firestore_field.expiry",
        {"collection": "decisions", "field": "expires_at", "index_config": [{}], "ttl_config": [{}]},
        "due: Terraform has decisions/expires_at expires",
    ),
]


@pytest.mark.parametrize(("address", "values", "sentence"), INVENTED)
def test_what_terraform_invents_is_seen(
    address: str, values: dict[str, Any], sentence: str, planned: Callable[[str], Plan]
) -> None:
    plan = planned("dev")
    kind = address.split(".")[0]
    plan["planned_values"]["root_module"]["resources"].append(
        {"address": address, "mode": "managed", "type": kind, "values": values}
    )
    assert [f"{sentence}, the code has not"] == differences(code(), of_plan(plan))


def test_an_index_that_does_not_serve_its_query_is_seen(planned: Callable[[str], Plan]) -> None:
    plan = planned("dev")
    address = 'google_firestore_field.due["disputes/next_action_at"]'
    [due] = [one for one in plan["planned_values"]["root_module"]["resources"] if one["address"] == address]
    due["values"]["index_config"][0]["indexes"][0]["order"] = "DESCENDING"
    assert "due: the code has disputes/next_action_at, Terraform has not" in differences(code(), of_plan(plan))
