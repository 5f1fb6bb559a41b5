"""Every provider at once, over HTTP: one that is refused keeps nobody else from being healed; and by hand, from the command line."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from shared import providers, settings
from shared.cli.codes import Code
from shared.domain.pseudonyms import Keyring
from shared.domain.telemetry import told_instead
from shared.flows.reconcile import standings
from shared.runtime.apis import Apis
from shared.runtime.reconciling import listed, ours, reconcile_all
from tests.builders import HOUR
from tests.cli.calling import payin, told
from tests.cli.shop import Shop
from tests.providers.kits import NOON, a_fact, an_attempt
from tests.simulator.apis import serving
from tests.simulator.facts import FactKind
from tests.simulator.listing import ListApi, answering


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Stripe and GoCardless each told two things, of which one arrived; their APIs are there."""
    shop = Shop(tmp_path, served=("gocardless", "stripe"))
    with ExitStack() as running:
        for name in shop.served:
            kit = shop.kit(name)
            listing = ListApi(name, kit.simulator, frozenset())
            for number in (1, 2):
                fact = a_fact(FactKind.CAPTURED, an_attempt(id=f"attempt-{number}"), at=NOON)
                if number == 1:
                    shop.tell(fact, name)
                for body in kit.simulator.requests(fact):
                    listing.tell(body, NOON, delivered=number == 1)
            api = running.enter_context(serving(answering(listing)))
            for variable, value in api.environment(name).items():
                monkeypatch.setenv(variable, value)
        shop.run()
        shop.at(NOON + 2 * HOUR)
        yield shop


def test_every_provider_is_looked_at_and_one_that_refuses_keeps_nobody_else_waiting(
    shop: Shop,
) -> None:
    nowhere = json.dumps({"key": "a-key-of-ours", "base_url": "http://127.0.0.1:9"})
    read = settings.read({**os.environ, "PAYIN_HOME": str(shop.home), "API_STRIPE": nowhere})
    against = ours(shop.ports, shop.ports.bus, Keyring({"1": b"k" * 40}, "1"))
    told: list[tuple[str, Any]] = []
    with told_instead(lambda _, event, fields: told.append((event, dict(fields)))):
        found = reconcile_all(b"", read, Apis(read, lambda: shop.now), against, lambda: shop.now)
    assert told[-1] == ("lists_reconciled", {"providers": 2, "stopped": 1, "missing": 1, "healed": 1})
    assert set(found) == {"gocardless", "stripe"}
    healed = found["gocardless"]
    assert healed is not None
    assert (found["stripe"], healed.healed) == (None, 1)
    known = standings(shop.ports.documents, providers.names())
    assert known["gocardless"].finished_at == shop.now
    assert known["stripe"].finished_at is None


def test_by_hand_the_gaps_are_named_then_told_once_and_shown(shop: Shop) -> None:
    asked = ("reconcile", "stripe", "--since", "1d", "--reason", "the endpoint was off")
    dry = told(shop.home, *asked, "--dry-run")
    assert (dry["missing"], dry["healed"], len(dry["gaps"])) == (2, 0, 2)
    assert told(shop.home, *asked, "--yes")["healed"] == 2
    shop.run()
    assert told(shop.home, *asked, "--dry-run")["missing"] == 0
    [shown] = [one for one in told(shop.home, "providers", "show") if one["health"]["provider"] == "stripe"]
    assert shown["reconciled"]["healed"] == 2
    assert "listed" in shown["health"]["keys"]
    [record] = [one for one in told(shop.home, "audit") if one["what"] == "reconcile"]
    assert record["why"] == "the endpoint was off"
    assert "0 never arrived" in payin(shop.home, *asked, "--dry-run").stdout


def test_where_nobody_was_asked_nobody_says_that_all_arrived(shop: Shop) -> None:
    asked = ("reconcile", "square", "--reason", "x", "--dry-run")
    assert told(shop.home, *asked)["not_asked"] == "no_endpoint"
    said = payin(shop.home, *asked)
    assert ("square was not asked: nothing of it was ever delivered" in said.stdout, said.stderr) == (True, "")
    young = payin(shop.home, "reconcile", "stripe", "--since", "20m", "--reason", "x", "--dry-run").stdout
    assert "stripe was not asked: all of that time is younger than half an hour" in young


def test_a_provider_without_a_list_is_refused_by_name(shop: Shop) -> None:
    result = payin(shop.home, "reconcile", "adyen", "--reason", "x", "--dry-run")
    assert result.exit_code == Code.REFUSED
    assert listed()[0] in result.stderr
