"""What commands write: JSON, and tables."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_json", "print_tables"]

WIDTH_OF_FILES: Final = 120  # columns, where there is no terminal to ask


def print_json(value: Any) -> None:
    """JSON on stdout; the items of an array one a line."""
    if isinstance(value, list):
        lines = ",\n".join(f"  {json.dumps(item)}" for item in value)
        sys.stdout.write(f"[\n{lines}\n]\n" if value else "[]\n")
    else:
        sys.stdout.write(f"{json.dumps(value, indent=2)}\n")


def print_tables(*tables: Table) -> None:
    """Tables on stdout."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_OF_FILES
    for table in tables:
        console.print(table)
