"""The operator's hand on the book of rules, through the function itself, and what the next payment makes of it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.domain.codec import encode_event, utc_text
from shared.domain.events import Initiator
from shared.flows.book_of_rules import BOOKS
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.train_model import COLUMNS
from shared.fraud.book import SHIPPED
from tests.builders import DAY, HOUR, NOON, a_card, a_fraud_warning, a_payment_event, eur
from tests.fraud.forests import artifact, fitted
from tests.functions.test_inputs import client
from tests.local import local_ports, published
from tests.stack.identity import identity

OWN = {"owner": "risk", "reason": "cards of a breach"}
RULE = {"code": "any_amount", "outcome": "review", "sql": "amount >= 0", "state": "live", **OWN}
WHO = {"author": "ana", "reason": "a wave"}


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setenv("PAYIN_HOME", str(tmp_path))
    return client("manage_rules")


def told(function: FlaskClient, act: str, status: int = 200, /, **members: Any) -> Any:
    answer = function.post("/", json={"act": act, **members})
    assert answer.status_code == status, answer.data
    return answer.get_json(force=True)


def publish(rules: FlaskClient, *book: dict[str, Any], after: int | None = None, status: int = 200) -> Any:
    return told(rules, "publish", status, book={"rules": book}, after=after, **WHO)


def decision(home: Path, **payment: Any) -> dict[str, Any]:
    ports = local_ports(home)
    score_payment(a_payment_event(**payment), ports, NOON, Scorer(use_model=False))
    [row] = published(ports, "fraud-decisions")
    return row


def test_what_is_published_is_shown_and_decides_the_next_payment(rules: FlaskClient, tmp_path: Path) -> None:
    assert told(rules, "show")["revision"] is None
    assert publish(rules, RULE) == {"revision": 1}
    shown = told(rules, "show")
    assert (shown["revision"], [rule["sql"] for rule in shown["book"]["rules"]]) == (1, ["amount >= 0"])
    row = decision(tmp_path)
    assert (row["outcome"], row["book_revision"], row["rules_version"]) == ("review", 1, shown["rules_version"])


def test_what_is_shown_may_be_sent_back_as_it_is(rules: FlaskClient) -> None:
    shipped = told(rules, "show")
    assert told(rules, "publish", book=shipped["book"], after=None, **WHO) == {"revision": 1}
    assert told(rules, "show") == {**shipped, "revision": 1}
    assert shipped["rules_version"] == SHIPPED.table.version


def test_what_nobody_owns_is_refused_by_name_and_what_is_shown_says_who_changed_it(rules: FlaskClient) -> None:
    loose = {"code": "loose", "outcome": "review", "sql": "amount >= 1"}
    problem = publish(rules, RULE, loose, status=400)
    assert "book.rules[1] loose: give its owner and its reason" in problem["detail"]
    assert told(rules, "check", rules=[loose["sql"]])["fits"]
    publish(rules, RULE)
    shown = told(rules, "show")["book"]
    [rule] = shown["rules"]
    assert (rule["owner"], rule["changed"]["revision"], rule["changed"]["author"]) == ("risk", 1, "ana")
    shown["rules"].append({**loose, **OWN, "changed": {**rule["changed"], "author": "eve"}})
    told(rules, "publish", book=shown, after=1, author="ben", reason="cheap ones too")
    after = told(rules, "show")["book"]["rules"]
    assert after[0] == rule
    assert [(one["changed"]["revision"], one["changed"]["author"]) for one in after] == [(1, "ana"), (2, "ben")]


def test_a_wrong_condition_is_told_with_the_nearest_feature_and_nothing_is_written(rules: FlaskClient) -> None:
    problem = publish(rules, RULE, RULE | {"code": "typo", "sql": "amuont > 5"}, status=400)
    assert "book.rules[1].sql of typo: no feature is called amuont; the nearest: amount" in problem["detail"]
    assert told(rules, "show")["revision"] is None


def test_conditions_are_checked_and_nothing_is_written(rules: FlaskClient) -> None:
    checked = told(rules, "check", rules=["amount * 2 > 5", "amuont > 5", "amount"])
    assert [one["tree"] for one in checked["rules"]] == [[">", ["*", 2, "amount"], 5], None, None]
    assert (checked["fits"], checked["rules"][0]["features"]) == (False, ["amount"])
    assert "the nearest: amount" in checked["rules"][1]["wrong"]
    assert told(rules, "history") == {"revisions": []}


def test_who_comes_too_late_is_told_so(rules: FlaskClient) -> None:
    publish(rules, RULE)
    problem = publish(rules, status=409)
    assert (problem["reason"], problem["detail"]) == ("book_changed", "the book is at revision 1 by now, and not None")


def test_an_older_revision_is_published_again_as_a_new_one(rules: FlaskClient, tmp_path: Path) -> None:
    publish(rules, RULE)
    publish(rules, after=1)
    assert told(rules, "back", to=1, author="ben", reason="it was right") == {"revision": 3}
    assert decision(tmp_path)["book_revision"] == 3
    revisions = told(rules, "history")["revisions"]
    assert [(one["revision"], one["after"], one["author"]) for one in revisions] == [
        (3, 2, "ben"),
        (2, 1, "ana"),
        (1, None, "ana"),
    ]
    assert [one["revision"] for one in told(rules, "history", before=3, limit=1)["revisions"]] == [2]
    assert told(rules, "back", to=None, **WHO) == {"revision": 4}
    assert told(rules, "show")["rules_version"] == SHIPPED.table.version


def test_two_revisions_are_compared(rules: FlaskClient) -> None:
    publish(rules, RULE)
    publish(rules, RULE | {"state": "retired"}, after=1)
    changed = told(rules, "diff", **{"from": 1, "to": 2})
    [(was, now)] = changed["rules"].values()
    assert (was["state"], now["state"], changed["policy"]) == ("live", "retired", None)


def test_what_was_changed_and_changed_back_does_not_differ_though_somebody_else_signed_it(rules: FlaskClient) -> None:
    limits = {"name": "all", "costs": {}, **OWN}
    entry = {"action": "block", "kind": "country", "value": "DE", "until": "2999-01-01T00:00:00Z", **OWN}
    whole = {"rules": [RULE], "entries": [entry], "policy": {"limits": [limits]}}
    for after, book in enumerate((whole, {}, whole)):
        told(rules, "publish", book=book, after=after or None, **WHO)
    same: dict[str, Any] = {"rules": {}, "removed_entries": [], "added_entries": [], "policy": None}
    assert told(rules, "diff", **{"from": 1, "to": 3}) == same
    without = told(rules, "diff", **{"from": 1, "to": 2})
    assert (list(without["rules"]), without["removed_entries"][0]["value"]) == (["any_amount"], "DE")


@pytest.mark.parametrize("blank", [" ", "\u200b", "\u2800", "\u3164"])
def test_a_reason_in_which_nothing_can_be_read_is_none(rules: FlaskClient, blank: str) -> None:
    problem = told(rules, "publish", 400, book={"rules": [RULE]}, after=None, author="ana", reason=blank)
    assert problem["detail"].startswith("reason: ")
    assert told(rules, "show")["revision"] is None


def test_an_entity_is_listed_shown_and_taken_back(rules: FlaskClient, tmp_path: Path) -> None:
    entry = {"action": "block", "kind": "card", "value": "fp_1"}
    until = (datetime.now(UTC) + 30 * DAY).isoformat()
    said = told(rules, "list", **entry, until=until, owner="risk", author="ana", reason="a mule")
    assert said["standing"]["block"]["reason"] == "a mule"
    assert told(rules, "listed")["entities"] == [{**said, "changes": []}]
    assert decision(tmp_path)["listed"] == [{"action": "block", "kind": "card", "rule": None}]
    assert told(rules, "unlist", **entry, author="ben", reason="a mistake")["standing"] == {}
    assert told(rules, "listed")["entities"] == []
    alone = told(rules, "listed", kind="card", value="fp_1")
    assert [one["author"] for one in alone["changes"]] == ["ana", "ben"]


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("country", "de"),
        ("email_domain", "@Example.COM"),
        ("email_hash", f"mail-dev-{'3F' * 32}"),
        # One provider tells six digits of the same BIN, and another one eight.
        ("bin", "424242"),
        ("bin", "42424201"),
    ],
)
def test_a_list_holds_in_whatever_letters_it_was_written(
    rules: FlaskClient, tmp_path: Path, kind: str, written: str
) -> None:
    entry = {"action": "block", "kind": kind, "value": written, "until": "2999-01-01T00:00:00Z", **OWN}
    told(rules, "publish", book={"entries": [entry]}, after=None, **WHO)
    row = decision(tmp_path, card=a_card(bin="42424201"), email_hash=f"mail-dev-{'3f' * 32}")
    assert (row["outcome"], row["listed"]) == ("decline", [{"action": "block", "kind": kind, "rule": None}])


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("bin", "41111"),
        ("country", "Germany"),
        ("email_domain", "ana@example.com"),
        ("email_hash", "ana@example.com"),
        # A plain digest, under no key of ours: events have none.
        ("email_hash", "3f" * 32),
    ],
)
def test_a_list_of_what_no_payment_ever_says_is_refused_with_what_it_is_listed_by(
    rules: FlaskClient, kind: str, written: str
) -> None:
    entry = {"action": "block", "kind": kind, "value": written, "until": "2999-01-01T00:00:00Z"}
    problem = told(rules, "publish", 400, book={"entries": [entry]}, after=None, **WHO)
    assert f"{kind}: it is listed by" in problem["detail"]
    assert told(rules, "show")["revision"] is None


def test_a_scope_covers_payments_in_whatever_letters_it_was_written(rules: FlaskClient, tmp_path: Path) -> None:
    scope = {"countries": ["de"], "providers": ["Stripe"], "initiators": ["CUSTOMER"]}
    publish(rules, RULE | {"scope": scope})
    assert decision(tmp_path, initiator=Initiator.CUSTOMER)["outcome"] == "review"
    assert told(rules, "show")["book"]["rules"][0]["scope"]["countries"] == ["DE"]


@pytest.mark.parametrize(
    ("entry", "scope"),
    [("Mail.Example", {}), ("mail.example", {"countries": ["de"]}), ("@MAIL.example", {"providers": ["Stripe"]})],
)
def test_what_earlier_releases_kept_in_other_letters_hinders_nobody_in_haste(
    rules: FlaskClient, tmp_path: Path, entry: str, scope: dict[str, Any]
) -> None:
    harmful = {"code": "harmful", "outcome": "decline", "sql": "amount >= 0", "tree": [">=", "amount", 0]}
    parts = [harmful | {"state": "live", "scope": scope}, harmful | {"code": "other", "scope": scope}]
    until = "2999-01-01T02:00:00+02:00"
    listed = {"action": "block", "kind": "email_domain", "value": entry, "until": until}
    contents = json.dumps({"rules": parts, "entries": [listed], "policy": {}}).encode()
    BOOKS.publish(local_ports(tmp_path).documents, contents, NOON, after=None, author="ana", why="long ago")
    shown = told(rules, "show")["book"]
    shown["rules"][0]["state"] = "shadow"
    assert told(rules, "publish", book=shown, after=1, author="ben", reason="harm") == {"revision": 2}
    after = told(rules, "show")["book"]
    assert [one["changed"] and one["changed"]["author"] for one in after["rules"]] == ["ben", None]
    assert [(one["value"], one["changed"]) for one in after["entries"]] == [("mail.example", None)]
    after["entries"][0]["value"] = "other.example"
    assert "give its owner" in told(rules, "publish", 400, book=after, after=2, **WHO)["detail"]


def test_whoever_calls_is_the_author_whatever_the_call_says(rules: FlaskClient) -> None:
    headers = identity("Ben@shop.example")
    call: dict[str, Any] = {"act": "publish", "book": {}, "after": None, "reason": "a wave"}
    assert rules.post("/", json=call, headers=headers).status_code == 200
    assert rules.post("/", json={**call, "after": 1, "author": "ana"}, headers=headers).status_code == 200
    assert rules.post("/", json={**call, "after": 2, "author": "ana"}).status_code == 200
    entry = {"act": "list", "action": "allow", "kind": "card", "value": "fp_1", "owner": "risk", "reason": "ours"}
    until = (datetime.now(UTC) + DAY).isoformat()
    said = rules.post("/", json={**entry, "until": until}, headers=headers).get_json(force=True)
    assert said["standing"]["allow"]["author"] == "ben@shop.example"
    authors = [one["author"] for one in told(rules, "history")["revisions"]]
    assert authors == ["ana", "ben@shop.example", "ben@shop.example"]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer x.y.z"}, identity("a@b.example", email_verified=False)]
)
def test_what_nobody_answers_for_is_not_changed(rules: FlaskClient, headers: dict[str, str]) -> None:
    call: dict[str, Any] = {"act": "publish", "book": {}, "after": None, "reason": "a wave"}
    answer = rules.post("/", json=call, headers=headers)
    assert answer.status_code == 400
    assert "author: no ID token says who calls" in answer.get_json(force=True)["detail"]
    assert told(rules, "history") == {"revisions": []}


BLOCKED = {"action": "block", "until": "2999-01-01T00:00:00Z"}
YESTERDAY = {"since": NOON.date().isoformat(), "until": (NOON + DAY).date().isoformat(), "maturity_days": 1}
"""By the clock on the wall it is old enough."""


@pytest.fixture
def yesterday(tmp_path: Path) -> Path:
    """Four payments of a day, of 1, 10, 100 and 1,000 euros by cards of two BINs; the last one is reported as fraud."""
    ports = local_ports(tmp_path)
    scorer = Scorer(use_model=False)
    for n in range(4):
        event = a_payment_event(
            event_id=f"stripe:acct_1:e{n}",
            payment_id=f"pi_{n}",
            amount=eur(100 * 10**n),
            occurred_at=NOON + n * HOUR,
            customer_id=f"c{n}",
            device_id=f"d{n}",
            ip="2001:db8::1",
            card=a_card(fingerprint=f"fp_{n}", bin="411111" if n % 2 else "555555"),
        )
        score_payment(event, ports, NOON + n * HOUR, scorer)
        ports.warehouse.append("payment_events", published_event(event))
    score_payment(a_fraud_warning(payment_id="pi_3", occurred_at=NOON + DAY), ports, NOON + DAY, scorer)
    ports.warehouse.append("fraud_decisions", published(ports, "fraud-decisions"))
    return tmp_path


def published_event(event: Any) -> list[dict[str, Any]]:
    return [json.loads(encode_event(event))]


def test_a_rule_is_tried_on_yesterday(rules: FlaskClient, yesterday: Path) -> None:
    large = {"code": "large", "outcome": "review", "sql": "amount >= 10000"}
    any_amount = RULE | {"outcome": "challenge"}
    publish(rules, any_amount)
    answer = told(rules, "backtest", rules=[large], **YESTERDAY)
    [tried] = answer["rules"]
    assert (tried["code"], tried["hits"], answer["share"], answer["other_versions"]) == ("large", 2, 1.0, 0)
    assert tried["fates"] == {
        "genuine": {"payments": 1, "money": {"EUR": 10000}},
        "fraud": {"payments": 1, "money": {"EUR": 100000}},
    }
    assert answer["fates"]["genuine"]["payments"] == 3
    assert (tried["precision"]["estimate"], tried["caught"]["estimate"]) == (0.5, 1.0)
    assert tried["hindered"]["estimate"] == pytest.approx(1 / 3)
    assert (tried["beside"], tried["alone"]) == ({"any_amount": 2}, {})
    again = told(rules, "backtest", rules=[large], **YESTERDAY)
    assert {**again, "matured_until": answer["matured_until"]} == answer


def test_what_a_reviewer_said_counts_where_rules_and_books_are_tried(rules: FlaskClient, yesterday: Path) -> None:
    said = {"label": "third_party_fraud", "source": "manual_review", "known_at": utc_text(NOON + DAY), "revision": 0}
    paid = {"provider": "stripe", "payment_id": "pi_2", "label_id": "stripe:acct_1:e2/review"}
    local_ports(yesterday).warehouse.append("fraud_labels", [{**said, **paid}])
    large = {"code": "large", "outcome": "decline", "sql": "amount >= 10000", "state": "live"}
    [tried] = told(rules, "backtest", rules=[large], **YESTERDAY)["rules"]
    assert {fate: of["payments"] for fate, of in tried["fates"].items()} == {"fraud": 2}
    answer = told(rules, "replay", book={"rules": [large]}, **YESTERDAY)
    assert {fate: of["payments"] for fate, of in answer["newly_declined"].items()} == {"fraud": 2}


def test_what_is_not_old_enough_is_neither_fraud_nor_genuine_yet(
    yesterday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (yesterday / "clock").write_text((NOON + 2 * DAY).isoformat())
    monkeypatch.setenv("PAYIN_HOME", str(yesterday))
    monkeypatch.setenv("PAYIN_CLOCK", str(yesterday / "clock"))
    large = {"code": "large", "outcome": "review", "sql": "amount >= 10000"}
    asked = {**YESTERDAY, "maturity_days": 60}
    [tried] = told(client("manage_rules"), "backtest", rules=[large], **asked)["rules"]
    assert {fate: of["payments"] for fate, of in tried["fates"].items()} == {"early_fraud": 1, "young": 1}
    assert (tried["precision"]["low"], tried["precision"]["high"]) == (0.0, 1.0)


def test_a_rule_is_tried_on_days_of_which_there_is_nothing(rules: FlaskClient) -> None:
    large = {"code": "large", "outcome": "review", "sql": "amount >= 10000"}
    answer = told(rules, "backtest", rules=[large], **YESTERDAY)
    assert (answer["fates"], answer["rules"][0]["hits"]) == ({}, 0)


def test_yesterday_is_judged_again_by_another_book(rules: FlaskClient, yesterday: Path) -> None:
    strict = {"rules": [{"code": "large", "outcome": "decline", "sql": "amount >= 10000", "state": "live"}]}
    answer = told(rules, "replay", book=strict, **YESTERDAY)
    assert {fate: of["money"] for fate, of in answer["newly_declined"].items()} == {
        "genuine": {"EUR": 10000},
        "fraud": {"EUR": 100000},
    }
    assert [(one["payment_id"], one["was"], one["would_be"]) for one in answer["decisions"]] == [
        ("pi_2", "approve", "decline"),
        ("pi_3", "approve", "decline"),
    ]
    assert answer["decisions"][0]["reasons"] == ["large"]
    assert answer["no_longer_declined"] == {}
    again = told(rules, "replay", book=strict, **YESTERDAY)
    assert {**again, "matured_until": answer["matured_until"]} == answer
    assert told(rules, "replay", shipped=True, **YESTERDAY)["moved"] == []


@pytest.mark.parametrize(
    ("entry", "declined"),
    [
        ({"kind": "bin", "value": "411111", "until": "2999-01-01T00:00:00Z"}, ["pi_1", "pi_3"]),
        ({"kind": "bin", "value": "411111", "until": (NOON + 2 * HOUR).isoformat()}, ["pi_1"]),
        ({"kind": "bin", "value": "411111", "until": (NOON - DAY).isoformat()}, []),
    ],
)
def test_a_list_is_tried_as_far_as_it_stood(
    rules: FlaskClient, yesterday: Path, entry: dict[str, Any], declined: list[str]
) -> None:
    answer = told(rules, "replay", book={"entries": [{"action": "block", **entry}]}, **YESTERDAY)
    assert [one["payment_id"] for one in answer["decisions"]] == declined
    assert answer["other_versions"] == 0


@pytest.mark.parametrize(
    ("entry", "declined"),
    [
        ({"kind": "card", "value": "fp_3"}, ["pi_3"]),
        ({"kind": "customer", "value": "c1"}, ["pi_1"]),
        ({"kind": "device", "value": "d2"}, ["pi_2"]),
        ({"kind": "ip", "value": "2001:db8::7"}, ["pi_0", "pi_1", "pi_2", "pi_3"]),
        ({"kind": "ip", "value": "2001:db8:0:1::/64"}, []),
        ({"kind": "card", "value": "fp_3", "until": (NOON + 2 * HOUR).isoformat()}, []),
    ],
)
def test_who_would_be_listed_is_tried_on_yesterday_and_nobody_is_listed(
    rules: FlaskClient, yesterday: Path, entry: dict[str, Any], declined: list[str]
) -> None:
    block = {"action": "block", "until": "2999-01-01T00:00:00Z", **entry}
    answer = told(rules, "replay", listed=[block], **YESTERDAY)
    assert [one["payment_id"] for one in answer["decisions"]] == declined
    assert answer["other_versions"] == 0
    assert told(rules, "replay", book={}, listed=[block], **YESTERDAY)["decisions"] == answer["decisions"]
    assert told(rules, "listed")["entities"] == []


@pytest.mark.parametrize(("version", "declined"), [("1", ["pi_9"]), ("2", ["pi_9"]), ("3", [])])
def test_a_list_is_tried_by_each_name_that_an_address_had_around_a_rotation(
    rules: FlaskClient, tmp_path: Path, version: str, declined: list[str]
) -> None:
    ports = local_ports(tmp_path)
    named: dict[str, Any] = {"email_hash": f"mail-2-{'2a' * 32}", "email_hash_also": (f"mail-1-{'1a' * 32}",)}
    # Whoever has an id is listed by that.
    for payment, customer in (("pi_8", "c8"), ("pi_9", None)):
        whom: dict[str, Any] = {"device_id": None, "ip": None, "card": a_card(fingerprint=payment), **named}
        event = a_payment_event(event_id=f"stripe:a:{payment}", payment_id=payment, customer_id=customer, **whom)
        score_payment(event, ports, NOON, Scorer(use_model=False))
        ports.warehouse.append("payment_events", published_event(event))
    ports.warehouse.append("fraud_decisions", published(ports, "fraud-decisions"))
    block = {**BLOCKED, "value": f"mail-{version}-{f'{version}a' * 32}"}
    answer = told(rules, "replay", listed=[{**block, "kind": "customer"}], **YESTERDAY)
    assert [one["payment_id"] for one in answer["decisions"]] == declined
    by_book = told(rules, "replay", book={"entries": [{**block, "kind": "email_hash"}]}, **YESTERDAY)
    assert {one["payment_id"] for one in by_book["decisions"]} == ({"pi_8", "pi_9"} if declined else set())


def test_a_snooze_of_a_customer_is_tried_with_the_book_that_has_the_rule(rules: FlaskClient, yesterday: Path) -> None:
    strict = {"rules": [{"code": "large", "outcome": "decline", "sql": "amount >= 10000", "state": "live"}]}
    snooze = {"action": "snooze", "kind": "customer", "value": "c3", "rule": "large", "until": "2999-01-01T00:00:00Z"}
    answer = told(rules, "replay", book=strict, listed=[snooze], **YESTERDAY)
    assert [one["payment_id"] for one in answer["decisions"]] == ["pi_2"]
    unknown = told(rules, "replay", 400, book={}, listed=[snooze], **YESTERDAY)
    assert "no rule of the book is called large" in unknown["detail"]


def test_a_model_and_thresholds_are_tried_together(rules: FlaskClient, yesterday: Path) -> None:
    digest = local_ports(yesterday).models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=20)))
    policy = {"limits": [{"name": "all", "thresholds": {"challenge": 1e-9, "review": 1e-9, "decline": 1e-9}}]}
    answer = told(rules, "replay", book={"policy": policy}, model=digest, **YESTERDAY)
    assert sum(of["payments"] for of in answer["newly_declined"].values()) == 4
    assert all(one["score"] is not None for one in answer["decisions"])
    assert told(rules, "replay", book={"policy": policy}, **YESTERDAY)["moved"] == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"act": "backtest", "rules": [], **YESTERDAY}, "rules: "),
        ({"act": "backtest", "rules": [RULE] * 51, **YESTERDAY}, "rules: "),
        ({"act": "backtest", "rules": [RULE, RULE], **YESTERDAY}, "two rules have one code"),
        ({"act": "backtest", "rules": [RULE | {"sql": "1 = 1) OR (SELECT 1"}], **YESTERDAY}, "book.rules[0].sql"),
        ({"act": "backtest", "rules": [RULE], "since": "2026-11-02", "until": "2026-11-01"}, "until comes after since"),
        ({"act": "backtest", "rules": [RULE], "since": "2026-01-01", "until": "2026-11-01"}, "by 92 days at most"),
        ({"act": "backtest", "rules": [RULE], "since": "yesterday", "until": "2026-11-01"}, "since"),
        ({"act": "backtest", "rules": [RULE], **YESTERDAY, "since": "0001-01-01T00:00:00+23:59"}, "calendar"),
        ({"act": "replay", "book": {}, "since": "2026-09-01", "until": "2026-11-01"}, "by 31 days at most"),
        ({"act": "replay", **YESTERDAY}, "name what to judge by"),
        (
            {"act": "replay", "listed": [BLOCKED | {"kind": "bin", "value": "411111"}], **YESTERDAY},
            "listed: bin: this stands in a book",
        ),
        (
            {"act": "replay", "listed": [BLOCKED | {"kind": "ip", "value": "10.0.0.0/8"}], **YESTERDAY},
            "listed: an address",
        ),
        ({"act": "replay", "book": {}, "revision": 1, **YESTERDAY}, "name what to judge by"),
        ({"act": "replay", "revision": 7, **YESTERDAY}, "there is no revision 7"),
        ({"act": "replay", "model": "challenger", **YESTERDAY}, "model: there is none"),
        ({"act": "replay", "model": "0" * 64, **YESTERDAY}, "model: there is none"),
        ({"act": "replay", "model": "../../etc", **YESTERDAY}, "model: "),
    ],
)
def test_what_cannot_be_tried_is_named(rules: FlaskClient, call: dict[str, Any], says: str) -> None:
    answer = rules.post("/", json=call)
    assert answer.status_code == 400
    assert says in answer.get_json(force=True)["detail"]


def test_names_that_look_like_sql_are_only_names(rules: FlaskClient, yesterday: Path) -> None:
    scope = {"accounts": ["x') OR TRUE --"], "countries": ['"; DROP TABLE fraud_decisions']}
    tried = told(rules, "backtest", rules=[RULE | {"scope": scope}], **YESTERDAY)["rules"][0]
    assert tried["hits"] == 0


def test_how_right_rules_were_is_shown_beside_them(rules: FlaskClient, tmp_path: Path) -> None:
    shown = told(rules, "show", health=True)
    assert {one["days"] for one in shown["health"].values()} == {0}
    rule = SHIPPED.contents.rules[0]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def row(measure: str, days_ago: int, value: float, payments: int) -> dict[str, Any]:
        at = utc_text(today - days_ago * DAY)
        subject = f"{rule.code} {rule.version}"
        row_id = f"{at}/{measure}/{subject}"
        said = {"row_id": row_id, "day": at, "measured_at": at, "measure": measure, "subject": subject}
        return {**said, "value": value, "payments": payments}

    rows = [row("rule_hits", 1, 3, 100), row("rule_hits", 2, 0, 50), row("rule_precision", 1, 0.75, 4)]
    local_ports(tmp_path).warehouse.append("model_health", [*rows, *rows, row("rule_hits", 31, 9, 10)])
    health = told(rules, "show", health=True)["health"][rule.code]
    assert (health["hits"], health["judged"], health["days"], health["matured"]) == (3, 150, 2, 4)
    assert health["last_hit"] == (today - DAY).isoformat().replace("+00:00", "Z")
    assert health["precision"]["estimate"] == 0.75
    assert health["dead"] is False


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"act": "back", "to": 7, **WHO}, "there is no revision 7"),
        ({"act": "burn"}, "act"),
        ({"act": "publish", "book": {"rules": [RULE | {"state": "on"}]}, "after": None, **WHO}, "book.rules[0].state"),
        ({"act": "publish", "book": {"rule": []}, "after": None, **WHO}, "book.rule: "),
        ({"act": "publish", "book": {}, "after": None, "author": " ", "reason": "x"}, "author: "),
        (
            {
                "act": "publish",
                "book": {
                    "policy": {"limits": [{"name": "a", "thresholds": {"challenge": 2, "review": 1, "decline": 1}}]}
                },
                "after": None,
                **WHO,
            },
            "thresholds rise",
        ),
        (
            {
                "act": "publish",
                "book": {
                    "entries": [{"action": "block", "kind": "moon", "value": "x", "until": "2027-01-01T00:00:00Z"}]
                },
                "after": None,
                **WHO,
            },
            "does not list by moon",
        ),
    ],
)
def test_what_does_not_fit_is_named(rules: FlaskClient, call: dict[str, Any], says: str) -> None:
    answer = rules.post("/", json=call)
    assert answer.status_code == 400
    assert says in answer.get_json(force=True)["detail"]
