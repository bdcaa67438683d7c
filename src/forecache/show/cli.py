"""The command line: `forecache`, or `python -m forecache`.

Exit codes: 0 done; 1 the demo's answers differ from the database's, the doctor found an error, or the output was cut
off; 2 what was asked for cannot be done, as one line on stderr says; 3 the trained model is worse than none, and not
saved; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Final, NoReturn

from forecache.errors import ForecacheError
from forecache.extras import extra

__all__ = ["main"]

CUT_OFF: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130
ADVICE: Final[dict[type[OSError], str]] = {
    IsADirectoryError: "name a file in it",
    NotADirectoryError: "name a directory",
    FileExistsError: "name a directory, or a new one",
    FileNotFoundError: "check the path",
    PermissionError: "choose another path, or give this user the right to it",
}


def main() -> None:
    """Runs the command that the arguments name, and exits."""
    try:
        with extra("cli"):
            from forecache.show.commands import app
        app()
    except BrokenPipeError:  # whoever read the output has seen enough; nothing more may be written, even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CUT_OFF)
    except ForecacheError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; {advice(error)}" if error.filename else str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def advice(error: OSError) -> str:
    """What to do about a file or a directory that cannot be used."""
    known = (advice for kind, advice in ADVICE.items() if isinstance(error, kind))
    return next(known, "check the path, and that there is room on the disk")


def fail(message: str) -> NoReturn:
    """Says in one line what was wrong, and exits."""
    sys.stderr.write(f"forecache: {' '.join(message.split())}\n")
    sys.exit(UNUSABLE)
