"""The entries of a registration, read from a body of any length in bounded memory.

The body is cut into its entries, and msgspec decodes each by itself, so that a bad one costs only
itself. An event-driven parser would do the cutting too, but ijson's fast one ends the process at a
number of 5,000 digits, and turns an unpaired surrogate in an id into «?».
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from service.errors import OpenBookingError
from service.http.access import Grant
from service.http.body import read_chunks
from service.http.context import Request
from service.http.decoding import decode
from service.http.media import is_json
from service.ledger import DEFAULT_SELLER, Entry
from service.model import OpportunityRegistration, identity

_ENTRY: Final = msgspec.json.Decoder(OpportunityRegistration)
_BLANK: Final = b" \t\r\n"

# Possessive throughout: text without the token sought is walked once and never tried again.
_SKIP: Final = rb'[^"%s]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"%s]*+)*+[%s]'
_BETWEEN: Final = re.compile(_SKIP % ((rb"\[\]{},",) * 3), re.DOTALL)
_WITHIN: Final = re.compile(_SKIP % ((rb"\[\]{}",) * 3), re.DOTALL)
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+', re.DOTALL)

_Piece = bytes | OpenBookingError


async def read_entries(request: Request, limit: int) -> AsyncIterator[Entry]:
    """Start to read a registration: a JSON array, NDJSON, or as JSON one object on many lines.

    Args:
        request: The request; its body has not been read.
        limit: The most bytes of one entry.

    Returns:
        The entries with their indexes, each decoded, or the reason why it is refused. Where the
        client goes away amid the body, the last one says so.

    Raises:
        OpenBookingError: The body is empty.

    """
    chunks = read_chunks(request)
    start = b""
    async for chunk in chunks:
        start = (start + chunk).lstrip(_BLANK).removeprefix(BOM_UTF8).lstrip(_BLANK)
        # The first line tells what it is.
        if start.startswith(b"[") or b"\n" in start or len(start) > limit:
            break
    if not start:
        raise OpenBookingError("The body is empty; it must be a JSON array or NDJSON.")
    if start.startswith(b"["):
        pieces = cut_array(_chained(start[1:], chunks), limit)
    elif is_json(request) and _is_open(start.partition(b"\n")[0]):
        # The only entry of an array that is not there.
        pieces = cut_array(_chained(start, chunks, b"]"), limit)
    else:
        pieces = _cut_lines(_chained(start, chunks), limit)
    return _decoded(pieces, limit, request)


async def granted_entries(
    entries: AsyncIterator[Entry], grant: Grant, seller: str | None
) -> AsyncIterator[Entry]:
    """Yield the entries, those of Sellers that the token is not bound to as refused.

    Args:
        entries: As they are read.
        grant: What the token of the call allows.
        seller: The Seller of entries that name none.

    """
    async for index, entry in entries:
        allowed = entry
        if not isinstance(entry, OpenBookingError):
            try:
                grant.allow_seller(identity(entry.seller) or seller or DEFAULT_SELLER)
            except OpenBookingError as error:
                allowed = error
        yield index, allowed


async def _chained(
    first: bytes, rest: AsyncIterator[bytes], last: bytes = b""
) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
    yield last


def _is_open(line: bytes) -> bool:
    """Tell whether a line begins an object that it does not end."""
    marks = _STRING.sub(b"", line)
    return line.startswith(b"{") and marks.count(b"{") > marks.count(b"}")


async def _decoded(
    pieces: AsyncIterator[_Piece], limit: int, request: Request
) -> AsyncIterator[Entry]:
    index = 0
    async for piece in pieces:
        yield index, _judged(piece, limit)
        index += 1
    if request.is_cut_short:
        yield index, OpenBookingError("The body did not arrive whole: its end is missing.")


def _judged(piece: _Piece, limit: int) -> OpportunityRegistration | OpenBookingError:
    if isinstance(piece, OpenBookingError):
        return piece
    if len(piece) > limit:
        return _too_large(limit)
    try:
        return decode(piece, _ENTRY)
    except OpenBookingError as error:
        return error


def _too_large(limit: int) -> OpenBookingError:
    return OpenBookingError(f"The entry is larger than {limit:d} bytes.", status=413)


async def _cut_lines(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[_Piece]:
    line = b""
    skipping = False
    async for chunk in chunks:
        *whole, line = (line + chunk).split(b"\n")
        if skipping and whole:
            skipping = False
            del whole[0]
        for ended in whole:
            if ended.strip(_BLANK):
                yield ended
        if len(line) > limit:
            if not skipping:
                yield _too_large(limit)
            skipping, line = True, b""
    if line.strip(_BLANK) and not skipping:
        yield line


async def cut_array(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[_Piece]:
    """Cut a JSON array, of which the `[` has been read, into its entries.

    An entry beyond the limit, or brackets that do not match, leave it open where the next entry
    begins: they are an error, and what follows is read and dropped.

    Args:
        chunks: The text behind the `[`, however it is spread.
        limit: The most bytes of one entry.

    """
    text = b""
    start = at = depth = 0
    first = True
    async for chunk in chunks:
        text, at, start = text[start:] + chunk, at - start, 0
        while found := (_WITHIN if depth else _BETWEEN).match(text, at):
            at = found.end()
            token = text[at - 1 : at]
            if token in b"{[":
                depth += 1
            elif depth:
                depth -= 1
            elif token == b",":
                yield text[start : at - 1]
                start, first = at, False
            else:
                last = text[start : at - 1]
                if token == b"}":
                    yield OpenBookingError("JSON is malformed: a «}» closes nothing.")
                elif last.strip(_BLANK) or not first:
                    yield last
                if token == b"]" and await _anything_in(text[at:], chunks):
                    yield OpenBookingError("There is something after the end of the array.")
                await _anything_in(b"", chunks)
                return
        if len(text) - start > limit:
            yield _too_large(limit)
            await _anything_in(b"", chunks)
            return
    yield OpenBookingError("The array has no end.")


async def _anything_in(text: bytes, chunks: AsyncIterator[bytes]) -> bool:
    """Read to the end, and say whether there was more than blanks."""
    found = bool(text.strip(_BLANK))
    async for chunk in chunks:
        found = found or bool(chunk.strip(_BLANK))
    return found
