"""Who works with Pay-In on pages, and what each may do there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from shared.domain.errors import Rejected


class Role(IntEnum):
    """Each may do what those below it may."""

    VIEWER = 1
    """looks"""
    ANALYST = 2
    """answers disputes, decides reviews, sends letters again"""
    APPROVER = 3
    """agrees to what an analyst asks for and nobody can take back; changes what decides: rules, models, providers"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """email: in lower case, as Google has proved it."""

    email: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who is let in. audience: whom the proxy's tokens are made for. groups: e-mail addresses of groups, by the role that their
    members have. four_eyes_above: hundredths of a euro, from which an act that nobody can take back wants a second person.
    key: under which forms are marked as ours. keys_url, directory_url: where a local stand-in answers in Google's place; empty for
    Google's own."""

    audience: str
    groups: Mapping[Role, tuple[str, ...]]
    four_eyes_above: int
    key: bytes = field(repr=False)
    keys_url: str = ""
    directory_url: str = ""


def colleague(email: str) -> str:
    """How people call each other: what stands before the `@`, for whole addresses are masked wherever something is told."""
    return email.partition("@")[0]


class Unproven(Rejected):
    """Nobody proves who is there: the proxy's token is missing, or is none of its own. Answered 401."""

    reason = "unidentified"
    status = 401


class NotAllowed(Rejected):
    """The person's role does not do that. Answered 403."""

    reason = "role_too_low"
    status = 403
