"""The picture for a list of probabilities is drawn."""

from pathlib import Path

from forecache.show.probabilities import draw
from forecache.study.probabilities import optimal_cache_size


def test_it_is_a_png(tmp_path: Path) -> None:
    draw(optimal_cache_size([0.5, 0.3, 0.2], price_per_entry=0.25), tmp_path / "size.png")
    assert (tmp_path / "size.png").read_bytes().startswith(b"\x89PNG")
