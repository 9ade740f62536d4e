"""Where models lie, what their fingerprint covers, and how their tokenizers count."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ragflow.embedding.model_folder import model_fingerprint, resolve_model
from ragflow.embedding.model_shape import dimension_of
from ragflow.embedding.tokenizer import UNLIMITED, ModelTokenizer, max_tokens_of
from ragflow.errors import BadInputError, ServiceUnavailableError
from ragflow_tests.embedding.conftest import ModelMaker

TEXTS = ["L'été à la mer, n° 5.", "", "unbelievable tokenisations", "👩‍👩‍👧‍👦 日本", "tab\tand\u00a0space\u200b"]


def test_the_default_model_is_installed() -> None:
    folder = resolve_model("all-MiniLM-L6-v2")
    assert (folder / "model.safetensors").is_file()
    assert resolve_model("sentence-transformers/all-MiniLM-L6-v2") == folder
    assert resolve_model(str(folder)) == folder.resolve()


@pytest.mark.parametrize("name", ["", "/no/such/folder", "./nothing", "a b/c/d", " all-MiniLM-L6-v2", "owner/na..me"])
def test_names_that_cannot_be_models_are_bad_input(name: str) -> None:
    with pytest.raises(BadInputError):
        resolve_model(name)


def test_a_model_that_cannot_be_fetched_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    # The hub's own code runs; its address is one where nothing listens, and its cache is empty.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ServiceUnavailableError, match="owner/no-such-model") as caught:
        resolve_model("owner/no-such-model")
    assert "give the folder" in caught.value.remedy


def test_the_fingerprint_changes_with_what_decides_the_vectors(make_model: ModelMaker, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(make_model(), folder)
    before = model_fingerprint(folder)
    assert model_fingerprint(folder) == before
    (folder / "README.md").write_text("another model card")
    (folder / ".gitattributes").write_text("x")
    (folder / "pytorch_model.bin").write_bytes(b"the same weights in an older format")
    assert model_fingerprint(folder) == before

    seen = {before}
    for name in ("model.safetensors", "tokenizer.json", "config.json", "modules.json", "1_Pooling/config.json"):
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        changed = model_fingerprint(folder)
        assert changed not in seen, name
        seen.add(changed)
        path.write_bytes(content)
    assert model_fingerprint(folder) == before


def test_other_weights_have_another_fingerprint(make_model: ModelMaker) -> None:
    assert model_fingerprint(make_model(seed=1)) != model_fingerprint(make_model(seed=2))


def test_a_folder_without_weights_has_no_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInputError, match="no weights"):
        model_fingerprint(tmp_path)


def test_tokens_are_counted_as_the_model_counts_them() -> None:
    from transformers import AutoTokenizer

    folder = resolve_model("all-MiniLM-L6-v2")
    ours = ModelTokenizer(folder)
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    long = "a very long text " * 500  # the saved tokenizer.json truncates and pads to 128
    assert ours.count([*TEXTS, long]) == [len(ids) for ids in theirs([*TEXTS, long], truncation=False)["input_ids"]]
    assert ours.count([long])[0] > 2000
    assert (ours.special_tokens, ours.max_tokens) == (2, 256)


def test_spans_lead_back_to_the_text() -> None:
    ours = ModelTokenizer(resolve_model("all-MiniLM-L6-v2"))
    spans = ours.spans([*TEXTS, "Hello, world"])
    assert ["Hello, world"[start:end] for start, end in spans[-1]] == ["Hello", ",", "world"]
    assert spans[1] == []
    for text, of_text in zip(TEXTS, spans, strict=False):
        assert of_text == sorted(of_text)
        assert all(0 <= start <= end <= len(text) for start, end in of_text)
    assert [len(of_text) + 2 for of_text in spans[: len(TEXTS)]] == ours.count(TEXTS)


def test_lone_surrogates_are_bad_input() -> None:
    with pytest.raises(BadInputError, match="not valid Unicode"):
        ModelTokenizer(resolve_model("all-MiniLM-L6-v2")).count(["fine", "broken \ud800"])


def test_a_model_without_a_fast_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(BadInputError, match=r"tokenizer\.json"):
        ModelTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(BadInputError, match="cannot be read"):
        ModelTokenizer(tmp_path)


def test_the_limit_is_that_of_the_first_file_that_names_one(tmp_path: Path) -> None:
    assert max_tokens_of(tmp_path) == UNLIMITED
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    assert max_tokens_of(tmp_path) == UNLIMITED
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    assert max_tokens_of(tmp_path) == 512
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 384}))
    assert max_tokens_of(tmp_path) == 384
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128}))
    assert max_tokens_of(tmp_path) == 128


def test_a_module_of_unknown_effect_leaves_the_dimension_open(make_model: ModelMaker, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(make_model(), folder)
    assert dimension_of(folder) == 32
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_New", "type": "somewhere.Rotate"})
    (folder / "modules.json").write_text(json.dumps(modules))
    assert dimension_of(folder) is None
