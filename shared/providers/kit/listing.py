"""What a provider has told, or would have: pages of a list at its API, in the words of the flow that compares them with ours.

A provider's `listing` module offers, beside NAME and API_HOSTS and whatever its tokens need (`flows/apis.py`):

- `STREAMS`: its lists;
- `list_request(asked, api) -> ApiRequest`: one page of one of them. Raises Unreadable for a cursor that it did not make;
- `read_page(asked, body) -> Page`: what is on it. Raises Unreadable. Nothing else.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.providers.kit.reading import unreadable

MEMBER = msgspec.json.Decoder(dict[str, msgspec.Raw])
ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Stream:
    """One list of a provider's.

    back: how long it remembers. page: items that one request asks for at most. again: looked at anew as far as it reaches, or
    30 days, every day: it holds only what went wrong, or things by when they began that change later. part: it holds little of
    what is told, so that ours is asked for by ids. from_newest: it has no beginning to ask for, and is read from now
    backwards. by_hand: only a person asks for it, for it is long.
    """

    name: str
    back: timedelta
    page: int
    again: bool = False
    part: bool = False
    from_newest: bool = False
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A page of `stream`: of what is of `since` or later and before `until`, whole seconds both, from `cursor` on (empty: from the
    beginning), `page` items at most. livemode and account are the endpoint's whose deliveries it is compared with."""

    stream: str
    since: datetime
    until: datetime
    cursor: str
    page: int
    livemode: bool
    account: str


@dataclass(frozen=True, slots=True)
class Item:
    """body: what a delivery of it would have had as its body; or, where `resource` says of which kind, the object `resource_id` as
    the API tells it, of which a delivery would have been a poke."""

    body: bytes
    resource: str = ""
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """In the provider's order. cursor: where the next page begins; None after the last one."""

    items: tuple[Item, ...]
    cursor: str | None = None


def raw_items(body: bytes, *way: str) -> list[bytes]:
    """The elements of the array at `way` in the JSON object `body`, each byte as it stands there. Raises Unreadable."""
    found: Any = body
    try:
        for member in way:
            found = MEMBER.decode(found).get(member)
            if found is None:
                raise unreadable(".".join(way), "missing", "missing_field")
        return [bytes(one) for one in ITEMS.decode(found)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise unreadable(".".join(way), "not an array", "not_a_list") from None
