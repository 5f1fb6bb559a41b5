"""Where the providers of a story take our answers to their disputes: a desk each, on a local port, in the story's own time."""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Protocol, cast, runtime_checkable

from shared.domain.answers import Act, Contest
from shared.providers import load_answer, load_refund
from tests.simulator.answering import desk_of
from tests.simulator.desks import Desk, Refund, Taken, Till, open_desk
from tests.simulator.facts import Fact, ProviderSimulator


def has_desk(provider: str) -> bool:
    """Whether we answer disputes at `provider` by its API."""
    return load_answer(provider) is not None


LOST = 0.15
"""So many answers reach their provider and never hear of it: the connection breaks first."""


def is_lost(taken: Taken) -> bool:
    """By the dispute's name, so that it is the same ones every time."""
    return random.Random(f"lost:{taken.dispute_id}").random() < LOST


@runtime_checkable
class Reviews(Protocol):
    """A provider whose review of a refund has a name of its own."""

    package: str

    def review_token(self, opened: Fact) -> str: ...


class Desks:
    """settings: where `respond_dispute` finds them, in the place of the providers. taken: all that each took, in order; refunds:
    all that each gave back."""

    def __init__(self, desks: Mapping[str, Desk], settings: Mapping[str, str]) -> None:
        self.settings = settings
        self._desks = desks
        self._seen = dict.fromkeys(desks, 0)
        self._tills = {name: cast(Till, desk) for name, desk in desks.items() if load_refund(name)}
        self._refunded = dict.fromkeys(self._tills, 0)

    @property
    def taken(self) -> dict[str, list[Taken]]:
        return {name: list(desk.taken) for name, desk in self._desks.items()}

    @property
    def refunds(self) -> dict[str, list[Refund]]:
        return {name: list(till.refunds) for name, till in self._tills.items()}

    def warn(self, warned: Fact, simulator: ProviderSimulator) -> None:
        """The payment of which an issuer warns can be refunded, where the provider's desk does that."""
        if till := self._tills.get(warned.attempt.provider):
            till.paid[simulator.payment_id(warned.attempt)] = warned.attempt.amount.minor

    def open(self, opened: Fact, simulator: ProviderSimulator) -> None:
        """The dispute that `opened` tells of, under the provider's own names; nothing where the provider has no desk."""
        attempt, dispute = opened.attempt, opened.dispute
        assert dispute is not None, "a dispute fact names its dispute"
        if attempt.provider not in self._desks:
            return
        own, simulated = simulator.dispute_id(dispute), desk_of(attempt.provider)
        if till := self._tills.get(attempt.provider):
            till.disputed.add(simulator.payment_id(attempt))
        [secrets] = [json.loads(text) for name, text in simulator.environment().items() if name.startswith("WEBHOOK_")]
        within = getattr(simulated, "WITHIN", None)
        self._desks[attempt.provider].open(
            Contest(
                key=own,
                act=Act.SUBMIT,
                dispute_id=own,
                answer_id=simulator.review_token(opened) if isinstance(simulator, Reviews) else own,
                account=simulator.package if isinstance(simulator, Reviews) else secrets.get("account", ""),
                livemode=False,
                payment_id=simulator.payment_id(attempt),
                stage=dispute.stage,
                reason=dispute.reason,
                reason_code=dispute.reason_code,
                network=attempt.card.network,
                amount=opened.amount or attempt.amount,
                respond_by=opened.at + within if within else dispute.respond_by,
            )
        )

    def news(self) -> Iterator[tuple[str, Taken]]:
        """What was taken since the last call, by provider and dispute: whoever was quicker."""
        for name, desk in self._desks.items():
            new = desk.taken[self._seen[name] :]
            self._seen[name] += len(new)
            yield from sorted(((name, one) for one in new), key=lambda each: each[1].dispute_id)

    def refunded(self) -> Iterator[tuple[str, Refund]]:
        """What was refunded since the last call, by provider and payment."""
        for name, till in self._tills.items():
            new = till.refunds[self._refunded[name] :]
            self._refunded[name] += len(new)
            yield from sorted(((name, one) for one in new), key=lambda each: each[1].payment_id)


@contextmanager
def running_desks(
    providers: Iterable[str], clock: Callable[[], datetime], loses: Callable[[Taken], bool] = is_lost
) -> Iterator[Desks]:
    """The desks of those of `providers` that have one. loses: see `open_desk`."""
    desks: dict[str, Desk] = {}
    settings: dict[str, str] = {}
    with ExitStack() as cleanup:
        for name in filter(has_desk, providers):
            simulated = desk_of(name)
            desks[name] = simulated.DESK()
            running = cleanup.enter_context(open_desk(desks[name], clock, loses))
            settings[f"API_{name.upper()}"] = json.dumps({"key": simulated.KEY, "base_url": running.url})
        yield Desks(desks, settings)
