"""What `payin` changes: it says so and asks, is refused without a reason, and stands in the audit."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from shared import settings
from shared.backends.local import connect
from shared.backends.local.bus import LocalBus
from shared.cli.codes import Code
from shared.domain.codec import from_document, to_document
from shared.domain.events import CanarySent
from shared.flows import explain_payouts
from shared.flows.backtest import MATURITY
from shared.flows.canaries import hear
from shared.flows.champions import Champion, Line, with_line
from shared.flows.explain_payouts import key_of
from shared.flows.ports import Create, Key, Message, Ports, Replace
from shared.flows.scorer import CHAMPION
from shared.flows.subscriptions import Listening
from shared.flows.train_model import COLUMNS
from shared.flows.watch_traffic import STATE, Silence, Standing, watch_traffic
from shared.fraud.features import SCHEMA_VERSION
from tests.builders import DAY, HOUR, MINUTE, SECOND
from tests.cli.calling import payin, told
from tests.cli.shop import Shop, a_shop, count
from tests.cli.test_payouts import ONE as A_PAYOUT
from tests.cli.test_payouts import OWED
from tests.fraud.forests import artifact, fitted
from tests.providers.kits import NOON

OWNED = {"owner": "risk", "reason": "cards of a breach"}
BOOK = {"rules": [{"code": "large", "outcome": "review", "sql": "amount >= 100000", "state": "live", **OWNED}]}
SECRET = {"WEBHOOK_STRIPE": {"keys": {"k1": "whsec_" + "A" * 32}, "live": True}, "WEBHOOK_ADYEN": {"keys": {"a": "b"}}}


@dataclass
class Place:
    home: Path
    champion: str
    challenger: str

    @property
    def ports(self) -> Ports:
        return connect(settings.read({"PAYIN_HOME": str(self.home)}))

    @property
    def bus(self) -> LocalBus:
        return cast(LocalBus, self.ports.bus)

    def audit(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = told(self.home, "audit", "--since", "3650d")
        return found


def give_up(shop: Shop) -> None:
    """A message that nobody can read ends in the dead letters of `record_payment`."""
    told_by = {"kind": "payment", "provider": "stripe", "step": "captured", "event_id": "evt_x"}
    name = "record-payment-stripe"
    shop.bus.subscribe(name, "payment-events", 'attributes.provider = "stripe"', 1, "dead-letter-record-payment")
    shop.bus.publish([Message("payment-events", b"{}", told_by)])
    shop.bus.nack(name, [one.ack_id for one in shop.bus.pull(name, 9, 60)])
    assert shop.bus.pull(name, 9, 60) == []
    shop.bus.ack("score-payment-stripe", [one.ack_id for one in shop.bus.pull("score-payment-stripe", 9, 60)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A shop's days, a model with a challenger and one before, a book of rules, an entry, and a message that was given up."""
    shop = a_shop(tmp_path_factory.mktemp("changing") / "home")
    digests = [shop.ports.models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=n))) for n in (5, 6, 7)]
    before, champion, challenger = (Champion(digest=one, since=shop.now - DAY) for one in digests)
    line = Line(current=champion, challenger=challenger, former=(before,))
    gone = {"url": "https://crm.example/hooks", "disabled_at": shop.now}
    shop.ports.documents.commit(
        [Create(CHAMPION, with_line(None, SCHEMA_VERSION, line)), Create(Key("endpoints", "crm"), gone)]
    )
    give_up(shop)
    watch_traffic(shop.ports, shop.now + HOUR)
    count(shop.ports, "stripe", "charge.updated", shop.now - DAY)
    shop.ports.documents.commit(
        [Create(key_of(A_PAYOUT.name), to_document(A_PAYOUT)), Create(explain_payouts.STATE, to_document(OWED))]
    )
    (shop.home / "book.json").write_text(json.dumps(BOOK))
    (shop.home / "secrets.json").write_text(json.dumps(SECRET))
    place = Place(shop.home, champion.digest, challenger.digest)
    for line_ in (
        ["rules", "publish", str(shop.home / "book.json"), "--after", "shipped"],
        ["lists", "add", "customer", "cus_1", "block"],
    ):
        assert payin(shop.home, *line_, "--yes", "--reason", "to begin with").exit_code == 0
    [letters] = told(shop.home, "dead-letters", "list")
    (shop.home / "letters").write_text(letters["fingerprint"])
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """All of it, to be changed."""
    shutil.copytree(made.home, tmp_path / "home")
    return replace(made, home=tmp_path / "home")


def lines(place: Place) -> dict[str, Sequence[str]]:
    """A call of each command that changes something, without what agrees to it."""
    book, secrets, letters = place.home / "book.json", place.home / "secrets.json", (place.home / "letters").read_text()
    return {
        "replay": ["replay", "stripe", "--outcome", "accepted", "--again", "--since", "3650d"],
        "dead-letters requeue": ["dead-letters", "requeue", letters],
        "dead-letters drop": ["dead-letters", "drop", letters],
        "providers usual": ["providers", "usual", "stripe", "--type", "charge.updated", "--since", "2026-04-11"],
        "providers park": ["providers", "park", "stripe"],
        "providers drain": ["providers", "drain", "stripe"],
        "keys rotate": ["keys", "rotate", "stripe", "--add", "k2", "--secrets", str(secrets)],
        "models promote": ["models", "promote", place.challenger[:8]],
        "models roll-back": ["models", "roll-back"],
        "models canary": ["models", "canary", place.challenger[:8], "0.05"],
        "models dismiss": ["models", "dismiss", place.challenger[:8]],
        "models pin": ["models", "pin", place.champion[:8]],
        "rules publish": ["rules", "publish", str(book), "--after", "1"],
        "rules shadow": ["rules", "shadow", "large"],
        "rules retire": ["rules", "retire", "large"],
        "rules back": ["rules", "back", "shipped"],
        "lists add": ["lists", "add", "device", "dev_1", "block", "--days", "7"],
        "lists remove": ["lists", "remove", "customer", "cus_1", "block"],
        "jobs run": ["jobs", "run", "monitor_model"],
        "endpoints enable": ["endpoints", "enable", "crm"],
        "payouts accept": ["payouts", "accept", A_PAYOUT.name],
        "payouts accept-unpaid": ["payouts", "accept-unpaid", "stripe:main:EUR"],
    }


AUDITED = {
    "rules publish": "manage_rules publish",
    "rules shadow": "manage_rules publish",
    "rules retire": "manage_rules publish",
    "rules back": "manage_rules back",
    "lists add": "manage_rules list",
    "lists remove": "manage_rules unlist",
}


def everything(place: Place) -> dict[str, Any]:
    collections = (
        "registry",
        "rule_books",
        "lists",
        "endpoints",
        "feature_state",
        "audit",
        "payments",
        "disputes",
        "payouts",
    )
    return {str(one.key): one.document for name in collections for one in place.ports.documents.scan(name, 1000)}


def asked(place: Place, command: str, *more: str, answer: str | None = None) -> Any:
    secret = f"whsec_{'B' * 32}" if command == "keys rotate" else None
    return payin(place.home, *lines(place)[command], *more, answer=answer or secret)


def test_every_command_asks_says_why_and_is_in_the_audit(made: Place, tmp_path: Path) -> None:
    for number, command in enumerate(lines(made)):
        home = tmp_path / str(number)
        shutil.copytree(made.home, home)
        place = replace(made, home=home)
        if command == "providers drain":
            assert asked(place, "providers park", "--yes", "--reason", "to begin with").exit_code == 0
        before = everything(place)
        result = asked(place, command, "--yes")
        assert result.exit_code == Code.USAGE, command
        result = asked(place, command, "--reason", "it has to be")
        assert (result.exit_code, "--yes" in result.stderr) == (Code.NOT_AGREED, True), (command, result.output)
        assert everything(place) == before, command
        result = asked(place, command, "--yes", "--reason", "it has to be")
        assert (result.exit_code, bool(result.stdout)) == (0, True), (command, result.output)
        new = [one for one in place.audit() if one["why"] == "it has to be"]
        assert AUDITED.get(command, command) in {one["what"] for one in new}, command
        assert all(one["who"] for one in new)
        assert "[e-mail]" not in payin(place.home, "audit", "--since", "1d").stdout


@pytest.mark.parametrize("command", ["replay", "models roll-back", "rules shadow", "keys rotate", "providers park"])
def test_a_blank_is_no_reason(command: str, made: Place) -> None:
    assert asked(made, command, "--yes", "--reason", " ").exit_code == Code.REFUSED


def test_a_replay_shows_what_it_would_change_and_changes_nothing(place: Place) -> None:
    payment = next(iter(one.key.id for one in place.ports.documents.scan("payments", 9) if "stripe" in one.key.id))
    line = ["replay", "stripe", "--outcome", "unparsed", "--since", "3650d", "--reason", "mended"]
    before = everything(place)
    found = told(place.home, *line, "--dry-run")
    assert found["replayed"]["replayed"] == 2
    names = {one["name"] for one in found["rehearsed"]["changes"]}
    assert {name.split(":")[0] for name in names} >= {"payments", "decisions"}
    assert f"payments:{payment}" not in names
    assert found["rehearsed"]["published"]["deliveries"] == 2
    assert everything(place) == before
    assert "would change" in payin(place.home, *line, "--dry-run").stdout
    done = told(place.home, *line, "--yes", "--rate", "1000")
    assert done["replayed"] == 2
    assert {one.attributes["kind"] for one in place.bus.pull("record-payment-stripe", 9, 60)} == {"payment"}
    [record] = [one for one in place.audit() if one["what"] == "replay"]
    assert json.loads(record["outcome"])["replayed"] == 2


def test_a_replay_of_a_time_that_ends_before_it_begins_is_no_command(made: Place) -> None:
    line = ["replay", "stripe", "--since", "1d", "--until", "2d", "--dry-run", "--reason", "mended"]
    result = payin(made.home, *line)
    assert (result.exit_code, "ends before it begins" in result.stderr) == (Code.USAGE, True)


def test_what_is_not_parked_is_not_drained_and_no_audit_tells_of_it(place: Place) -> None:
    before = place.audit()
    assert asked(place, "providers drain", "--yes", "--reason", "never parked").exit_code == Code.REFUSED
    assert place.audit() == before


def test_what_was_given_up_is_told_with_what_would_come_of_it_today(place: Place) -> None:
    [found] = told(place.home, "dead-letters", "list")
    assert (found["source"], found["kind"], found["count"]) == ("record-payment-stripe", "payment", 1)
    assert found["reason"] == "unknown_kind"
    assert "unknown_kind" in payin(place.home, "dead-letters", "list").stdout
    assert asked(place, "dead-letters requeue", "--yes", "--reason", "mended").exit_code == 0
    assert told(place.home, "dead-letters", "list") == []
    assert [one.data for one in place.bus.pull("record-payment-stripe", 9, 60)] == [b"{}"]
    assert asked(place, "dead-letters drop", "--yes", "--reason", "again").exit_code == Code.REFUSED


def test_a_parked_provider_is_shown_kept_and_drained(place: Place) -> None:
    assert asked(place, "providers park", "--yes", "--reason", "amounts are wrong").exit_code == 0
    [shown] = [one for one in told(place.home, "providers", "show", "--since", "3650d") if one["parked"]]
    assert (shown["health"]["provider"], shown["parked"]["why"], shown["pushed"]) == ("stripe", "amounts are wrong", [])
    assert "track-dispute-refunds-stripe" in shown["parked"]["pushes"]
    message = Message("payment-events", b"{}", {"kind": "payment", "provider": "stripe", "step": "captured"})
    place.bus.publish([message])
    assert place.bus.pull("record-payment-stripe", 9, 60) == []
    done = told(place.home, "providers", "drain", "stripe", "--rate", "100", "--yes", "--reason", "mended")
    assert done == {"passed_on": 1}
    assert [one.data for one in place.bus.pull("record-payment-stripe", 9, 60)] == [b"{}"]
    assert payin(place.home, "providers", "unpark", "stripe", "--yes", "--reason", "again").exit_code == Code.REFUSED


def test_providers_are_told_on_one_screen(place: Place) -> None:
    found = {
        one["health"]["provider"]: one["health"] for one in told(place.home, "providers", "show", "--since", "3650d")
    }
    assert set(found) == {"adyen", "stripe"}
    stripe = found["stripe"]
    assert (stripe["deliveries"], stripe["unparsed"], stripe["accepted"]) == (7, 2, 5)
    assert sum(stripe["keys"].values()) == 7
    assert stripe["lag_seconds"] is not None
    assert (stripe["refused"], stripe["breaker_open_since"]) == ({}, None)
    said = payin(place.home, "providers", "show", "--since", "3650d", "--all").stdout
    assert "worldpay" in said
    assert f"{stripe['deliveries']}, nothing of it before today" in " ".join(said.split())


def test_a_silence_is_shown_until_it_is_said_to_be_usual(place: Place) -> None:
    [found] = place.ports.documents.get([STATE])
    assert found is not None
    silent = Silence(
        provider="stripe", type="charge.updated", since=NOON - 3 * HOUR, told_at=NOON, part="gone", lost=90
    )
    state = replace(from_document(found.document, Standing), silences=(silent,))
    place.ports.documents.commit([Replace(STATE, to_document(state), found.version)])
    shown = {one["health"]["provider"]: one for one in told(place.home, "providers", "show", "--since", "1d")}
    assert [one["type"] for one in shown["stripe"]["silences"]] == ["charge.updated"]
    assert shown["adyen"]["silences"] == []
    assert "charge.updated (gone) since" in " ".join(payin(place.home, "providers", "show").stdout.split())
    [ended] = told(place.home, *lines(place)["providers usual"], "--yes", "--reason", "switched off at Stripe")
    assert ended["type"] == "charge.updated"
    shown = {one["health"]["provider"]: one for one in told(place.home, "providers", "show", "--since", "1d")}
    assert shown["stripe"]["silences"] == []


def test_a_type_that_was_never_counted_is_refused_and_those_that_were_are_named(place: Place) -> None:
    asked = ("--yes", "--reason", "switched off", "--type", "charge.update")
    refused = payin(place.home, "providers", "usual", "stripe", *asked)
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert refused.exit_code == 2
    assert "'charge.update' was never counted; these were counted: charge.updated" in said
    refused = payin(place.home, "providers", "usual", "adyen", *asked)
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert (refused.exit_code, "nothing of adyen was counted by type" in said) == (2, True)
    [found] = place.ports.documents.get([STATE])
    assert found is not None
    assert from_document(found.document, Standing).usual_from == {}


def test_since_when_a_provider_does_not_answer_is_on_the_same_screen(place: Place) -> None:
    mute = [("stripe", Listening(None, (), NOON - DAY)), ("adyen", Listening(NOON - DAY, (), NOON - HOUR))]
    place.ports.documents.commit([Create(Key("told_endpoints", name), to_document(one)) for name, one in mute])
    said = " ".join(payin(place.home, "providers", "show", "--since", "3650d").stdout.split())
    assert said.count("does not answer since") == 2, said


def test_a_canary_and_what_a_provider_sends_us_are_on_the_same_screen(place: Place) -> None:
    canary = CanarySent(event_id="stripe:main:canary-1", provider="stripe", account="main", occurred_at=NOON - MINUTE)
    hear(canary, place.ports.documents, NOON - MINUTE + 2 * SECOND)
    lost = Listening(NOON - HOUR, ("does not send charge.refunded",))
    all_of_it = Listening(NOON - HOUR)
    documents = [("stripe", lost), ("adyen", all_of_it)]
    place.ports.documents.commit([Create(Key("told_endpoints", name), to_document(one)) for name, one in documents])
    found = {one["health"]["provider"]: one for one in told(place.home, "providers", "show", "--since", "3650d")}
    assert (found["stripe"]["canary_seconds"], found["adyen"]["canary"]) == (2.0, None)
    assert found["stripe"]["listening"]["differences"] == ["does not send charge.refunded"]
    said = " ".join(payin(place.home, "providers", "show", "--since", "3650d").stdout.split())
    assert "took 2.0 s" in said
    assert "all, as of" in said


def test_what_only_the_log_knows_of_a_provider_is_on_the_same_screen(place: Place) -> None:
    lines = [
        {"event": "circuit_opened", "provider": "paypal", "time": "2026-11-02T11:00:00+00:00"},
        {"event": "circuit_opened", "provider": "adyen", "time": "2026-11-02T11:00:00+00:00"},
        {"event": "circuit_closed", "provider": "adyen", "time": "2026-11-02T11:01:00+00:00"},
        {
            "event": "delivery_refused",
            "provider": "adyen",
            "reason": "signature_mismatch",
            "time": "2026-11-02T11:02:00+00:00",
        },
        {
            "event": "delivery_refused",
            "provider": "adyen",
            "reason": "stale",
            "time": "2020-01-01T11:02:00+00:00",
        },
        {"event": "delivery", "provider": "adyen", "time": "2026-11-02T11:02:00+00:00"},
    ]
    (place.home / "logs").mkdir()
    text = "\n".join(["half a line", *map(json.dumps, lines), '{"event": "delivery_refused"}', ""])
    (place.home / "logs" / "webhook.log").write_text(text)
    found = {one["health"]["provider"]: one["health"] for one in told(place.home, "providers", "show", "--since", "1d")}
    assert found["adyen"]["refused"] == {"signature_mismatch": 1}
    assert found["adyen"]["breaker_open_since"] is None
    assert found["paypal"]["breaker_open_since"] == "2026-11-02T11:00:00Z"
    assert "left alone since 2026-11-02 11:00:00 UTC" in payin(place.home, "providers", "show", "--since", "1d").stdout


def test_a_key_is_changed_in_a_file_and_goes_only_when_nothing_is_proved_by_it(place: Place) -> None:
    secrets = place.home / "secrets.json"
    line = ["keys", "rotate", "stripe", "--secrets", str(secrets), "--yes", "--reason", "yearly"]
    new = f"whsec_{'B' * 32}"
    added = payin(place.home, *line, "--add", "k2", answer=new)
    assert added.exit_code == 0, added.output
    assert json.loads(secrets.read_text())["WEBHOOK_STRIPE"] == {
        "keys": {"k1": SECRET["WEBHOOK_STRIPE"]["keys"]["k1"], "k2": new},  # type: ignore[index]
        "live": True,
    }
    assert json.loads(secrets.read_text())["WEBHOOK_ADYEN"] == SECRET["WEBHOOK_ADYEN"]
    assert secrets.stat().st_mode & 0o077 == 0
    assert new not in added.output
    assert new not in json.dumps(place.audit())
    [used, *_] = told(place.home, "keys", "show", "stripe", "--since", "3650d")
    assert used["deliveries"] == 7
    for key in ("k1", "k2", "k3"):
        removed = payin(place.home, *line, "--remove", key)
        assert removed.exit_code == Code.REFUSED, removed.output
    assert payin(place.home, *line, "--add", "k3", answer="not a secret of Stripe").exit_code == Code.REFUSED
    assert payin(place.home, *line).exit_code == Code.USAGE


def test_a_rule_is_tried_before_it_decides(place: Place) -> None:
    found = told(place.home, "rules", "backtest", "amount >= 0", "--since", "30d", "--maturity-days", "0")
    assert found["rules"]
    assert payin(place.home, "rules", "backtest", "amount >>> 0").exit_code == Code.REFUSED


def test_a_rule_is_tried_on_payments_old_enough_to_know_unless_told_otherwise(place: Place) -> None:
    found = told(place.home, "rules", "backtest", "amount >= 0")
    since, matured, until = (datetime.fromisoformat(found[name]) for name in ("since", "matured_until", "until"))
    assert since + 30 * DAY <= matured == until - MATURITY


def test_what_nobody_is_called_is_not_changed(place: Place) -> None:
    agree = ("--yes", "--reason", "it has to be")
    assert payin(place.home, "models", "promote", "nobody", *agree).exit_code == Code.NOTHING
    assert payin(place.home, "rules", "shadow", "nobody", *agree).exit_code == Code.NOTHING
    assert payin(place.home, "rules", "publish", str(place.home / "none.json"), "--after", "1", *agree).exit_code == 65
    stale = payin(place.home, "rules", "publish", str(place.home / "book.json"), "--after", "shipped", *agree)
    assert (stale.exit_code, "revision 1" in stale.stderr) == (Code.REFUSED, True)


def test_a_customer_is_looked_for_and_erased_and_the_report_is_shown_to_whoever_knows_the_name(
    made: Place, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(made.home, home)
    looked = told(home, "erase", "customer-1", "--dry-run")
    assert (looked["stage"], payin(home, "erase", "customer-1", "--show").exit_code) == ("found", Code.NOTHING)
    assert payin(home, "erase", "customer-1", "-r", "asked").exit_code == Code.NOT_AGREED
    refused = payin(home, "erase", "customer-1", "--yes")
    assert (refused.exit_code, "says why" in refused.stderr) == (Code.REFUSED, True)
    done = payin(home, "erase", "customer-1", "--yes", "-r", "customer-1 asked for it")
    assert (done.exit_code, "waits for the end of" in done.stdout) == (Code.DONE, True), done.output
    shown = told(home, "erase", " customer-1 ", "--show")
    assert (shown["stage"], shown["person"]) == ("waits", looked["person"])
    assert "not counted" in done.stdout
    nobody = payin(home, "erase", "custommer-1", "--yes", "-r", "asked")
    assert (nobody.exit_code, "nothing at all is known" in nobody.stderr) == (Code.NOTHING, True)
    [said] = [one for one in told(home, "audit", "--since", "3650d") if one["what"] == "erase"]
    assert (said["outcome"], "customer-1" in json.dumps(said)) == ("waits", False)
