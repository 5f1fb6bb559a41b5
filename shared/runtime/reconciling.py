"""Providers' lists, as they are asked here: every provider's at once, each until it is done or the run's budget is."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from typing import cast

from shared.domain.errors import PayInError
from shared.domain.pseudonyms import Keyring
from shared.domain.telemetry import fact, failure
from shared.flows.ports import Bus, Ports
from shared.flows.reconcile import Budget, Lister, Ours, Reader, Reconciled, Source, read, reconcile
from shared.providers import load, load_api, load_listing, names
from shared.runtime.apis import Apis
from shared.settings import Settings

AT_ONCE = 8


def listed() -> tuple[str, ...]:
    """Every provider with a list that ours can be held against."""
    return tuple(name for name in names() if load_listing(name) is not None)


def source(name: str, apis: Apis) -> Source:
    """The provider `name`, which has a list."""
    lister = cast(Lister, load_listing(name))
    return Source(lister, load(name), apis(lister), cast(Reader | None, load_api(name)))


def ours(ports: Ports, bus: Bus, keyring: Keyring) -> Ours:
    """`ports`, healed through `bus`, on which names are under `keyring`."""

    def named(text: str) -> str:
        return keyring.keyed(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    return Ours(ports, bus, named)


def reconcile_all(
    parameters: bytes,
    settings: Settings,
    apis: Apis,
    ours: Ours,
    now: Callable[[], datetime],
    clock: Callable[[], float] = time.monotonic,
) -> Mapping[str, Reconciled | None]:
    """Each provider whose API has a key here, by name; None where something kept it from its end, which the next run finds where this
    one stopped. Each has a share of the run's requests that no other can use up. Raises Rejected."""
    asked = read(parameters)
    configured = [name for name in listed() if settings.has_api(name)]

    shares = Budget(asked.calls, clock() + asked.seconds, clock).shares(len(configured))

    def one(name: str, share: Budget) -> Reconciled | None:
        try:
            return reconcile(source(name, apis), ours, now(), share)
        except PayInError as error:
            fact("reconcile_stopped", provider=name, reason=error.reason)
        except Exception as error:  # noqa: BLE001 - one provider's answer that breaks us is not to hide the others' gaps
            failure("reconcile_failed", error, provider=name)
        finally:
            share.release()
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {
            name: pool.submit(copy_context().run, one, name, share)
            for name, share in zip(configured, shares, strict=True)
        }
        ended = {name: future.result() for name, future in running.items()}
    found = [one for one in ended.values() if one]
    fact(
        "lists_reconciled",
        providers=len(ended),
        stopped=len(ended) - len(found),
        missing=sum(one.missing for one in found),
        healed=sum(one.healed for one in found),
    )
    return ended
