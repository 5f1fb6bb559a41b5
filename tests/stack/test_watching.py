"""Canaries over real HTTP: sent by `watch_providers`, through the webhook, to `record_payment`; and what providers send us."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.flows.canaries import UNHEARD, heard
from shared.flows.subscriptions import listening
from tests.builders import MINUTE, NOON
from tests.simulator.apis import serving
from tests.simulator.endpoints import TOLD, Configured, Console, as_it_should_be
from tests.simulator.loading import load
from tests.stack.stack import EmbeddedBroker, Stack, served

NAMES = ("adyen", "paypal", "stripe")
FUNCTIONS = ("webhook", "record_payment", "watch_providers")


@pytest.fixture(scope="module")
def consoles() -> dict[str, Console]:
    return {name: Console(name) for name in NAMES if name in TOLD}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, consoles: dict[str, Console]) -> Iterator[Stack]:
    """The three functions that a canary needs, and no other."""
    home: Path = tmp_path_factory.mktemp("watching")
    environment = {"PROVIDERS": ",".join(NAMES)}
    for name in NAMES:
        environment |= load(name, 1, home / "providers").environment()
    with ExitStack() as cleanup:
        asked: dict[str, str] = {}
        for name, console in consoles.items():
            asked |= cleanup.enter_context(serving(console.answer)).environment(name)
        broker = EmbeddedBroker(home, served(environment))
        running = Stack(broker, home, environment, own={"watch_providers": asked})
        running.use_clock(NOON)
        cleanup.callback(running.close)
        broker.prepare()
        running.start(*FUNCTIONS)
        # Nothing that is told here is for anybody else.
        broker.push_to({name: f"{url}/" for name, url in running.urls.items()})
        yield running


def test_a_canary_goes_the_way_of_deliveries_and_ends_in_no_table(stack: Stack) -> None:
    stack.tick("canary")
    stack.drain()
    found = heard(stack.ports.documents, NAMES)
    assert {name: (one.sent_at, one.seconds) for name, one in found.items()} == dict.fromkeys(NAMES, (NOON, 0.0))
    stack.set_clock(NOON + MINUTE)
    stack.tick("canary")
    stack.drain()
    assert {one.sent_at for one in heard(stack.ports.documents, NAMES).values()} == {NOON + MINUTE}
    assert stack.store() == 0
    for table in ("deliveries", "payment_events"):
        assert stack.ports.warehouse.query(f"SELECT COUNT(*) AS rows_of_it FROM {table}") == [{"rows_of_it": 0}]
    assert stack.ports.documents.scan("payments", 10) == []


def test_when_a_webhook_is_down_somebody_is_called_and_told_why(stack: Stack) -> None:
    stack.stop("webhook")
    try:
        for minute in range(2, 3 + int(UNHEARD / MINUTE)):
            stack.set_clock(NOON + minute * MINUTE)
            stack.tick("canary")
            stack.drain()
    finally:
        stack.start("webhook")
    log = (stack.home / "logs" / "watch_providers.log").read_text()
    assert log.count('"event":"canary_unheard"') == len(NAMES)
    assert '"event":"canary_refused"' in log
    assert '"status":0' in log


def test_what_a_provider_sends_us_is_read_over_http(stack: Stack, consoles: dict[str, Console]) -> None:
    for name, console in consoles.items():
        console.endpoints.append(as_it_should_be(name, f"{stack.urls['webhook']}/{name}"))
    consoles["stripe"].endpoints[:] = [Configured(f"{stack.urls['webhook']}/stripe", ["charge.refunded"])]
    stack.tick("subscriptions")
    stack.drain()
    found = listening(stack.ports.documents, NAMES)
    assert sorted(found) == ["adyen", "paypal", "stripe"]
    assert (found["adyen"].differences, found["paypal"].differences) == ((), ())
    [said] = found["stripe"].differences
    assert said.startswith("does not send charge.captured, ")
