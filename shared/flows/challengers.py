"""What people do to the line of champions: a model beside the champion is given a share of the customers, promoted, or dismissed;
the champion is pinned, or the one before it decides again. One write each, and a repeat does nothing more."""

from dataclasses import replace
from datetime import datetime

from shared.domain.errors import Rejected
from shared.domain.telemetry import fact
from shared.flows.champions import Canary, Champion, Line, line_of, usable, with_line
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.ports import Documents, Ports, Snapshot, Write
from shared.flows.scorer import CHAMPION
from shared.fraud import model as artifacts
from shared.fraud.features import SCHEMA_VERSION


def line_in(found: Snapshot | None) -> Line:
    """The champions of this release's features; none where the registry is in its earlier form, which has no challengers."""
    return line_of(found.document if found else None, SCHEMA_VERSION, lambda _: False)


def challenger_in(documents: Documents) -> str | None:
    """The digest of the challenger of this release's features; None where there is none."""
    challenger = line_in(documents.get([CHAMPION])[0]).challenger
    return challenger.digest if challenger else None


def promote(ports: Ports, now: datetime, digest: str) -> None:
    """Let the challenger `digest` decide for everyone. Raises Rejected where it is not the challenger, or an operator has
    pinned the champion; Misconfigured when it cannot decide here."""

    def effect(seen: Seen) -> Effect[None]:
        line = line_in(seen[CHAMPION])
        if line.current is not None and line.current.digest == digest:
            return Effect(None)
        challenger = challenger_of(line, digest)
        if line.pinned:
            raise Rejected("the champion is pinned: unpin it first", reason="champion_pinned")
        artifacts.load(ports.models.load(digest), digest)
        return Effect(None, [put_line(seen, line.crowned(replace(challenger, since=now)))])

    change(ports.documents, [CHAMPION], effect)
    fact("challenger_promoted", digest=digest)


def give_share(documents: Documents, now: datetime, digest: str, share: float) -> bool:
    """Let the challenger `digest` decide for a `share` of the customers, 0 for none; whether that is new. Raises Rejected
    where it is not the challenger."""

    def effect(seen: Seen) -> Effect[bool]:
        line = line_in(seen[CHAMPION])
        challenger_of(line, digest)
        if (line.canary.share if line.canary else 0.0) == share:
            return Effect(False)
        return Effect(True, [put_line(seen, replace(line, canary=Canary(share=share, since=now) if share else None))])

    given = change(documents, [CHAMPION], effect)
    fact("canary_set", digest=digest, share=share)
    return given


def dismiss(documents: Documents, digest: str) -> None:
    """Ask the challenger `digest` no more. Another one stays."""

    def effect(seen: Seen) -> Effect[None]:
        line = line_in(seen[CHAMPION])
        if line.challenger is None or line.challenger.digest != digest:
            return Effect(None)
        return Effect(None, [put_line(seen, line.challenged(None))])

    change(documents, [CHAMPION], effect)
    fact("challenger_dismissed", digest=digest)


def challenger_of(line: Line, digest: str) -> Champion:
    """Raises Rejected where `digest` is not the challenger."""
    if line.challenger is None or line.challenger.digest != digest:
        raise Rejected(f"the challenger is another one than {digest}", reason="not_the_challenger")
    return line.challenger


def put_line(seen: Seen, line: Line) -> Write:
    """The registry with `line` as that of this release's features. CHAMPION is among what was read."""
    found = seen[CHAMPION]
    return write(CHAMPION, found, with_line(found.document if found else None, SCHEMA_VERSION, line))


def roll_back(ports: Ports, now: datetime, unwanted: str | None = None) -> str:
    """Let the champion before this one decide again, and pin it: the next night, on the same data, would bring back the
    like of the one that goes. Answers the digest of the one that decides then.

    unwanted: the digest that shall go; where another one decides, it is gone already (or was mistyped), nothing changes,
    and that is what is told. Raises Rejected when none came before, Misconfigured when that one cannot decide here.
    """

    def effect(seen: Seen) -> Effect[tuple[str, bool]]:
        line = standing_line(ports, seen[CHAMPION])
        if line.current is not None and unwanted not in (None, line.current.digest):
            return Effect((line.current.digest, False))
        if not line.former:
            raise Rejected("no champion came before this one: run train_model", reason="no_former_champion")
        again = line.former[-1].digest
        artifacts.load(ports.models.load(again), again)
        return Effect((again, True), [put_line(seen, line.rolled_back(now))])

    digest, gone = change(ports.documents, [CHAMPION], effect)
    if gone:
        fact("champion_rolled_back", digest=digest)
    else:
        fact("champion_kept", digest=digest, unwanted=unwanted)
    return digest


def pin(ports: Ports, digest: str, *, pinned: bool) -> None:
    """Keep the champion `digest` whatever training finds, or let a better one follow again; a repeat changes nothing.
    Raises Rejected where another one decides."""

    def effect(seen: Seen) -> Effect[None]:
        line = standing_line(ports, seen[CHAMPION])
        if line.current is None or line.current.digest != digest:
            raise Rejected(f"the champion is another one than {digest}", reason="not_the_champion")
        return Effect(None, [put_line(seen, replace(line, pinned=pinned))] if line.pinned != pinned else [])

    change(ports.documents, [CHAMPION], effect)
    fact("champion_pinned", digest=digest, pinned=pinned)


def standing_line(ports: Ports, found: Snapshot | None) -> Line:
    """The champions of this release's features. What cannot decide in it has no place to defend."""
    document = found.document if found else None
    return line_of(document, SCHEMA_VERSION, lambda digest: usable(ports.models, digest) is not None)
