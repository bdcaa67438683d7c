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
    if not isinstance(value, list) or not value:
        sys.stdout.write(f"{json.dumps(value, indent=2)}\n")
        return
    for number, item in enumerate(value):
        sys.stdout.write(f"{',' if number else '['}\n  {json.dumps(item)}")
    sys.stdout.write("\n]\n")


def print_tables(*tables: Table) -> None:
    """Tables on stdout."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_OF_FILES
    for table in tables:
        console.print(table)
