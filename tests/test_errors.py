"""Laws of the error tree: it is as drawn, and a missing package names the command that installs it."""

from __future__ import annotations

import pickle
import re

import pytest

from forecache import errors
from forecache.errors import ForecacheError, MissingExtraError
from forecache.extras import extra

CLASSES = {name: getattr(errors, name) for name in errors.__all__}


def test_the_drawn_tree_is_the_tree() -> None:
    drawn, above = {}, {0: ForecacheError}
    for indent, name, builtin in re.findall(r"^([│ ]*[├└]─ )(\w+)(?: \((\w+)\))?", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 3
        above[depth] = CLASSES[name]
        drawn[name] = (above[depth - 1].__name__, *filter(None, [builtin]))
    real = {name: tuple(base.__name__ for base in kind.__bases__) for name, kind in CLASSES.items()}
    assert drawn | {"ForecacheError": ("Exception",)} == real


def test_a_missing_package_names_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'forecache[plot]'")) as caught, extra("plot"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    assert (caught.value.name, caught.value.extra) == ("no_such_package", "plot")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
