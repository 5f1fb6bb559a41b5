"""What the contracts of our HTTP functions share: models that guess nothing, and sentences for what does not fit them."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.json_schema import models_json_schema

from shared.domain.errors import Rejected
from shared.domain.instants import plausible
from shared.domain.money import Money
from shared.domain.privacy import mask
from shared.runtime import entry

TOLD = 5
"""So many things that are wrong are told at once."""


class Closed(BaseModel):
    """A part of a call or of an answer: nothing in it is guessed, and nothing unknown is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_KEPT = frozenset("\n\t\u200c\u200d")
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})
_ENDS = re.compile(r"\A[\s\u200c\u200d]+|[\s\u200c\u200d]+\Z")


def _seen(value: Any) -> Any:
    """A text without what nobody sees: controls, marks that turn what stands around them, and space at its ends. Joiners stay,
    which shape the letters of some scripts."""
    if not isinstance(value, str):
        return value
    kept = (one for one in value if one in _KEPT or unicodedata.category(one) not in _UNSEEN)
    return _ENDS.sub("", "".join(kept))


Prose = Annotated[str, BeforeValidator(_seen), StringConstraints(min_length=1)]
"""What people write for people: something that can be read."""
Why = Annotated[Prose, StringConstraints(min_length=3, max_length=1000)]


def _plausible(at: datetime) -> datetime:
    if not plausible(at):
        raise ValueError("not of this century")
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_plausible)]


class ToldMoney(Closed):
    """Minor units: 999 EUR is EUR 9.99."""

    minor: int
    currency: str

    @classmethod
    def of(cls, money: Money | None) -> "ToldMoney | None":
        return cls(minor=money.minor, currency=money.currency) if money else None


class ProblemDocument(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    reason: str
    trace: str


class DoesNotFit(Rejected):
    """A request that is not of the contract. Answered 422, with what does not fit, and where."""

    reason = "invalid_request"
    status = 422


M = TypeVar("M", bound=BaseModel)


def read(body: bytes, of: type[M]) -> M:
    """Raises DoesNotFit, which says what does not fit and repeats no value."""
    try:
        return of.model_validate_json(body)
    except ValidationError as error:
        raise DoesNotFit("; ".join(sentences(error, "body"))) from None


Act = Callable[[entry.Call], BaseModel]


def desk(
    path: str,
    listed: Act,
    acts: Mapping[str, Act],
    document: Callable[[], bytes],
    most: int,
    larger: Mapping[str, int] | None = None,
    posted: Mapping[str, Callable[[entry.Call], entry.Answer]] = MappingProxyType({}),
) -> entry.Handler:
    """What people work at: `listed` at GET `path`, each of `acts` at a POST below it, and GET /openapi.json. most: bytes of a
    body; larger: of those acts that take more. posted: paths at which machines post."""
    return entry.on_paths(
        {
            path: {"GET": _answered(listed)},
            **{f"{path}/{name}": {"POST": _answered(act)} for name, act in acts.items()},
            **{path: {"POST": act} for path, act in posted.items()},
            "/openapi.json": {"GET": lambda _: (document(), "application/json")},
        },
        most,
        {f"{path}/{name}": bytes_ for name, bytes_ in (larger or {}).items()},
    )


def _answered(act: Act) -> Callable[[entry.Call], entry.Answer]:
    return lambda call: (act(call).model_dump_json().encode(), "application/json")


@dataclass(frozen=True, slots=True)
class Operation:
    """A path and what it answers. name: its operationId. asks: None for a GET. largest: bytes of its body, where it takes more than the others. refusals: status → why, beside what every
    function of ours may answer."""

    path: str
    name: str
    summary: str
    answers: type[BaseModel]
    answered: str
    asks: type[BaseModel] | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)
    largest: int | None = None


def openapi(
    title: str, version: str, description: str, operations: Sequence[Operation], largest: int, *, signed: bool = False
) -> bytes:
    """The OpenAPI 3.1 document of a function. signed: who calls must be named by an ID token."""
    asked = [(one.asks, "validation") for one in operations if one.asks]
    answered = [(one.answers, "serialization") for one in operations]
    _, schemas = models_json_schema(
        [*asked, *answered, (ProblemDocument, "serialization")],  # type: ignore[list-item]
        ref_template="#/components/schemas/{model}",
    )
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": {one.path: {"post" if one.asks else "get": _told(one, largest)} for one in operations},
        "components": {"schemas": schemas["$defs"]},
    }
    if signed:
        document["security"] = [{"google": []}]
        document["components"]["securitySchemes"] = {
            "google": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        }
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def _told(one: Operation, largest: int) -> dict[str, Any]:
    problem = {
        "content": {"application/problem+json": {"schema": _ref(ProblemDocument)}},
    }
    statuses = {"405": f"Another method than {'POST' if one.asks else 'GET'}", "500": "A fault of ours", **one.refusals}
    statuses |= {"413": f"Longer than {one.largest or largest} bytes"}
    if one.asks:
        statuses |= {"422": "It does not fit: `detail` says what, and where"}
    told = {
        "operationId": one.name,
        "summary": one.summary,
        "responses": {
            "200": {"description": one.answered, "content": {"application/json": {"schema": _ref(one.answers)}}},
            **{status: {"description": why, **problem} for status, why in statuses.items()},
        },
    }
    if one.asks:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(one.asks)}}}
    return told


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def sentences(error: ValidationError, whole: str, skip: int = 0) -> Iterator[str]:
    """What does not fit, by the member: its value is never repeated. whole: what the call itself is called. skip: steps at
    the beginning of every path that are no member."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    for one in found[:TOLD]:
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{mask(step)[:60]}" for step in one["loc"][skip:])
        yield f"{path[1:] or whole}: {one['msg'][:300]}"
    if len(found) > TOLD:
        yield f"and {len(found) - TOLD} more"
