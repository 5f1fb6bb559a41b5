"""Files that people put to an answer: what they are is found by reading them, whatever they are called."""

import io
from threading import Lock
from typing import NamedTuple

PDF, PNG, JPEG = "application/pdf", "image/png", "image/jpeg"
ENDINGS = {PDF: "pdf", PNG: "png", JPEG: "jpg"}
LARGEST = 5_000_000
"""Bytes of one: what most providers take, and a body that holds it in base64 is far from what Cloud Run lets in."""
MOST_PIXELS = 25_000_000
"""A photograph's. Decoded, that is 75 MB."""
MOST_PAGES = 200
"""More than any provider looks at."""
# Bytes of one of a PDF's own tables, before and after it is decoded. What its pages show is not decoded at all: nobody here
# looks at it, and a few bytes of it may be made to fill any memory. pypdf bounds all but ASCII85, which takes a hundredfold of
# what it is given.
_PACKED, _UNPACKED = 500_000, 8_000_000


class NotTaken(Exception):
    """No file that could be sent to anybody: the sentence says why."""


class Read(NamedTuple):
    """pages: 1 of a picture."""

    media_type: str
    pages: int


# One at a time: what a picture is decoded into is many times what it was.
_reading = Lock()


def read(data: bytes) -> Read:
    """What `data` is: a PDF all of whose pages can be found, or a picture that can be decoded to its end. Raises NotTaken."""
    if not data or len(data) > LARGEST:
        raise NotTaken(f"a file has at least one byte, and {LARGEST} at most")
    with _reading:
        return _pdf(data) if data.startswith(b"%PDF-") else _picture(data)


def _pdf(data: bytes) -> Read:
    from pypdf import PdfReader, apply_configuration
    from pypdf.errors import PyPdfError

    try:
        with apply_configuration(
            stream_decoding_work_maximum_length=_PACKED,
            zlib_maximum_output_length=_UNPACKED,
            lzw_maximum_output_length=_UNPACKED,
            run_length_maximum_output_length=_UNPACKED,
            brotli_maximum_output_length=_UNPACKED,
            page_tree_maximum_entries=10 * MOST_PAGES,
        ):
            document = PdfReader(io.BytesIO(data))
            if document.is_encrypted:
                raise NotTaken("a PDF that is encrypted is read by nobody")
            pages = document.get_num_pages()
            for number in range(min(pages, MOST_PAGES)):
                document.get_page(number)
    except (
        PyPdfError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        RecursionError,
        NotImplementedError,
        OSError,
    ) as error:
        # pypdf looks into whatever is there, and falls over what is not.
        raise NotTaken("it begins like a PDF, and cannot be read as one") from error
    if not 0 < pages <= MOST_PAGES:
        raise NotTaken(f"a PDF has at least one page, and {MOST_PAGES} at most")
    return Read(PDF, pages)


def _picture(data: bytes) -> Read:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise NotTaken(f"a picture has {MOST_PIXELS} pixels at most")
            picture.load()
            return Read(PNG if picture.format == "PNG" else JPEG, 1)
    except Image.DecompressionBombError as error:
        raise NotTaken(f"a picture has {MOST_PIXELS} pixels at most") from error
    except (OSError, ValueError, SyntaxError) as error:
        # Pillow's own words for what is cut off, or none at all.
        raise NotTaken("it is no PDF, no PNG and no JPEG that can be read to its end") from error
