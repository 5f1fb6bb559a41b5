"""The bill and the limits follow from what the flows really do, and the arithmetic is right."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify

from shared import providers, settings
from shared.backends.tables import Column, columns, names
from shared.disputes.at_risk import AT_RISK_SQL
from shared.disputes.compelling import too_few
from shared.disputes.programmes import COUNTS_SQL
from shared.disputes.ready_flags import MEASURED_SQL, PURCHASES_SQL, READINESS_SQL
from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.canaries import derived
from shared.domain.codec import decode, decode_event, encode, encode_event
from shared.domain.decisions import Decision, FeatureValue, HistoryState, Reason
from shared.domain.delivery import Delivery
from shared.domain.disputes import AnswerAsked
from shared.domain.erasing import TABLES
from shared.domain.events import CanarySent, Card, DisputeStatus, PaymentChanged, PaymentStep
from shared.domain.evidence import Merchant
from shared.domain.payouts import LINES_EACH, LineKind, LinkedLine, PayoutExplained
from shared.domain.pseudonyms import DEVELOPMENT
from shared.domain.reviews import ReviewAction
from shared.domain.usage import KEPT, PlanChanged, PolicyAccepted
from shared.flows import reviews
from shared.flows.assess_payment import count
from shared.flows.audit import Errand, audited
from shared.flows.canaries import watch
from shared.flows.check_deadlines import check_deadlines
from shared.flows.cohorts import COHORT_SQL
from shared.flows.decisions import PACKED, row_of, stored
from shared.flows.erasure import ROWS_SQL
from shared.flows.event_messages import event_message
from shared.flows.judged import FORGOTTEN_AFTER
from shared.flows.keep_evidence import keep_evidence
from shared.flows.ports import FOUND_BY, Documents, Key, Message, Ports, Snapshot, Write
from shared.flows.preparing import judge, prepare
from shared.flows.receive_delivery import receive
from shared.flows.reconcile import HAD_SQL
from shared.flows.record_payment import record_payment
from shared.flows.respond_dispute import respond_dispute
from shared.flows.review_desk import view
from shared.flows.rule_health import HITS_SQL
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.flows.watch_traffic import COUNTED_SQL
from shared.fraud.attacks import NEWCOMERS_SQL
from shared.fraud.backtest import backtest_sql
from shared.fraud.book import SHIPPED
from shared.fraud.decide import decide
from shared.fraud.features import NAMES
from shared.fraud.point_in_time import audited_sql, logged_sql
from shared.learning.data_set import LOGGED_SQL, labeled_sql
from shared.learning.labels import with_labels
from shared.marts.payments import BEFORE as MARTS_BEFORE
from shared.marts.payments import PAYMENTS_SQL
from shared.operations.parking import parked
from shared.runtime import logs
from terraform.tools import cost, policy, tool
from tests.benchmarks.requests import stripe_delivery
from tests.benchmarks.worlds import STRIPE
from tests.builders import DAY, HOUR, MINUTE, NOON, a_dispute_event, a_fraud_warning, a_payment_event, an_assessment
from tests.disputes.proofs import a_sign_in, played, told
from tests.flows.test_alerts import REPORT, Till
from tests.flows.test_respond_dispute import Office
from tests.local import local_ports


@dataclass
class Counted:
    """Documents that count what Firestore would bill: documents read and written."""

    inner: Documents
    reads: int = 0
    writes: int = 0

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        self.reads += len(set(keys))
        return self.inner.get(keys)

    def commit(self, writes: Sequence[Write]) -> None:
        self.inner.commit(writes)
        self.writes += len(writes)

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        return self._billed(self.inner.due(collection, field, until, limit))

    def find(self, collection: str, field: str, value: str, limit: int) -> list[Snapshot]:
        return self._billed(self.inner.find(collection, field, value, limit))

    def listed(
        self, collection: str, order: str, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
    ) -> list[Snapshot]:
        return self._billed(self.inner.listed(collection, order, where, limit, after))

    def _billed(self, found: list[Snapshot]) -> list[Snapshot]:
        """A query costs what it returns, and one read where that is nothing."""
        self.reads += max(1, len(found))
        return found

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        raise AssertionError("no event makes a scan")


class Measured:
    """Ports on SQLite; what one step reads, writes and publishes."""

    def __init__(self, folder: Path) -> None:
        self._ports = local_ports(folder)
        self.published: list[Message] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.published += messages

    def step(self) -> tuple[Ports, Counted]:
        counted = Counted(self._ports.documents)
        return replace(self._ports, documents=counted, bus=self), counted


def test_what_an_event_takes_is_what_the_flows_take(tmp_path: Path) -> None:
    world, each = Measured(tmp_path), cost.Each()
    attempt, capture = a_payment_event(PaymentStep.AUTHORIZED), a_payment_event(PaymentStep.CAPTURED)

    ports, counted = world.step()
    record_payment(attempt, ports, NOON)
    assert (counted.reads, counted.writes) == (each.record_reads, each.record_writes + each.money_proofs)

    scorer = Scorer(use_model=False)
    scorer.book(None, NOON)  # the registry is read once a minute and not for each event
    ports, counted = world.step()
    score_payment(attempt, ports, NOON, scorer)
    assert (counted.reads, counted.writes) == (each.score_reads, each.score_writes)
    assert size(without_newcomer(world.published[-1])) <= each.decision_bytes

    ports, counted = world.step()
    record_payment(capture, ports, NOON)
    assert (counted.reads, counted.writes) == (each.record_reads, each.record_writes)

    ports, counted = world.step()
    score_payment(capture, ports, NOON, scorer)
    assert (counted.reads, counted.writes) == (each.reread_reads, 0)

    ports, counted = world.step()
    track_dispute(a_dispute_event(), ports, NOON)
    assert (counted.reads, counted.writes) == (each.dispute_reads, each.dispute_writes)
    update, _ = world.published[-2:]
    assert size(update) <= each.update_bytes
    assert len(encode_event(attempt)) <= each.event_bytes


def test_a_message_and_a_line_are_no_larger_than_they_are_charged_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, each = Measured(tmp_path), cost.Each()
    ports, _ = world.step()
    request = stripe_delivery(NOON, "1")
    delivery = Delivery("stripe", request.body, {k.lower(): v for k, v in request.headers.items()}, NOON, "/stripe")
    credentials = settings.read({"WEBHOOK_STRIPE": STRIPE}).credentials("stripe")
    logs.configure("score_payment", "payin-prod-example")
    token = logs.traceparent.set(TRACEPARENT)
    try:
        receive(delivery, providers.load("stripe"), credentials, world, lambda _: b"")
        event = decode_event(world.published[-1].data)
        record_payment(event, ports, NOON)
        score_payment(event, ports, NOON, Scorer(use_model=False))
    finally:
        logs.traceparent.reset(token)
    largest = {
        "deliveries": each.delivery_bytes,
        "payment-events": each.event_bytes,
        "fraud-decisions": each.decision_bytes + each.newcomer_bytes,
    }
    assert {message.topic: size(message) <= largest[message.topic] for message in world.published} == dict.fromkeys(
        largest, True
    )
    [decision] = [message for message in world.published if message.topic == "fraud-decisions"]
    assert size(without_newcomer(decision)) <= each.decision_bytes
    as_in_life = {
        "card": "Xt5EWLLDS7FJjR1c",
        "bin": "424242",
        "device": "5b6a51f2b2b5d290",
        "address": "2001:db8:12:34::",
    }
    doubted = {**json.loads(decision.data)["newcomer"], **as_in_life, "doubted": True}
    assert 0.7 * each.newcomer_bytes < len(encode(doubted)) <= each.newcomer_bytes
    assert 0.7 * each.newcomer < in_row("fraud_decisions", {"newcomer": doubted}) <= each.newcomer
    assert read_of(NEWCOMERS_SQL) == {"fraud_decisions": {"occurred_at", "newcomer"}}
    assert each.watched_decision == in_row("fraud_decisions", {"occurred_at": "x"})
    [row] = [message for message in world.published if message.topic == "deliveries"]
    assert 0.7 * each.delivery_row < row_bytes(row, "deliveries") <= each.delivery_row
    watched = read_of(COUNTED_SQL)["deliveries"]
    assert 0.7 * each.watched_delivery < row_bytes(row, "deliveries", watched) <= each.watched_delivery
    stays = set(TABLES["deliveries"].stays)
    assert 0.7 * each.delivery_rest < row_bytes(row, "deliveries", stays) <= each.delivery_rest
    assert (
        0.7 * each.nameless_delivery
        < row_bytes(row, "deliveries", {"received_at", "outcome"})
        <= each.nameless_delivery
    )
    # As the framework writes them anew where it is told to add the execution's id.
    labels = {"logging.googleapis.com/labels": {"execution_id": "tQ8bOafrlzgg"}}
    lines = [json.dumps({**json.loads(line), **labels}) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) > 3
    assert 0.7 * each.log_bytes < max(map(len, lines)) <= each.log_bytes


def test_a_payment_that_is_assessed_costs_what_the_door_is_charged_for(tmp_path: Path) -> None:
    each, world = cost.Each(), Measured(tmp_path)
    scorer = Scorer(use_model=False)
    scorer.book(None, NOON)  # once a minute, whatever comes
    ports, counted = world.step()
    asked = an_assessment()
    standing = count(asked, ports, NOON, None, lambda known, _model, book, _seen: decide(known, None, NOON, book))
    told = replace(asked, decision=stored(standing.decision)[PACKED])
    assert 0.7 * each.assessed_bytes < size(event_message(told, NOON)) <= each.assessed_bytes
    score_payment(told, ports, NOON, scorer)
    score_payment(a_payment_event(PaymentStep.AUTHORIZED, merchant_reference="order-1"), ports, NOON, scorer)
    more = (counted.reads - each.score_reads, counted.writes - each.score_writes)
    assert more == (each.door_reads, each.door_writes)


def test_a_payment_that_a_person_looks_at_costs_what_a_review_is_charged_for(tmp_path: Path) -> None:
    each, world = cost.Each(), Measured(tmp_path)
    scorer = Scorer(use_model=False)
    scorer.book(None, NOON)  # once a minute, whatever comes
    ports, counted = world.step()
    event = as_long_as_in_life(a_payment_event(PaymentStep.AUTHORIZED, three_d_secure="failed"))
    score_payment(event, ports, NOON, scorer)
    assert counted.writes == each.score_writes + 1
    ports, counted = world.step()
    review_id, by = f"stripe:{event.payment_id}", "an.analyst@the-business.example"
    word = reviews.Word(
        request_id="6f1c1c1e-7b1a-4b0e",
        action=ReviewAction.REFUSE,
        code="stolen_card",
        reason="r" * 100,
        label="third_party_fraud",
    )
    reviews.claim(ports, review_id, by, NOON)
    view(ports.documents, review_id, NOON)
    reviews.decide(audited(ports, Errand(who=by, why=word.reason, what="review", at=NOON)), review_id, by, NOON, word)
    assert (counted.reads + reviews.LOOKED_AT, counted.writes + 1) == (each.review_reads, each.review_writes)
    [stored_here] = counted.inner.scan("reviews", 10)
    assert 0.7 * each.review_document < document_bytes(stored_here) <= each.review_document
    audit = sum(document_bytes(one) for one in counted.inner.scan("audit", 10))
    assert 0.7 * each.review_audit < audit <= each.review_audit


def test_an_answer_to_a_dispute_costs_what_it_is_charged_for(tmp_path: Path) -> None:
    each, world, office = cost.Each(), Measured(tmp_path), Office(local_ports(tmp_path))
    ports, counted = world.step()
    for month in range(12):
        at = NOON - (10 + 30 * month) * DAY
        paid = a_payment_event(payment_id=f"pi_{month + 1}", occurred_at=at, customer_id="cus_1", device_id="d" * 20)
        record_payment(paid, ports, at)
    dispute = {"respond_by": NOON + 20 * DAY, "network": "visa", "reason_code": "10.4", "payment_id": "pi_1"}
    track_dispute(a_dispute_event(**dispute), ports, NOON)
    counted.reads = counted.writes = 0
    desk = replace(
        office.clerk(ports),
        judge=lambda one, now: judge(one, prepare(one, ports, now, Merchant()), Outcomes(), Strategy(), now),
        prepare=lambda one, now: prepare(one, ports, now, Merchant()).packet,
    )
    asked = AnswerAsked(provider="stripe", dispute_id="dp_1", round="chargeback/0")
    for hours in (1, 50):
        office.now = NOON + hours * HOUR
        check_deadlines(ports, office.now)
        respond_dispute(asked, ports, desk, lambda: office.now)
    assert len(office.desk.taken) == 1
    # At Stripe there are two steps more.
    assert counted.reads <= each.answer_reads + 12 * each.history_reads
    assert counted.writes + 2 <= each.answer_writes
    kept = sum(file.stat().st_size for file in (tmp_path / "evidence").iterdir())
    assert 0.5 * each.packet_bytes < kept <= each.packet_bytes


def test_an_issuers_report_that_is_refunded_costs_what_it_is_charged_for(tmp_path: Path) -> None:
    each, world = cost.Each(), Measured(tmp_path)
    ports, _ = world.step()
    record_payment(a_payment_event(), ports, NOON)
    ports, counted = world.step()
    track_dispute(a_fraud_warning(), ports, NOON)
    till = Till(ports)
    asked = AnswerAsked(provider="stripe", dispute_id=REPORT, round="inquiry/0")
    for at in (NOON + HOUR, NOON + HOUR + DAY):
        till.now = at
        check_deadlines(ports, at)
        till.do(asked)
    assert till.refunded == 1999
    assert counted.reads <= each.report_reads
    assert counted.writes <= each.report_writes


def test_what_is_told_of_a_subscribers_use_costs_what_it_is_charged_for(tmp_path: Path) -> None:
    each, world = cost.Each(), Measured(tmp_path)
    ports, counted = world.step()
    customer = {"customer_id": "cus_QXg1o8vcGmoR32", "message_id": "0f6c1c1e-7b1a-4b0e-9d59-3f0a5f1f1a11"}
    nothing = {"sign_ins": (), "plays": (), "cancellations": (), "messages": ()}
    accepted = [
        PolicyAccepted(at=NOON, policy=policy, version="2026-03", digest="5e" * 32, ip="203.0.113.7")
        for policy in ("terms", "cancellation")
    ]
    came = told(**customer, **nothing, plans=(PlanChanged(at=NOON, plan="Premium"),), policies=tuple(accepted))
    keep_evidence(came, ports, NOON)
    assert (counted.reads, counted.writes) == (each.usage_reads, each.usage_writes)
    [newcomer] = counted.inner.scan("usage", 10)
    days = range(30)
    use = told(**customer, sign_ins=tuple(map(a_sign_in, days)), plays=tuple(map(played, days)))
    keep_evidence(use, ports, NOON + 40 * DAY)
    [disputed] = counted.inner.scan("usage", 10)
    share = 0.005 / (cost.Traffic().usage_subscribers / 100)
    size = (1 - share) * document_bytes(newcomer) + share * document_bytes(disputed)
    assert 0.7 * each.usage_document < size <= each.usage_document


def test_a_canary_costs_what_it_is_charged_for(tmp_path: Path) -> None:
    each, world = cost.Each(), Measured(tmp_path)
    canary = CanarySent(event_id="stripe:main:canary-1", provider="stripe", account="main", occurred_at=NOON)
    ports, heard = world.step()
    record_payment(canary, ports, NOON)
    urls = {name: f"https://hooks.example/{name}" for name in ("adyen", "stripe")}
    keys = derived(DEVELOPMENT)
    for minute in range(2):
        ports, sent = world.step()
        watch(urls, parked, keys, lambda letters: dict.fromkeys(letters, 204), ports, NOON + minute * MINUTE)
    # What is remembered of the sending itself is read and written once a minute, whatever the number of webhooks.
    assert heard.reads + (sent.reads - 2) / len(urls) == each.canary_reads
    assert heard.writes + (sent.writes - 1) / len(urls) == each.canary_writes


def test_a_consumer_pays_for_what_its_filter_takes_out_too() -> None:
    plan = cost.read_plan()
    # Four consumers, and refunds beside disputes, of 16 M events of 1.3 kB a day; each provider's on a topic of its own.
    assert dollars(plan, "Pub/Sub pushed") == pytest.approx(5 * 16e6 * 1_300 * 30 / 2**40 * 40)


def test_what_is_kept_is_what_prods_plan_keeps(planned: Callable[[str], dict[str, Any]]) -> None:
    w = policy.world(planned("prod"), prod=True)
    table, payouts, purchases, flags = (
        next(one for one in w.of("google_bigquery_table") if one.values["table_id"] == name)
        for name in ("deliveries", "payouts", "purchases", "readiness")
    )
    topics = {
        one.values["name"]: int(one.values["message_retention_duration"][:-1]) // 86_400
        for one in w.of("google_pubsub_topic")
    }
    assert {topics[name] for name in ("deliveries", "fraud-decisions", "dispute-updates")} == {topics["deliveries"]}
    [bucket] = [one for one in w.of("google_storage_bucket") if one.values["name"].endswith("-payin-evidence")]
    backups = [int(one.values["retention"][:-1]) // 86_400 for one in w.of("google_firestore_backup_schedule")]
    [sampled] = [
        one.values["filter"] for one in w.of("google_logging_project_exclusion") if "sample" in one.values["filter"]
    ]
    assert cost.read_plan().kept == cost.Kept(
        backups=sum(days // 7 if days > 7 else days for days in backups),
        retention_days=topics["payment-events-stripe"],
        archive_days=topics["deliveries"],
        deliveries_days=table.block("time_partitioning")["expiration_ms"] / 86_400_000,
        payouts_days=payouts.block("time_partitioning")["expiration_ms"] / 86_400_000,
        purchases_days=purchases.block("time_partitioning")["expiration_ms"] / 86_400_000,
        flags_days=flags.block("time_partitioning")["expiration_ms"] / 86_400_000,
        entities_days=FORGOTTEN_AFTER.days,
        usage_days=KEPT.days,
        evidence_days=bucket.block("lifecycle_rule")["condition"][0]["age"],
        lines=1 - float(re.findall(r"sample\(trace, ([\d.]+)\)", sampled)[0]),
    )


def test_conditions_and_metrics_are_as_many_as_prods_plan_has(planned: Callable[[str], dict[str, Any]]) -> None:
    w, plan = policy.world(planned("prod"), prod=True), cost.read_plan()
    assert plan.conditions == sum(len(one.values["conditions"]) for one in w.of("google_monitoring_alert_policy"))
    labels = {
        label["key"] for one in w.of("google_logging_metric") for label in one.block("metric_descriptor")["labels"]
    }
    assert labels == {*cost.LABELS, "provider"}
    distributed = [one for one in w.of("google_logging_metric") if one.values["value_extractor"]]
    assert len(distributed) <= plan.distributions


def test_prices_are_those_of_the_region_that_is_deployed_to(planned: Callable[[str], dict[str, Any]]) -> None:
    for env in ("dev", "prod"):
        regions = {
            one.values["location"]
            for one in policy.world(planned(env), prod=False).of("google_cloudfunctions2_function")
        }
        assert regions == {cost.Price().region}


def in_bigquery(value: Any, column: Column) -> int:
    """Bytes of `value` as cloud.google.com/bigquery/pricing#data counts them."""
    if value is None:
        return 0
    if column.mode == "REPEATED":
        return sum(in_bigquery(one, replace_mode(column)) for one in value)
    if column.fields:
        return sum(in_bigquery(value.get(field.name), field) for field in column.fields)
    match column.type:
        case "STRING":
            return 2 + len(value.encode())
        case "BYTES":
            return 2 + len(base64.b64decode(value))
        case "BOOL":
            return 1
        case _:
            return 8


def replace_mode(column: Column) -> Column:
    return Column(column.name, column.type, fields=column.fields)


def row_bytes(message: Message, table: str, only: Collection[str] | None = None) -> int:
    """Of the row that the subscription makes of `message`; of the columns `only`, where some are named."""
    metadata = {"subscription_name": "projects/payin-prod-example/subscriptions/warehouse-payment-events-stripe"}
    metadata |= {"message_id": "12345678901234567", "publish_time": "x", "attributes": json.dumps(message.attributes)}
    row = json.loads(message.data) | metadata
    return sum(in_bigquery(row.get(one.name), one) for one in columns(table) if only is None or one.name in only)


def in_row(table: str, row: dict[str, Any], only: Collection[str] | None = None) -> int:
    return sum(in_bigquery(row.get(one.name), one) for one in columns(table) if only is None or one.name in only)


def in_firestore(value: Any) -> int:
    """Bytes of `value` as cloud.google.com/firestore/docs/storage-size counts them."""
    match value:
        case None | bool():
            return 1
        case str():
            return len(value.encode()) + 1
        case list():
            return sum(map(in_firestore, value))
        case dict():
            return sum(in_firestore(name) + in_firestore(inner) for name, inner in value.items())
        case _:
            return 8


def document_bytes(snapshot: Snapshot) -> int:
    """With its name and 32 for itself; what of it is in an index is `index_bytes`."""
    return name_bytes(snapshot) + in_firestore(snapshot.document) + 32


def index_bytes(snapshot: Snapshot) -> int:
    """Of its entries in indexes of one field, each with its name, that of what is above it (the database), field and value."""
    found_by = {field: value for field, value in snapshot.document.items() if field in FOUND_BY}
    return sum(name_bytes(snapshot) + 16 + in_firestore({field: value}) + 32 for field, value in found_by.items())


def name_bytes(snapshot: Snapshot) -> int:
    """16 for the database's part of it."""
    return 16 + in_firestore(snapshot.key.collection) + in_firestore(snapshot.key.id)


def read_of(sql: str) -> dict[str, set[str]]:
    """Table to the columns of it that `sql` reads: what BigQuery charges."""
    types: dict[str, object] = {name: {one.name: in_sql(one) for one in columns(name)} for name in names()}
    tree = pushdown_projections(qualify(sqlglot.parse_one(sql, dialect="bigquery"), schema=types, dialect="bigquery"))
    found: dict[str, set[str]] = {}
    for select in tree.find_all(exp.Select):
        sources = [one.this for one in (select.args.get("from_"), *select.args.get("joins", ())) if one is not None]
        tables = {one.alias_or_name: one.name for one in sources if isinstance(one, exp.Table) and one.name in types}
        for column in select.find_all(exp.Column):
            if column.table in tables and column.find_ancestor(exp.Select) is select:
                found.setdefault(tables[column.table], set()).add(column.name)
    return found


def in_sql(column: Column) -> str:
    kind = (
        f"STRUCT<{', '.join(f'{one.name} {in_sql(one)}' for one in column.fields)}>" if column.fields else column.type
    )
    return f"ARRAY<{kind}>" if column.mode == "REPEATED" else kind


def as_long_as_in_life(event: PaymentChanged) -> PaymentChanged:
    """With ids as long as providers give them."""
    return replace(
        event,
        event_id=f"stripe:acct_1PgafTB7ckmmYeHb:evt_{event.step[:3]}PgafTB7ckmmYeHbGVAB0000",
        payment_id="pi_3PgafTB7ckmmYeHb0GVAB000",
        account="acct_1PgafTB7ckmmYeHb",
        customer_id="cus_QXg1o8vcGmoR32",
        device_id="d" * 32,
        card=replace(event.card or Card(), fingerprint="Xt5EWLLDS7FJjR1c"),
        delivery_id="stripe:acct_1PgafTB7ckmmYeHb:evt_1PgafTB7ckmmYeHbGVAB0000",
    )


AUDITED_OF_ALL = {"event_id", "linked_event_id", "occurred_at", "decided_at", "publish_time"}


def test_rows_and_documents_are_no_larger_than_they_are_charged_for(tmp_path: Path) -> None:
    world, each = Measured(tmp_path), cost.Each()
    ports, counted = world.step()
    stored_here = counted.inner
    attempt, capture = (
        as_long_as_in_life(a_payment_event(step)) for step in (PaymentStep.AUTHORIZED, PaymentStep.CAPTURED)
    )
    for event in (attempt, capture):
        record_payment(event, ports, NOON)
        score_payment(event, ports, NOON, Scorer(use_model=False))
    decided = as_of_a_known_customer(decode(world.published[0].data, Decision))
    decision = Message("fraud-decisions", row_of(decided, attempt), world.published[0].attributes)
    told = event_message(attempt, NOON)

    assert 0.7 * each.event_row < row_bytes(told, "payment_events") <= each.event_row
    assert 0.7 * each.decision_row < row_bytes(decision, "fraud_decisions") <= each.decision_row
    read = read_of(labeled_sql(logged_sql()))
    assert read.keys() == {"fraud_decisions", "fraud_labels"}
    of_labels = read["fraud_labels"]
    assert (
        0.7 * each.trained_decision
        < row_bytes(decision, "fraud_decisions", read["fraud_decisions"])
        <= (each.trained_decision)
    )
    named = {"event_id", "provider", "payment_id", "claimed_as", "occurred_at", "sample"}
    assert read_of(with_labels("SELECT '' AS event_id, 0 AS fraud_reported_at"))["fraud_decisions"] == named
    assert 0.5 * each.named_decision < row_bytes(decision, "fraud_decisions", named) <= each.named_decision
    cohort = read_of(COHORT_SQL)["fraud_decisions"]
    assert 0.5 * each.cohort_decision < row_bytes(decision, "fraud_decisions", cohort) <= each.cohort_decision
    counted_by = read_of(LOGGED_SQL)
    assert counted_by.keys() == {"fraud_decisions"}
    assert (
        0.5 * each.counted_decision
        < row_bytes(decision, "fraud_decisions", counted_by["fraud_decisions"])
        <= (each.counted_decision)
    )
    for sql, charged in (
        (HITS_SQL, each.hit_decision),
        (backtest_sql(SHIPPED.contents.rules, SHIPPED.contents.rules)[0], each.tried_decision),
    ):
        assert 0.7 * charged < row_bytes(decision, "fraud_decisions", read_of(sql)["fraud_decisions"]) <= charged
    read = read_of(audited_sql())
    audited = row_bytes(told, "payment_events", read["payment_events"])
    assert 0.7 * each.audited_event < audited <= each.audited_event
    standing = read_of(COUNTS_SQL)
    assert (
        0.7 * each.standing_event < row_bytes(told, "payment_events", standing["payment_events"]) <= each.standing_event
    )
    listed = read_of(HAD_SQL)["payment_events"]
    assert 0.7 * each.listed_event < row_bytes(told, "payment_events", listed) <= each.listed_event
    unlinked = row_bytes(told, "payment_events", {"occurred_at", "payment_id", "card"})
    assert 0.5 * each.unlinked_event < unlinked <= each.unlinked_event
    proved = row_bytes(told, "payment_events", read_of(ROWS_SQL.format(names="@c0"))["payment_events"])
    assert 0.5 * each.proved_event < proved <= each.proved_event
    nameless = row_bytes(decision, "fraud_decisions", {"occurred_at", "history", "newcomer"})
    assert 0.5 * each.nameless_decision < nameless <= each.nameless_decision
    of_the_day = row_bytes(told, "payment_events", read_of(PURCHASES_SQL)["payment_events"])
    assert 0.7 * each.purchase_event < of_the_day <= each.purchase_event
    assert read_of(READINESS_SQL).keys() == {"purchases", "dispute_updates"}
    purchase = dict.fromkeys((one.name for one in columns("purchases")), True) | {
        "provider": "stripe",
        "network": "visa",
    }
    # No capture of it failed, and nothing was given back.
    purchase = {name: value for name, value in purchase.items() if name not in ("failed_at", "returned")}
    assert 0.7 * each.purchase_row < in_row("purchases", purchase) <= each.purchase_row
    flag = dict.fromkeys((one.name for one in columns("readiness")), True) | {"rule": "visa_ce3", "matched": None}
    flag |= {"missing": too_few(0)}
    assert 0.7 * each.flag_row < in_row("readiness", flag) <= each.flag_row
    flagged = read_of(MEASURED_SQL)["readiness"]
    assert 0.7 * each.measured_flag < in_row("readiness", flag, flagged) <= each.measured_flag
    # A vector is read of the sample alone, and so is what else is asked of its decision.
    of_all = row_bytes(decision, "fraud_decisions", AUDITED_OF_ALL)
    assert read["fraud_decisions"] > AUDITED_OF_ALL
    assert 0.7 * each.audited_decision < of_all <= each.audited_decision

    def largest(collection: str) -> int:
        return max(map(document_bytes, stored_here.scan(collection, 10)))

    assert 0.7 * each.payment_document < largest("payments") <= each.payment_document
    found_by = max(map(index_bytes, stored_here.scan("payments", 10)))
    assert 0.7 * each.payment_index < found_by <= each.payment_index
    packed = document_bytes(Snapshot(Key("decisions", f"stripe:{attempt.payment_id}"), stored(decided), None))
    assert 0.7 * each.decision_document < packed <= each.decision_document
    # The e-mail's domain is everybody's.
    own = [one for one in stored_here.scan("feature_state", 10) if not one.key.id.startswith("email_domain:")]
    assert 0.7 * each.entities_document < sum(map(document_bytes, own)) <= each.entities_document

    for dispute in (
        a_dispute_event(),
        a_dispute_event(status=DisputeStatus.UNDER_REVIEW),
        a_dispute_event(status=DisputeStatus.WON),
    ):
        track_dispute(dispute, ports, NOON)
        score_payment(dispute, ports, NOON, Scorer(use_model=False))
    update, *labels = world.published[-4:]
    assert row_bytes(update, "dispute_updates") <= each.update_row
    counted_of = row_bytes(update, "dispute_updates", standing["dispute_updates"])
    assert 0.5 * each.standing_update < counted_of <= each.standing_update
    waiting = row_bytes(update, "dispute_updates", read_of(AT_RISK_SQL)["dispute_updates"])
    assert 0.5 * each.waiting_update < waiting <= each.waiting_update
    assert {label.topic for label in labels} == {"fraud-labels"}
    # Of the third of four events: there are two and a half on average.
    assert sum(row_bytes(label, "fraud_labels") for label in labels) * 2.5 / 3 <= each.label_row
    assert sum(size(label) for label in labels) * 2.5 / 3 <= each.label_bytes
    verdicts = read_of(HITS_SQL)["fraud_labels"]
    said = sum(row_bytes(label, "fraud_labels", verdicts) for label in labels) * 2.5 / 3
    assert 0.7 * each.verdict_row < said <= each.verdict_row
    labeled = sum(row_bytes(label, "fraud_labels", of_labels) for label in labels) * 2.5 / 3
    assert labeled <= each.labeled_row
    assert sum(map(largest, ("disputes", "cases", "fraud_claims"))) <= each.dispute_document


def test_a_month_of_payments_costs_an_analyst_what_the_page_says() -> None:
    plan, event = cost.read_plan(), as_long_as_in_life(a_payment_event(livemode=True))
    message = Message("payment-events", encode_event(event), {})
    each = row_bytes(message, "payment_events", read_of(PAYMENTS_SQL)["payment_events"])
    days = 30 + MARTS_BEFORE.days
    dollars = each * plan.events_a_day * days / cost.TIB * plan.price.bigquery_scanned_tib
    [said] = re.findall(
        r"`payments\(since, until\)` .* some \$(\d+) for a month", (tool.ROOT / "README.md").read_text()
    )
    assert dollars == pytest.approx(float(said), rel=0.15)


def as_of_a_known_customer(decision: Decision) -> Decision:
    """With a value in three of four features, by a model, as most decisions are."""
    values = [None if n % 4 == 3 else n * 1234 / 1000 if n % 4 == 2 else float(n % 9) for n in range(len(NAMES))]
    return replace(
        decision,
        history=tuple(replace(one, state=HistoryState.KNOWN, last_seen_at=NOON) for one in decision.history),
        features=tuple(FeatureValue(name=name, value=value) for name, value in zip(NAMES, values, strict=True)),
        reasons=tuple(Reason(source="model", code=name, weight=0.123456789) for name in NAMES[5:50:9]),
        model_digest=hashlib.sha256(b"").hexdigest(),
        score=0.0123456789,
        raw_score=-4.123456789,
    )


TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def without_newcomer(message: Message) -> Message:
    """The same decision, of a card that is known."""
    return replace(message, data=encode({**json.loads(message.data), "newcomer": None}))


def size(message: Message) -> int:
    """With its trace, which the runtime adds."""
    attributes = {"traceparent": TRACEPARENT, **message.attributes}
    return len(message.data) + sum(len(name) + len(text) for name, text in attributes.items())


def dollars(plan: cost.Plan, item: str) -> float:
    [line] = [line for line in cost.costs(plan) if line.item == item]
    assert len(set(line.dollars)) == 1, "not in every month the same: say in which"
    return line.dollars[0]


def in_months(plan: cost.Plan, item: str) -> tuple[float, ...]:
    [line] = [line for line in cost.costs(plan) if line.item == item]
    return line.dollars


def test_the_arithmetic_can_be_followed_by_hand() -> None:
    plan = cost.read_plan()
    # 16 M events and 6 M decisions a day, 30 days, $0.99 a million: 16*1 + 6*6 + 0.12*2 = 52.24 M writes a day.
    assert dollars(plan, "Firestore writes") == pytest.approx(58.48 * 30 * 0.99)
    # 20 M deliveries at 150 a second is 4 million seconds of half a GiB and one CPU.
    assert dollars(plan, "Cloud Run webhook") == pytest.approx(4_000_000 * (0.000024 + 0.5 * 0.0000025))


def test_what_is_kept_grows_until_it_expires_and_grows_cheap_before() -> None:
    # Half of the first month's on its average, and all of the months before.
    assert [cost.held(month) for month in cost.MONTHS] == [0.5, 11.5, 23.5]
    assert [cost.held(month, 0, 3) for month in cost.MONTHS] == [0.5, 3, 3]
    assert [cost.held(month, 3, 6) for month in cost.MONTHS] == [0, 3, 3]
    plan = cost.read_plan()
    first, twelfth, last = in_months(plan, "Firestore storage")
    assert 10 * first < twelfth < 12.5 * first * 11.5 / 0.5
    assert first < twelfth < last
    assert [
        two / one
        for one, two in zip(in_months(plan, "Firestore storage"), in_months(plan, "Firestore backups"), strict=True)
    ] == pytest.approx([4 * 0.033 / 0.165] * 3)


def test_twice_the_traffic_costs_twice_as_much_wherever_traffic_is_what_costs() -> None:
    plan = cost.read_plan()
    twice = cost.told(plan, ["traffic.webhooks_a_day=40e6", "traffic.payments_a_day=12e6"])
    fixed = {
        "Cloud Run warm instances",
        "Cloud Run monitor_model",
        "Cloud Run watch_traffic",
        "Cloud Run watch_providers",
        "Canaries",
        "Cloud Run payout ticks",
        "Firestore erasures",
        # So many people look at what they can.
        "Firestore console",
        # Of more decisions a smaller share is tried.
        "BigQuery backtests",
        "Monitoring metrics",
        "Monitoring conditions",
        "Monitoring looks",
    }
    for before, after in zip(cost.costs(plan), cost.costs(twice), strict=True):
        if before.item in ("BigQuery training", "BigQuery cohorts"):
            # Of twice as many payments half the share is taken, in whole 256ths.
            assert before.dollars <= after.dollars <= tuple(2 * one for one in before.dollars)
            continue
        if before.item == "Cloud Trace spans":
            assert max(before.dollars) < max(after.dollars) < 0.2  # so many are free
            continue
        times = 1 if before.item in fixed else 2
        assert after.dollars == pytest.approx([one * times for one in before.dollars]), before.item


def test_a_payouts_line_takes_what_is_counted_and_a_row_of_them_fits_into_a_message() -> None:
    lines = tuple(LinkedLine(reference=f"ch_{number:024}", minor=1999) for number in range(LINES_EACH))
    row = PayoutExplained(
        row_id="stripe:main:po_1#1",
        provider="stripe",
        account="main",
        payout_id="po_1",
        part=1,
        paid_at=NOON,
        read_at=NOON,
        status="paid",
        currency="EUR",
        kind=LineKind.CAPTURE,
        charged_in="EUR",
        lines=lines,
    )
    length = len(encode(row))
    assert length < 10 << 20, "a row of BigQuery by a subscription"
    assert length / LINES_EACH == pytest.approx(cost.Each.payout_line, abs=5)


def test_the_bill_is_no_more_than_was_promised() -> None:
    first, twelfth, _ = (sum(line.dollars[at] for line in cost.costs(cost.read_plan())) for at in range(3))
    assert first <= 5_000
    assert twelfth <= 7_500


def test_training_is_a_tenth_of_what_it_was_and_reads_blocks_that_others_are_not_in() -> None:
    assert max(in_months(cost.read_plan(), "BigQuery training")) <= 120
    topology = json.loads((tool.ROOT / "functions" / "topology.json").read_text())
    assert topology["tables"]["fraud_decisions"]["partition"] == "occurred_at"
    assert topology["tables"]["fraud_decisions"]["cluster"][0] == "sample"
    for sql in (labeled_sql(logged_sql()), LOGGED_SQL):
        [where] = [
            one
            for one in sqlglot.parse_one(sql, dialect="bigquery").find_all(exp.Where)
            if "schema_version" in str(one)
        ]
        asked = str(where)
        assert "occurred_at >= @since" in asked
        assert re.search(r"sample (<= @sample|= '00')", asked)


def test_prod_as_configured_holds_five_thousand_deliveries_a_second() -> None:
    assert [limit.sum for limit in cost.limits(cost.read_plan()) if not limit.holds] == []


def test_a_limit_that_lacks_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main(["--set", "traffic.webhooks_a_second_peak=50000"])
    assert "LACKS  webhook-stripe" in capsys.readouterr().out


def test_the_bill_in_the_readme_is_the_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main([])
    assert capsys.readouterr().out in (tool.ROOT / "terraform" / "README.md").read_text(), (
        "put `make cost` in there anew"
    )


def test_the_readme_names_the_sum() -> None:
    plan = cost.read_plan()
    first, twelfth, _ = (sum(line.dollars[at] for line in cost.costs(plan)) for at in range(3))
    payments = plan.traffic.payments_a_day * cost.DAYS / 1e6
    told = (tool.ROOT / "README.md").read_text()
    sums = f"some ${round(first, -2):,.0f} in the first month and ${round(twelfth, -2):,.0f} in the twelfth"
    assert f"{sums} at list prices, ${first / payments:.0f} and ${twelfth / payments:.0f} for a million" in told
