"""A cache with a model: a good file decides, a bad one costs a line in the log."""

import logging

import pytest

from forecache import Cache, _core
from forecache.errors import ConfigurationError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.fcm"
    path.write_bytes(_core.Predictor.shipped()[0].to_bytes("{}"))
    return path


def fill(cache):
    return [cache.get_or_load(key * key % 61, str) for key in range(300)]  # too few to learn from


def test_a_model_file_is_used_in_silence(file, caplog):
    cache = Cache(10, policy="learned", model=file)
    assert len(fill(cache)) == 300
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_bad_file_costs_one_line_and_the_cache_serves_as_without_it(file, content, caplog):
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    cache, plain = Cache(10, policy="learned", model=str(file)), Cache(10, policy="learned")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("forecache", logging.WARNING)
    assert str(file) in record.getMessage()
    assert "shipped one" in record.getMessage()
    assert fill(cache) == fill(plain)
    assert cache.stats().hits == plain.stats().hits


@pytest.mark.parametrize(("policy", "model"), [("lru", "model.fcm"), ("learned", 3), ("learned", b"model.fcm")])
def test_models_that_make_no_sense_are_refused(policy, model):
    with pytest.raises(ConfigurationError, match="model"):
        Cache(10, policy=policy, model=model)
