"""The documentation is true: its examples run, its links lead somewhere, and nothing public is left out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import forecache
from forecache import Cache, Database, Stats, __all__, _core, errors
from forecache.serve.origin import Origin, Transaction
from forecache.serve.origins.alchemy import AlchemyOrigin
from forecache.serve.origins.function import FunctionOrigin
from forecache.serve.origins.postgresql import PostgresqlOrigin
from forecache.serve.origins.sqlite import SqliteOrigin
from forecache.serve.rows import Rows

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DOCS = {path.stem: path.read_text() for path in PAGES}
USER_DOCS = "\n".join(
    DOCS[name]
    for name in (
        "tutorial",
        "operations",
        "policies",
        "glossary",
        "coherence",
        "serving",
        "commands",
        "history",
        "prediction",
        "training",
        "sizing",
        "theory",
        "shared-tier",
        "databases",
        "README",
    )
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [page for page in PAGES if "```python" in page.read_text()], ids=name_of)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page, from top to bottom, in one namespace; line numbers are those of the page."""
    monkeypatch.chdir(tmp_path)
    text, scope = path.read_text(), {"__name__": path.stem}
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S):
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block[1], name_of(path), "exec"), scope)  # noqa: S102 - our own page


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", __all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", USER_DOCS)


def public(kind: type) -> Iterator[str]:
    return (name for name in vars(kind) if not name.startswith("_"))


@pytest.mark.parametrize("name", sorted({*public(Cache), *public(_core.Store)}))
def test_every_method_is_documented(name: str) -> None:
    method = inspect.getattr_static(Cache, name)
    assert (method.__doc__ or "").strip(), f"{name} has no docstring"
    plain = name[1:] if f"`{name}`" not in USER_DOCS and hasattr(Cache, name[1:]) and name[0] == "a" else name
    assert re.search(rf"\b{plain}\b", USER_DOCS), f"{name} is in no page"


@pytest.mark.parametrize("name", list(inspect.signature(Cache.__new__).parameters)[1:])
def test_every_setting_is_documented(name: str) -> None:
    assert f"        {name}: " in (Cache.__doc__ or "")
    assert re.search(rf"\b{name}\b", USER_DOCS), f"{name} is in no page"


@pytest.mark.parametrize("name", sorted({*public(Database), *public(Rows)} - {"after_fork", "hits", "name"}))
def test_every_method_of_a_database_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", DOCS["serving"]), f"{name} is not in serving.md"


@pytest.mark.parametrize("name", list(inspect.signature(forecache.open).parameters))
def test_every_setting_of_open_is_documented(name: str) -> None:
    assert f"        {name}: " in (forecache.open.__doc__ or "")
    assert re.search(rf"`{name}`", DOCS["serving"]), f"{name} is not in serving.md"


@pytest.mark.parametrize("origin", [SqliteOrigin, PostgresqlOrigin, AlchemyOrigin, FunctionOrigin])
def test_every_setting_of_an_origin_is_documented(origin: type) -> None:
    for name in inspect.signature(origin).parameters:
        assert f"        {name}: " in (origin.__doc__ or ""), name
        assert re.search(rf"\b{name}\b", DOCS["databases"]), name


@pytest.mark.parametrize("name", [*public(Origin), *public(Transaction)])
def test_every_method_of_an_origin_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", DOCS["databases"]), name


@pytest.mark.parametrize("name", [*public(Stats)])
def test_every_count_has_its_words(name: str) -> None:
    assert re.search(rf"\b{name}\b", (inspect.getsource(Stats)))


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_documented(name: str) -> None:
    assert f"| `{name}` |" in DOCS["operations"]


@pytest.mark.parametrize("policy", [*_core.POLICIES, *_core.OFFLINE_POLICIES])
def test_every_policy_has_a_section(policy: str) -> None:
    assert re.search(rf"^## {policy}$", DOCS["policies"], re.M)


def options() -> set[str]:
    """Every command and option of the command line."""
    from typer.main import get_command

    from forecache.show.commands import app

    def walk(command: Any, path: str) -> Iterator[str]:
        yield path
        yield from (option for parameter in command.params for option in parameter.opts if option.startswith("-"))
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{path} {name}")

    return set(walk(get_command(app), "forecache")) - {"forecache", "forecache trace", "forecache history"}


def test_every_command_and_option_is_documented_and_no_other() -> None:
    written = set(re.findall(r"`(-[-\w]+|forecache [a-z]+(?: [a-z]+)?)", DOCS["commands"])) - {"--help"}
    assert written == options()
