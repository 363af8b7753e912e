"""Verifying what is stored, in tests."""

from __future__ import annotations

from service.ledger.auditor import HOLDS_LIMIT, Auditor
from service.ledger.scanner import Survey
from service.redis.batcher import Batcher
from service.settings import Settings
from service.verify import Report, Verifier
from service.verify.checking import OPPORTUNITIES_AT_ONCE
from tests.ledger.desk import Desk


class Look:
    """What one look at everything found."""

    def __init__(self, *, repair: bool = False) -> None:
        """Begin with nothing."""
        self.lines: list[str] = []
        self.report = Report(self.lines.append, repair=repair)

    @property
    def checks(self) -> set[str]:
        """What is wrong, by the first word of each line."""
        return {line.partition(" ")[0] for line in self.lines}


async def look(
    place: Desk | Batcher,
    *,
    repair: bool = False,
    opportunities_at_once: int = OPPORTUNITIES_AT_ONCE,
    holds_limit: int = HOLDS_LIMIT,
) -> Look:
    """Verify what a desk has, or a server under the default names."""
    found = Look(repair=repair)
    batcher = place if isinstance(place, Batcher) else place.batcher
    settings = Settings() if isinstance(place, Batcher) else place.settings
    survey = Survey(
        batcher,
        key_prefix=settings.key_prefix,
        partitions=settings.partitions,
        unreadable=found.report.cannot_read,
    )
    auditor = Auditor(batcher, key_prefix=settings.key_prefix, partitions=settings.partitions)
    verifier = Verifier(
        survey,
        auditor,
        found.report,
        opportunities_at_once=opportunities_at_once,
        holds_limit=holds_limit,
    )
    await verifier.run()
    return found
