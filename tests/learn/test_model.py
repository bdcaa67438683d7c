"""Laws of model files: what is read is what was written, and whatever else is refused with one kind of error."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from forecache import _core
from forecache.errors import ForecacheError, ModelError
from forecache.learn.model import Model
from forecache.learn.predictor import ForestPredictor, RecencyPredictor
from forecache.learn.training import train
from forecache.record import modelfile

HEADER = struct.Struct("<8sHHIII")


def linear() -> Model:
    weights = [0.01] * len(_core.FEATURES)
    core = _core.Predictor.network([(1.0, 2.0)] * len(weights), [(3, 255)], [([*weights, 0.5], [0.25])])
    return Model(core, {"α": 1})


def trees() -> Model:
    arrays = [
        np.array(values, kind).data
        for values, kind in (
            ([0], np.uint32),
            ([2, 0, 0], np.uint8),
            ([100, 0, 0], np.uint8),
            ([1, 1, 2], np.uint32),
            ([2, 1, 2], np.uint32),
            ([0, -1.5, 2.5], np.float32),
        )
    ]
    return Model(_core.Predictor.trees(0.5, *arrays))


@pytest.fixture(scope="module", params=[Model.shipped, linear, trees], ids=["forest", "network", "trees"])
def model(request) -> Model:
    return request.param()


def sealed(content: bytes) -> bytes:
    """The content with a checksum that agrees."""
    return content + struct.pack("<I", zlib.crc32(content))


def test_what_is_read_is_what_was_written(model, tmp_path, random_rows):
    model.save(tmp_path / "model.fcm")
    found = Model.load(tmp_path / "model.fcm")
    assert (found.kind, found.metadata, found.to_bytes()) == (model.kind, model.metadata, model.to_bytes())
    np.testing.assert_array_equal(found.predict(random_rows), model.predict(random_rows))
    assert [path.name for path in tmp_path.iterdir()] == ["model.fcm"]


def test_the_file_describes_itself(model):
    data = model.to_bytes()
    mark, version, form, _, text, payload = HEADER.unpack_from(data)
    assert (mark, version) == (b"\x89FCM\r\n\x1a\n", 1)
    assert form == {"forest": 1, "trees": 2, "network": 3}[model.kind]
    assert len(data) == HEADER.size + text + payload + 4
    assert json.loads(data[HEADER.size : HEADER.size + text]) == model.metadata
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x89FCM\r\n\x1a\n")
@example(b"\x80\x04\x95.")  # a pickle
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(ModelError):
        Model.from_bytes(data)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_every_flipped_bit_and_every_cut_is_noticed(model, draw):
    content = model.to_bytes()
    at = draw.draw(st.one_of(st.integers(0, HEADER.size), st.integers(0, len(content) - 1)))
    flipped = bytearray(content)
    flipped[at] ^= 1 << draw.draw(st.integers(0, 7))
    for wrong in (bytes(flipped), content[:at], content + content[:at] if at else content + b"\0"):
        with pytest.raises(ModelError):
            Model.from_bytes(wrong)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_forged_files_are_refused_or_predict_something(model, draw, random_rows):
    """Whoever makes the checksum agree may write a useless model, but not one that crashes."""
    forged = bytearray(model.to_bytes()[:-4])
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(HEADER.size - 8, len(forged) - 1))
        forged[at] = draw.draw(st.integers(0, 255))
    try:
        found = Model.from_bytes(sealed(bytes(forged)))
    except ModelError:
        return
    assert np.isfinite(found.predict(random_rows)).all()
    found.probability(random_rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header: [b"GIF89a\0\0", *header[1:]], "no model file"),
        (lambda header: [header[0], 2, *header[2:]], "format 2"),
        (lambda header: [*header[:3], header[3] ^ 1, *header[4:]], "other features"),
        (lambda header: [*header[:2], 9, *header[3:]], "form is unknown"),
        (lambda header: [*header[:4], 2**32 - 1, header[5]], "incomplete"),
    ],
)
def test_the_message_says_what_is_wrong(change, said):
    content = linear().to_bytes()
    header = change(list(HEADER.unpack_from(content)))
    with pytest.raises(ModelError, match=said) as caught:
        Model.from_bytes(sealed(HEADER.pack(*header) + content[HEADER.size : -4]))
    assert isinstance(caught.value, (ForecacheError, ValueError))


@pytest.mark.parametrize("metadata", ["", "[1]", "{", "nul", "[" * 100_000, "1" * 5000])
def test_metadata_that_are_no_object_are_refused(metadata):
    with pytest.raises(ModelError, match="metadata"):
        Model.from_bytes(linear().core.to_bytes(metadata))


@pytest.mark.parametrize("calibration", [None, 3, {}, {"slope": "x", "intercept": 1}, {"slope": [], "intercept": 1}])
def test_without_a_usable_calibration_there_is_no_probability(calibration, random_rows):
    assert Model(linear().core, {"within_capacity": calibration}).probability(random_rows) is None


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"absent\.fcm"):
        Model.load(tmp_path / "absent.fcm")
    with pytest.raises(ModelError, match="cannot be read"):
        Model.load(tmp_path)
    with pytest.raises(ModelError, match="cannot be written"):
        linear().save(tmp_path / "absent" / "model.fcm")
    (tmp_path / "bad.fcm").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"bad\.fcm"):
        Model.load(tmp_path / "bad.fcm")


def test_a_file_far_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(modelfile, "LARGEST_FILE", 10)
    linear().save(tmp_path / "model.fcm")
    with pytest.raises(ModelError, match="larger than"):
        Model.load(tmp_path / "model.fcm")


def test_stores_and_simulations_take_models(part, data):
    model = train(ForestPredictor(trees=5), data).to_bytes()
    accesses = _core.Accesses(part.trace.key.tobytes() and np.ascontiguousarray(part.trace.key).data)
    assert _core.Simulation(accesses, "learned", 100, model=model).run(1000)[0] == 1000
    store: _core.Store[int, int] = _core.Store(10, "learned", shards=2, model=model)
    assert store.set(1, 1)
    for wrong in (
        lambda: _core.Store(10, "learned", model=b"x"),
        lambda: _core.Simulation(accesses, "learned", 9, model=b"x"),
    ):
        with pytest.raises(ModelError):
            wrong()
    with pytest.raises(ValueError, match="predicts nothing"):
        _core.Store(10, "lru", model=model)


def test_the_shipped_model_given_as_a_file_changes_nothing(part):
    accesses = _core.Accesses(np.ascontiguousarray(part.trace.key).data)
    plain, given_again = (
        _core.Simulation(accesses, "learned", 100, seed=1, model=model).run(len(part.trace))
        for model in (None, Model.shipped().to_bytes())
    )
    assert plain == given_again


def test_another_model_makes_other_decisions(part, data):
    accesses = _core.Accesses(np.ascontiguousarray(part.trace.key).data)
    recency = train(RecencyPredictor(), data).to_bytes()
    hits = [_core.Simulation(accesses, "learned", 100, model=model).run_hits(5000) for model in (None, recency)]
    assert hits[0] != hits[1]
