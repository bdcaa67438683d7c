"""`Patient`: a database that is examined, and how it is treated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from forecache.coherence.postgresql.asking import Asking, translated
from forecache.coherence.postgresql.coverage import PUBLICATION
from forecache.coherence.postgresql.finding import Finding
from forecache.coherence.postgresql.synchronous import STANDBY
from forecache.errors import ConfigurationError, OriginError, OriginUnavailableError
from forecache.libpq import name_of, parameters_of
from forecache.units import Duration, parse_duration

__all__ = ["Patient", "treat"]


@dataclass(frozen=True, slots=True)
class Patient:
    """A database and what is wanted of it."""

    url: str
    tables: tuple[str, ...] = ()  # names; by default those of the publication
    slot: str | None = None
    publication: str = PUBLICATION
    standby: str = STANDBY
    with_slot: bool = True  # whether its log is read; else triggers note changes
    timeout: Duration = "5s"

    def connect(self) -> Asking:
        """A connection to it.

        Raises:
            OriginUnavailableError: it cannot be reached.
        """
        parameters = parameters_of(self.url) | {"application_name": "forecache doctor"}
        seconds = parse_duration(self.timeout)
        parameters.setdefault("connect_timeout", max(2, round(seconds)))
        return Asking.to(name_of(parameters), parameters, seconds)


def treat(patient: Patient, findings: Iterable[Finding], told: Callable[[str], object] = lambda _: None) -> list[str]:
    """Runs the cures of what is not as it should be.

    Args:
        patient: the database.
        findings: what was found.
        told: hears of each statement that was run.

    Returns:
        What the database refused, in its words.

    Raises:
        OriginUnavailableError: the database cannot be reached.
    """
    refused = []
    asking = patient.connect()
    try:
        for finding in findings:
            try:
                for statement in finding.cure:
                    with translated(finding.what):
                        asking.ask(statement)
                    told(statement)
            except OriginUnavailableError:
                raise
            except (OriginError, ConfigurationError) as error:
                refused.append(str(error))
                asking.rollback()
    finally:
        asking.close()
    return refused
