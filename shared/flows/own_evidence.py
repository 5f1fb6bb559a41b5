"""Evidence that people have put to an answer, as it is stored."""

from collections.abc import Mapping

from shared.disputes.files import ENDINGS
from shared.domain.disputes import Supplied
from shared.domain.evidence import Document, Item, Own
from shared.flows.ports import Ports

TEXT = "text/plain"
"""Of a piece that a person wrote."""


def own_of(supplied: Mapping[str, Supplied], ports: Ports) -> Own:
    """The pieces that people have put to an answer and not withdrawn, each byte proved by its name. Raises Misconfigured where
    one is not there, and Unavailable."""
    there = [one for _, one in sorted(supplied.items()) if one.withdrawn_at is None]
    texts: dict[Item, str] = {}
    documents: list[Document] = []
    for one in there:
        data = ports.evidence.load(one.sha256)
        if one.media_type == TEXT:
            texts[one.item] = data.decode()
        else:
            name = f"{one.item}-{one.sha256[:12]}.{ENDINGS[one.media_type]}"
            documents.append(
                Document(name=name, media_type=one.media_type, data=data, pages=one.pages, items=(one.item,))
            )
    return Own(texts, tuple(documents))
