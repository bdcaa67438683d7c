"""A predictive, consistent key-value cache for Python services that sit on a database."""

from forecache._core import POLICIES, Entry
from forecache.coherence.certificate import Certificate, Certified
from forecache.coherence.level import Level
from forecache.errors import ForecacheError
from forecache.serve.aopening import aopen
from forecache.serve.cache import Cache
from forecache.serve.database import Database, open
from forecache.serve.learning import Explanation, Learning
from forecache.serve.stats import Stats

__all__ = [
    "POLICIES",
    "Cache",
    "Certificate",
    "Certified",
    "Database",
    "Entry",
    "Explanation",
    "ForecacheError",
    "Learning",
    "Level",
    "Stats",
    "aopen",
    "open",
]
