"""What the contracts of our HTTP functions share: models that guess nothing, and sentences for what does not fit them."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.domain.privacy import mask

TOLD = 5
"""So many things that are wrong are told at once."""


class Closed(BaseModel):
    """A part of a call or of an answer: nothing in it is guessed, and nothing unknown is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def sentences(error: ValidationError, whole: str, skip: int = 0) -> Iterator[str]:
    """What does not fit, by the member: its value is never repeated. whole: what the call itself is called. skip: steps at
    the beginning of every path that are no member."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    for one in found[:TOLD]:
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{mask(step)[:60]}" for step in one["loc"][skip:])
        yield f"{path[1:] or whole}: {one['msg'][:300]}"
    if len(found) > TOLD:
        yield f"and {len(found) - TOLD} more"
