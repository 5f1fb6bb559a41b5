"""The packet: the same bytes for the same evidence, within its limits, and a document that a person can read."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pypdfium2
import pytest

from shared.disputes import packet as packets
from shared.disputes.evidence import DIGITAL_SUBSCRIPTION, Known, template
from shared.disputes.packet import Limits, TooLarge, build, written
from shared.domain.events import DisputeReason
from shared.domain.evidence import Document, Item, Own, Packet
from terraform.tools import bundle
from tests.disputes.proofs import MERCHANT, a_dispute, a_purchase, known, played, told, used

NETWORKS = "Latin: Zażółć gęślą jaźń, Ænima, Şêrîn; Greek: Ξεσκεπάζω; Cyrillic: Съешь, Їжак; Vietnamese: Tiếng Việt"


def packet_of(there: Known, limits: Limits = packets.UNLIMITED) -> Packet:
    return build(there, template(DIGITAL_SUBSCRIPTION, there.dispute.reason, there.dispute.network), limits)


@contextmanager
def opened(packet: Packet) -> Iterator[Any]:
    pdf = pypdfium2.PdfDocument(packet.documents[0].data)
    try:
        yield pdf
    finally:
        pdf.close()


def read(packet: Packet) -> list[str]:
    """The text of each page, as somebody copies it out of a viewer, in single spaces."""
    with opened(packet) as pdf:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in pdf]


def test_a_person_reads_what_is_claimed_what_happened_and_what_proves_it() -> None:
    packet = packet_of(known())
    pages = read(packet)
    assert len(pages) == packet.documents[0].pages == 2
    first = pages[0]
    assert first.startswith(
        "Evidence for dispute dp_1 Tonspur GmbH Claim Other fraud, card absent (10.4) Stage Chargeback"
    )
    for line in (
        "Amount in dispute EUR 19.99",
        "Opened 2026-11-22 12:00 UTC",
        "Card Visa ending in 4242",
        "2026-11-02 12:01 UTC Captured EUR 19.99",
        "After the payment the service was used on 5 days",
        "IP address of the purchase 203.0.113.7",
        "Dispute dp_1 · payment pi_1 Page 1 of 2",
    ):
        assert line in first
    assert "3-D Secure: the cardholder was authenticated." in pages[1]
    assert pages[1].endswith("Page 2 of 2")


def test_ink_is_on_the_page_and_none_of_it_beyond_the_margins() -> None:
    with opened(packet_of(known())) as pdf:
        for page in pdf:
            picture = page.render(scale=1).to_pil().convert("L")
            left, top, right, bottom = picture.point(lambda value: 255 if value < 250 else 0).getbbox()
            width, height = picture.size
            # 20 mm at 72 dots an inch, the frame's padding and a pixel of blur.
            assert 54 <= left <= 58
            assert 54 <= width - right <= 66
            assert top > 50
            assert height - bottom > 25


def test_names_in_every_script_of_the_font_are_drawn_and_others_are_said_to_be_left_out() -> None:
    merchant = replace(MERCHANT, product=f"{NETWORKS}; 音楽 プレミアム, & <b>1 < 2</b>")
    packet = packet_of(known(merchant=merchant))
    everything = " ".join(read(packet))
    assert NETWORKS in everything
    assert "[7 characters of another script] , & <b>1 < 2</b>" in everything
    assert packet.texts[Item.PRODUCT] == merchant.product
    assert "音楽" in written(packet).decode()


def test_the_same_evidence_makes_the_same_bytes_in_another_process_on_another_day() -> None:
    ours = packet_of(known())
    assert packet_of(known()) == ours
    script = (
        "from tests.disputes.test_packet import *\nimport time\n"
        "time.time = lambda: 1_000_000_000\nprint(packet_of(known()).digest)"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        cwd=bundle.ROOT,
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == ours.digest


def test_packets_that_are_put_together_at_once_are_drawn_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing, most, number = 0, 0, packets._number

    def slowly(*arguments: Any) -> None:
        nonlocal drawing, most
        drawing += 1
        most = max(most, drawing)
        time.sleep(0.02)
        number(*arguments)
        drawing -= 1

    evidence = [known(merchant=replace(MERCHANT, name=f"Shop {chr(0x391 + number)}")) for number in range(4)]
    alone = [packet_of(one) for one in evidence]
    monkeypatch.setattr(packets, "_number", slowly)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(packet_of, evidence)) == alone
    # Of thousands at once reportlab drew some wrongly, and some not at all.
    assert most == 1


def test_the_digest_is_that_of_the_json_which_names_the_documents_by_theirs() -> None:
    packet = packet_of(known())
    data = written(packet)
    assert packet.digest == hashlib.sha256(data).hexdigest()
    [named] = json.loads(data)["documents"]
    document = packet.documents[0]
    assert named["sha256"] == document.digest == hashlib.sha256(document.data).hexdigest()
    assert (document.media_type, document.name, document.data[:5]) == ("application/pdf", "evidence.pdf", b"%PDF-")
    assert packet_of(known(usage=used(told(plays=(played(1, count=13),))))).digest != packet.digest


def test_a_packet_comes_back_from_what_was_written_of_it() -> None:
    packet = packet_of(known())
    stored = {document.digest: document.data for document in packet.documents}
    assert packets.read(written(packet), stored.__getitem__) == packet


def long(**fields: Any) -> Known:
    """Of a subscriber with much to tell: three pages and more."""
    return known(
        usage=used(told(plays=tuple(played(day) for day in range(20)))),
        purchases=tuple(a_purchase(month) for month in range(1, 30)),
        **fields,
    )


def test_over_its_limits_the_document_leaves_out_what_weighs_least_and_the_texts_stay() -> None:
    whole, cut = packet_of(long()), packet_of(long(), Limits(pages=2))
    assert whole.documents[0].pages > 2 >= cut.documents[0].pages
    assert cut.texts == whole.texts
    assert cut.completeness == whole.completeness
    missing = set(whole.documents[0].items) - set(cut.documents[0].items)
    assert missing
    required = {one.item for one in template(DIGITAL_SUBSCRIPTION, DisputeReason.FRAUD, "visa").wanted if one.required}
    assert missing.isdisjoint(required)
    assert Item.AUTHENTICATION not in missing or Item.POLICY in missing

    most = len(whole.documents[0].data) - 1
    assert len(packet_of(long(), Limits(bytes=most)).documents[0].data) <= most


@pytest.mark.parametrize("limits", [Limits(pages=1), Limits(bytes=10_000)])
def test_a_packet_that_cannot_be_small_enough_is_not_sent(limits: Limits) -> None:
    with pytest.raises(TooLarge):
        packet_of(long(), limits)


def test_what_could_break_a_line_or_a_document_is_only_text() -> None:
    odd = "x" * 300 + " <font size=90>\x00\x1b\u202e</font> &amp; \u2028 {} %s ]]>"
    dispute = replace(a_dispute(reason_code="<i>"), dispute_id="dp_" + "9" * 120)
    there = known(dispute=dispute, merchant=replace(MERCHANT, product=odd))
    everything = " ".join(read(packet_of(there)))
    assert "<font size=90></font> &amp; {} %s ]]>" in everything
    assert everything.count("…") == 2


def test_what_a_person_wrote_takes_the_place_of_ours_and_what_a_person_shows_stands_beside_it() -> None:
    ours = packet_of(known(usage=None))
    shown = Document(name="usage-1.png", media_type="image/png", data=b"png", pages=1, items=(Item.USAGE,))
    own = Own({Item.PRODUCT: "A month of music.", Item.CANCELLATION: "Nobody canceled."}, (shown,))
    asked = template(DIGITAL_SUBSCRIPTION, DisputeReason.FRAUD, "visa")
    packet = build(known(usage=None), asked, own=own)
    assert packet.texts == {**ours.texts, **own.texts}
    assert packet.documents[1:] == (shown,)
    pages = " ".join(read(packet))
    assert "A month of music." in pages
    # Also where no template asks for it.
    assert "Nobody canceled." in pages
    assert packet.completeness > ours.completeness
    stored = {one.digest: one.data for one in packet.documents}
    assert packets.read(written(packet), stored.__getitem__) == packet
    # With theirs beside it ours has fewer pages.
    many = replace(shown, media_type="application/pdf", pages=3)
    assert build(long(), asked, Limits(pages=5), own=Own({}, (many,))).documents[0].pages <= 3


ODD_TEXTS = {
    "words": "word " * 3_900,
    "capitals": "W" * 20_000,
    "long words": ("W" * 30 + " ") * 640,
    "lines": "a\n" * 400,
    "dates": "2026-01-01: played\n" * 300,
    "dates between": "2026-01-01: played\nand more\n" * 200,
    "a long row": "2026-01-01: " + "x " * 9_000,
    "a long date": "2026-01-01, " + "x " * 9_000 + ": played",
    "signs": "&<(\\" * 4_000,
    "every letter": " ".join(chr(at) for at in range(0x21, 0x2600)),
}


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_the_least_that_ours_takes_is_never_less_than_what_is_drawn(text: str) -> None:
    asked = template(DIGITAL_SUBSCRIPTION, DisputeReason.FRAUD, "visa")
    texts = {Item.PRODUCT: text}
    reserved = packets.least(texts)
    shown = Document(name="a.pdf", media_type="application/pdf", data=bytes(5_000_000), pages=200, items=(Item.USAGE,))
    ours = build(long(), asked, packets.ANYWHERE, own=Own(texts, (shown,))).documents[0]
    assert (ours.pages <= reserved.pages, len(ours.data) <= reserved.bytes) == (True, True)


def test_what_the_least_is_of_a_page_of_prose_is_little_more_than_that() -> None:
    assert packets.least({}) == Limits(pages=3, bytes=60_000)
    assert packets.least({Item.PRODUCT: "It was played on that day. " * 100}).pages == 4
