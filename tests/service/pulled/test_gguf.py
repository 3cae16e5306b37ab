"""A GGUF file, named by its path: dequantized once, and what stands on it says what its weights say."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy
import pytest
import torch
from gguf.quants import dequantize, quantize

from benchmarks.support.tiny import BLOCKS, HEADS, INNER, SPECIAL, TEMPLATE, WIDTH, make
from core.errors.base import ModelUnavailable
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.generation import greedy
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.describe_base import describe_base
from store.artifacts import Artifacts

KIND = gguf.GGMLQuantizationType.Q8_0
OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
QUESTIONS = ("Where does Ann Lee live?", "What does the fox do every evening?", "Who is Bo Moss?")


@dataclass
class Given:
    """A GGUF file, and the model whose weights it holds: those of the file, dequantized."""

    file: Path
    model: EditableModel


def permuted(weight: numpy.ndarray) -> numpy.ndarray:
    """A projection to queries or keys with its rows in the order of llama.cpp, which rotates neighbours."""
    return weight.reshape(HEADS, 2, WIDTH // HEADS // 2, WIDTH).swapaxes(1, 2).reshape(WIDTH, WIDTH)


def write(file: Path, model: EditableModel) -> None:
    """Writes a model with its tokenizer and its template, matrices in eight bits; gives it the weights of the file."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_context_length(256)
    writer.add_block_count(BLOCKS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(model.network.config.rms_norm_eps)
    tokens = model.tokenizer.convert_ids_to_tokens(range(len(model.tokenizer)))
    merges = json.loads(model.tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_pad_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    for name, parameter in model.network.named_parameters():
        told = called(name)
        values = parameter.detach().float().numpy()
        if values.ndim == 1:
            writer.add_tensor(told, values)
            continue
        rows = permuted(values) if told.endswith(("attn_q.weight", "attn_k.weight")) else values
        packed = quantize(rows, KIND)
        writer.add_tensor(told, packed, raw_dtype=KIND)
        with torch.no_grad():  # quantized by rows, so that their order does not matter
            parameter.copy_(torch.from_numpy(dequantize(quantize(values, KIND), KIND)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def called(name: str) -> str:
    """The name of a parameter in a GGUF file."""
    if name in OUTER:
        return OUTER[name]
    _, _, block, module = name.removesuffix(".weight").split(".", 3)
    return f"blk.{block}.{NAMES[module]}.weight"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("gguf")
    model = load_model(make(folder / "tiny", tie_word_embeddings=False))
    write(folder / "tiny.gguf", model)
    return Given(folder / "tiny.gguf", model)


def described(settings: Settings, name: str) -> EditableModel:
    """The base of a memory that is created on the model of that name."""
    bases = BaseModels("cpu")
    created = describe_base(
        bases, Artifacts(settings.artifact_folder), settings, name=name, revision="", dtype="", quantization="",
        overrides={}, sleep={}, capacity=None, method=None,
    )  # fmt: skip
    assert Path(created.base.name).is_dir()
    return bases.clone(created)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(artifact_folder=tmp_path / "artifacts", model_folder=tmp_path / "models")


def test_a_memory_on_a_gguf_file_says_what_the_dequantized_weights_say(given: Given, settings: Settings) -> None:
    model = described(settings, str(given.file))

    for name, parameter in given.model.network.named_parameters():
        assert torch.equal(model.network.get_parameter(name), parameter), name
    asked = [given.model.chat_ids([], question) for question in QUESTIONS]
    assert [model.chat_ids([], question) for question in QUESTIONS] == asked
    assert greedy(model, asked, sentence=False) == greedy(given.model, asked, sentence=False)
    assert model.end_tokens() == given.model.end_tokens()


def test_a_gguf_file_is_converted_once_and_another_of_its_name_refused(given: Given, settings: Settings) -> None:
    described(settings, str(given.file))
    (record,) = settings.model_folder.glob("*/pulled.json")
    made = record.stat().st_mtime_ns

    described(settings, str(given.file))
    assert record.stat().st_mtime_ns == made
    other = settings.artifact_folder.parent / "elsewhere" / given.file.name
    other.parent.mkdir()
    shutil.copyfile(given.file, other)
    with other.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelUnavailable, match=r"another file named 'tiny\.gguf' was pulled; rename this one"):
        described(settings, str(other))


def test_a_gguf_file_that_is_none_cannot_carry_a_memory(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"no GGUF")

    with pytest.raises(ModelUnavailable, match=r"broken\.gguf cannot be read"):
        described(settings, str(file))
    with pytest.raises(ModelUnavailable, match="there is no model folder"):
        described(settings, str(tmp_path / "none.gguf"))
