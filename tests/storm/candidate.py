"""A sequencer of the storm: `forecache sequencer`, which may lack a defence.

python -m tests.storm.candidate MUTANT --origin … --shared … --table …
"""

from __future__ import annotations

import sys

from forecache.show.commands import app
from tests.storm.mutants import mutate

if __name__ == "__main__":
    mutate(sys.argv.pop(1))
    sys.argv.insert(1, "sequencer")
    app()
