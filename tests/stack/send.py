"""`make send PROVIDER=stripe EVENT=charge.dispute.created`: sign one event as the provider does and post it.

Events are named in the provider's words. A dispute needs a payment to be about: with `PAYMENT=` two sends speak of the same one.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from shared import providers as adapters
from shared.domain.delivery import Delivery
from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.money import Money
from shared.runtime.certificates import Certificates
from shared.settings import read
from tests.simulator.facts import Attempt, Fact, FactKind, ProviderSimulator, SimulatedCard, SimulatedDispute
from tests.simulator.loading import load, names
from tests.stack.dev import HOME, SAID, SEED
from tests.stack.sender import NO_ANSWER, Sender


def catalogue(simulator: ProviderSimulator, payment: str, now: datetime) -> dict[str, tuple[Fact, bytes]]:
    """Every event that `simulator` can say about one payment, by the provider's own name for it."""
    settings = read(simulator.environment())
    adapter, credentials = adapters.load(simulator.name), settings.credentials(simulator.name)
    certificates = Certificates(settings.certificates(simulator.name))
    said: dict[str, tuple[Fact, bytes]] = {}
    for fact in facts(simulator.name, payment, now):
        for body in simulator.requests(fact):
            request = simulator.sign(body, now)
            headers = {name.lower(): text for name, text in request.headers.items()}
            path, _, query = request.path.partition("?")
            delivery = Delivery(simulator.name, request.body, headers, now, path, query)
            verdict = adapter.verify(delivery, credentials, certificates)
            for name in adapter.normalize(delivery, verdict, credentials).types:
                said.setdefault(name, (fact, body))
    return dict(sorted(said.items()))


def facts(provider: str, payment: str, now: datetime) -> Iterator[Fact]:
    """One fact of every kind and stage about the same EUR 19.99."""
    attempt = Attempt(
        id=payment,
        provider=provider,
        at=now,
        amount=Money(1999, "EUR"),
        customer="c-dev",
        email="dev@example.com",
        card=SimulatedCard(token=f"card-{payment}", bin="424242", last4="4242", network="visa", country="DE"),
        device="dev-laptop",
        ip="198.18.50.7",
        country="DE",
        cvv_matches=True,
    )
    dispute = SimulatedDispute(id=f"dp-{payment}", respond_by=now + timedelta(days=10))
    for kind in FactKind:
        for stage in DisputeStage if kind.name.startswith("DISPUTE") else (DisputeStage.CHARGEBACK,):
            reason = DisputeReason.NOT_RECEIVED if stage is DisputeStage.INQUIRY else DisputeReason.FRAUD
            yield Fact(
                kind=kind,
                attempt=replace(attempt, decline_code="insufficient_funds" if kind is FactKind.DECLINED else None),
                at=now,
                amount=attempt.amount,
                refund_id=f"{payment}-r1" if kind is FactKind.REFUNDED else None,
                dispute=replace(dispute, stage=stage, reason=reason) if kind.name.startswith("DISPUTE") else None,
            )


def say(home: Path, fact: Fact) -> None:
    """Let the provider that `make dev` simulates know of `fact`: its API is asked for what a poke only names."""
    with (home / SAID).open("ab") as file:
        file.write(msgspec.json.encode(fact) + b"\n")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stack.send", description=__doc__)
    parser.add_argument("--provider", choices=names(), default="stripe")
    parser.add_argument("--event", required=True)
    parser.add_argument("--payment", help="the payment's name in the simulated world; left out, a new one")
    parser.add_argument("--home", type=Path, default=HOME, help="of the running `make dev`")
    asked = parser.parse_args(arguments)
    try:
        note = json.loads((asked.home / "running.json").read_text())
    except FileNotFoundError:
        print("nothing is running: start `make dev` first", file=sys.stderr)
        return 2
    simulator = load(asked.provider, SEED, Path(note["providers"]))
    payment = asked.payment or f"s{secrets.token_hex(5)}"
    now = datetime.now(UTC).replace(microsecond=0)
    known = catalogue(simulator, payment, now)
    if asked.event not in known:
        print(f"{asked.provider} is not simulated to send {asked.event!r}; it can send:", file=sys.stderr)
        print("\n".join(f"  {name}" for name in known), file=sys.stderr)
        return 2
    fact, body = known[asked.event]
    say(asked.home, fact)
    sender = Sender(note["webhook"], 1)
    answer = sender.send(simulator.sign(body, now))
    sender.close()
    if answer.status == NO_ANSWER:
        print(f"{note['webhook']} does not answer: is `make dev` still running?", file=sys.stderr)
        return 2
    print(f"{asked.event} about payment {payment}: {answer.status} {answer.body.decode(errors='replace')}".rstrip())
    print(f"more about the same payment: make send PROVIDER={asked.provider} EVENT=... PAYMENT={payment}")
    return 0 if answer.accepted else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
