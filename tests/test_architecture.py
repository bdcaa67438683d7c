"""ARCHITECTURE.md is true: who imports whom, what exists, how long files are, and what the package needs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import forecache

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "forecache"
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
ARROWS = PAGE.split("## Who may import whom")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| (\w+) \| ?([\w, ]*?) ?\|$", ARROWS, re.M)
ROOMS = {room: set(allowed.split(", ")) - {""} for room, allowed in ROWS if room != "room"}
FOLDERS = [ROOT / name for name in ("src", "tests", "benchmarks", "crates")]
FILES = [path for folder in FOLDERS for suffix in ("*.py", "*.rs") for path in folder.rglob(suffix)]
MOST_LINES = 300
LONGER = {"crates/core/src/store.rs", "crates/python/src/store.rs"}  # to become shorter; nothing may join them


def room_of(module: str) -> str:
    """`forecache.serve.cache` is in serve; errors, units, extras, _core and the package itself are the base."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else "base"


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_is_described() -> None:
    assert set(ROOMS) - {"base"} == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    if path.parent == PACKAGE and path.stem in {"__init__", "__main__"}:
        return  # the public names, and the command
    room = room_of(f"forecache.{path.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')}")
    used = {room_of(name) for name in imports_of(path) if name.split(".")[0] == "forecache"}
    assert used <= {room, *ROOMS[room]}


def test_what_the_page_names_exists() -> None:
    tree = PAGE.split("```")[1]
    for folder, names in re.findall(r"^(\S+/) +(.*)$", tree, re.M):
        assert (ROOT / folder).is_dir(), folder
        assert folder == "src/forecache/" or names
    for name in re.findall(r"[\w/]+\.(?:rs|pyi?|toml)\b", PAGE):
        assert any(path.as_posix().endswith(f"/{name}") for path in FILES), name


def test_files_are_short() -> None:
    long = {str(path.relative_to(ROOT)) for path in FILES if path.read_text().count("\n") > MOST_LINES}
    assert long <= LONGER


def test_public_names_are_few_and_sorted() -> None:
    names = forecache.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))  # constants first, as in the sources
    assert len(names) <= 15
    assert all(hasattr(forecache, name) for name in names)


def test_the_core_knows_no_python_and_nothing_but_a_table_and_a_hash() -> None:
    manifest = tomllib.loads((ROOT / "crates/core/Cargo.toml").read_text())
    assert list(manifest["dependencies"]) == ["hashbrown", "siphasher"]


def test_importing_needs_nothing_but_the_wheel() -> None:
    program = """
        import sys
        before = {name.split(".")[0] for name in sys.modules}
        class Nothing:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] not in {*sys.stdlib_module_names, "forecache"}:
                    raise ImportError(f"{name} is not part of Python")
        sys.meta_path.insert(0, Nothing())
        from forecache import Cache
        cache = Cache(max_bytes="1MiB", ttl="5m", stale_ttl="1h")
        @cache.cached(key="{number}", tags=["t"])
        def double(number): return 2 * number
        assert double(4) == double(4) == 8 and cache.invalidate_tag("t") == 1 and repr(cache)
        after = {name.split(".")[0] for name in sys.modules}
        print(sorted(after - before - sys.stdlib_module_names))
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("['forecache']\n", "")
