"""What a provider says of the endpoints that it sends to, beside what we follow."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

# Cloud Run serves each service at two addresses: <service>-<project's number>.<region>.run.app and <service>-<hash>-<place>.a.run.app
# (cloud.google.com/run/docs/triggering/https-request). What is before the last part, or the last two, is the service's name.
_RUN = re.compile(
    r"\A(?P<by_number>[^.]{1,63})-[0-9]{1,20}\.[a-z0-9-]{1,40}\.run\.app|\A(?P<by_hash>[^.]{1,63})-[a-z0-9]{1,20}-[a-z]{1,8}\.a\.run\.app"
)


MOST_PAGES = 10
"""Of a list of endpoints, each of a hundred: nobody has so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEndpoint:
    """One endpoint, in the provider's words. state: its word for whether it sends. types: those that are sent; None where all
    are, or the provider's own choice of them. without: of all, those that are left out. version: of its API, in which messages
    are written; None where it does not tell."""

    url: str
    enabled: bool
    state: str
    types: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    version: str | None = None

    def sends(self, kind: str) -> bool:
        return self.enabled and kind not in self.without and (self.types is None or kind in self.types)


def is_same(url: str, told: str) -> bool:
    """Whether `told` leads to the webhook at `url`."""
    ours, theirs = urlsplit(url), urlsplit(told)
    if ours.path.rstrip("/") != theirs.path.rstrip("/"):
        return False
    own, other = (one.hostname or "" for one in (ours, theirs))
    return own == other or (_service(own) == _service(other) != "")


def _service(host: str) -> str:
    found = _RUN.fullmatch(host)
    return (found["by_number"] or found["by_hash"]) if found else ""


def differences(
    url: str, told: Sequence[ToldEndpoint], followed: Collection[str], versions: Collection[str]
) -> tuple[str, ...]:
    """A sentence for each thing that keeps what we follow from the webhook at `url`: no endpoint, none that is switched on, types
    that no endpoint sends, and a version that is none of `versions` (none: any will do)."""
    ours = [one for one in told if is_same(url, one.url)]
    if not ours:
        return (f"sends nothing to {url}: of its {len(told)} endpoints none is ours",)
    if not any(one.enabled for one in ours):
        return (f"our endpoint is switched off: {', '.join(sorted({one.state for one in ours}))}",)
    missing = sorted(kind for kind in followed if not any(one.sends(kind) for one in ours))
    found = [f"does not send {', '.join(missing)}"] if missing else []
    others = sorted({one.version for one in ours if one.enabled and one.version is not None} - {*versions})
    if versions and others:
        found.append(f"writes in version {', '.join(others)}, and we read {', '.join(sorted(versions))}")
    return tuple(found)
