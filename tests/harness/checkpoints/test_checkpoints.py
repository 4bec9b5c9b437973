"""A checkpoint survives its folder; anything else that lies there is refused with one line that names it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import load_file, save_file

from backends.contract import Arrays
from harness.checkpoints import Checkpoint, CheckpointManifest, gathered, read_checkpoint, write_checkpoint
from harness.checkpoints.tensors import model_tensors, optimizer_tensors
from results.files import StoreError
from results.record import Fingerprints
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import BatchNorm2d, Conv2d, Flatten, Linear
from specs.loading import architecture_names, default_recipe, load_architecture, load_recipe
from specs.recipe import Recipe
from tests.fuzz import accepts_or_refuses, fuzz
from tests.harness.cli.commands import assert_one_line, harness
from tests.reliability.test_fuzz import mutated

NORMED = Architecture(
    name="normed",
    input=(1, 4, 4),
    classes=3,
    layers=(Conv2d(out_channels=2, kernel_size=3), BatchNorm2d(), Flatten(), Linear(out_features=3)),
)
RECIPE = load_recipe("default")


def arrays(architecture: Architecture, recipe: Recipe, precision: str = "float32") -> tuple[Arrays, Arrays]:
    """Parameters and optimizer state of distinct numbers, in the precision's dtype."""
    generator = np.random.default_rng(0)
    both = []
    for tensors in (
        model_tensors(architecture, precision),
        optimizer_tensors(architecture, recipe.optimizer, precision),
    ):
        dtypes = {"F32": np.float32, "F64": np.float64, "I64": np.int64}
        both.append(
            {name: np.asarray(generator.normal(size=t.shape) * 9, dtypes[t.dtype]) for name, t in tensors.items()}
        )
    return both[0], both[1]


def write(
    place: Path, architecture: Architecture = NORMED, recipe: Recipe = RECIPE, precision: str = "float32"
) -> tuple[Arrays, Arrays]:
    parameters, state = arrays(architecture, recipe, precision)
    manifest = CheckpointManifest(
        run_id="run-1",
        backend="numpy",
        dataset="digits",
        seed=7,
        epochs=2,
        precision=precision,
        fingerprints=Fingerprints(data="d"),
    )
    with gathered(place) as partial:
        write_checkpoint(
            partial,
            manifest=manifest,
            architecture=architecture,
            recipe=recipe,
            parameters=parameters,
            optimizer_state=state,
        )
    return parameters, state


def without_digests(place: Path) -> None:
    """As a checkpoint was before there were any: what is changed in it is not noticed by them."""
    content = json.loads((place / "checkpoint.json").read_text())
    del content["sha256"], content["dataset_from_here"]
    (place / "checkpoint.json").write_text(json.dumps(content))


def equal(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and np.array_equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_a_checkpoint_survives_its_folder(tmp_path: Path, precision: str) -> None:
    parameters, state = write(tmp_path / "one", precision=precision)
    read = read_checkpoint(tmp_path / "one")
    assert (read.architecture, read.recipe) == (NORMED, RECIPE)
    assert (read.manifest.seed, read.manifest.epochs, read.manifest.fingerprints.data) == (7, 2, "d")
    assert equal(read.parameters, parameters)
    assert equal(read.optimizer_state(), state)
    assert read.notices() == []


@pytest.mark.parametrize("model", architecture_names())
def test_every_bundled_architecture_and_recipe_is_read_back_unchanged(tmp_path: Path, model: str) -> None:
    architecture, recipe = load_architecture(model), default_recipe(model)
    write(tmp_path / model, architecture, recipe)
    read = read_checkpoint(tmp_path / model)
    assert (read.architecture, read.recipe) == (architecture, recipe)


def test_arrays_of_any_order_are_written_in_c_order(tmp_path: Path) -> None:
    from harness.checkpoints.tensors import Tensor, read_tensors, write_tensors

    given = {"a": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), "b": np.array(5)}
    write_tensors(tmp_path / "x", given)
    expected = {"a": Tensor((2, 3), "F32"), "b": Tensor((), "I64")}
    assert equal(read_tensors(tmp_path / "x", expected, owner="it"), given)


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "one")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt), gathered(tmp_path / "one") as partial:
        (partial / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before
    assert read_checkpoint(tmp_path / "one")


def test_storage_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"), gathered(tmp_path / "file" / "one"):
        pass


def truncate(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-10])


def model(change: Callable[[Arrays], None]) -> Callable[[Path], None]:
    """What ``change`` does to the arrays of model.safetensors."""

    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return apply


def link_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere")
    (folder / "model.safetensors").symlink_to(folder.parent / "elsewhere")


def other_architecture(folder: Path) -> None:
    text = (folder / "architecture.yaml").read_text()
    (folder / "architecture.yaml").write_text(text.replace("out_channels: 2", "out_channels: 5"))


def manifest(**changes: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = json.loads((folder / "checkpoint.json").read_text())
        (folder / "checkpoint.json").write_text(json.dumps({**data, **changes}))

    return apply


def huge(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1 << 40)  # sparse


def pickled(folder: Path) -> None:
    np.save(folder / "model.safetensors", np.array([{}], object), allow_pickle=True)
    (folder / "model.safetensors.npy").replace(folder / "model.safetensors")


BAD = [
    (truncate, "model.safetensors: truncated, damaged or not a safetensors file"),
    (lambda f: (f / "model.safetensors").write_bytes(b""), "truncated, damaged or not"),
    (lambda f: (f / "model.safetensors").write_bytes(b"hello, world" * 9), "truncated, damaged or not"),
    (pickled, "truncated, damaged or not"),
    (huge, "more than architecture 'normed' in float32 can fill"),
    (lambda f: (f / "model.safetensors").unlink(), "model.safetensors: missing from the checkpoint"),
    (lambda f: ((f / "model.safetensors").unlink(), os.mkfifo(f / "model.safetensors")), "not a file"),
    (link_out, "is a link that leads out of the checkpoint"),
    (model(lambda t: t.pop("linear_1.bias")), "lacks the tensor 'linear_1.bias' that architecture 'normed'"),
    (model(lambda t: t.update({"conv2d_9.w\x1b": t["linear_1.bias"]})), r"'conv2d_9.w\x1b', which architecture"),
    (model(lambda t: t.update({"linear_1.bias": np.zeros(4, np.float32)})), "'linear_1.bias' is float32[4], "),
    (model(lambda t: t.update({"linear_1.bias": np.zeros(3)})), "is float64[3], architecture 'normed'"),
    (other_architecture, "'conv2d_1.weight' is float32[2, 1, 3, 3], architecture 'normed' in float32 needs"),
    (lambda f: (f / "optimizer.safetensors").replace(f / "model.safetensors"), "lacks the tensor 'conv2d_1.weight'"),
    (lambda f: (f / "architecture.yaml").write_text("name: [x"), "architecture.yaml:1: not valid YAML"),
    (lambda f: (f / "recipe.yaml").write_text("!!python/object/apply:os.getcwd []"), "recipe.yaml:1: the tag"),
    (lambda f: (f / "checkpoint.json").write_text("{"), "checkpoint.json: not JSON"),
    (lambda f: (f / "checkpoint.json").write_text("[" * 9000), "checkpoint.json: not JSON"),
    (lambda f: (f / "checkpoint.json").write_text(" " * 70_000), "larger than 65536 bytes"),
    (manifest(format=9), "format 9, this harness knows 1: upgrade"),
    (manifest(run_id="../x"), "checkpoint.json: run_id"),
    (manifest(epochs=6), "6 epochs are done, recipe.yaml plans 5"),
    (manifest(precision="float16"), "checkpoint.json: precision"),
    (manifest(surprise=1), "checkpoint.json: surprise"),
    (manifest(precision="float64"), "is float32[2, 1, 3, 3], architecture 'normed' in float64 needs float64"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "said"), BAD, ids=[said for _, said in BAD])
def test_what_is_no_sound_checkpoint_is_refused(tmp_path: Path, damage: Callable[[Path], object], said: str) -> None:
    write(tmp_path / "one")
    damage(tmp_path / "one")
    with pytest.raises(RequestError) as refused:
        read_checkpoint(tmp_path / "one")
    message = str(refused.value)
    assert said in message
    assert str(tmp_path / "one") in message
    assert "\n" not in message


def test_an_optimizer_of_another_kind_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "one")
    tensors = load_file(tmp_path / "one" / "optimizer.safetensors")
    del tensors["linear_1.bias.first_moment"]
    save_file(tensors, tmp_path / "one" / "optimizer.safetensors")
    read = read_checkpoint(tmp_path / "one")
    with pytest.raises(RequestError, match=r"lacks the tensor 'linear_1.bias.first_moment' that the adam of 'normed'"):
        read.optimizer_state()


def test_values_that_are_not_finite_are_told(tmp_path: Path) -> None:
    write(tmp_path / "one")
    model(lambda t: t.update({"linear_1.bias": np.full(3, np.nan, np.float32)}))(tmp_path / "one")
    without_digests(tmp_path / "one")
    (notice,) = read_checkpoint(tmp_path / "one").notices()
    assert "'linear_1.bias' holds values that are not finite" in notice


@pytest.mark.parametrize(
    ("name", "sound", "flipped"),
    [
        ("model.safetensors", b"", b""),
        ("optimizer.safetensors", b"", b""),
        ("architecture.yaml", b"epsilon: 1.0e-05", b"epsilon: 1.0e-15"),
        ("recipe.yaml", b"learning_rate: 0.001", b"learning_rate: 0.011"),
        ("checkpoint.json", b'"seed": 7', b'"seed": 3'),
    ],
)
def test_one_flipped_bit_in_any_file_is_found(tmp_path: Path, name: str, sound: bytes, flipped: bytes) -> None:
    """Also where what it makes is as valid as what was there."""
    write(tmp_path / "one")
    file = tmp_path / "one" / name
    content = bytearray(file.read_bytes())
    if sound:
        assert content.count(sound) == 1
        content = content.replace(sound, flipped)
    else:
        content[-6] ^= 1
    file.write_bytes(content)

    def read() -> Arrays:
        return read_checkpoint(tmp_path / "one").optimizer_state()

    with pytest.raises(RequestError) as refused:
        read()
    said = str(refused.value)
    assert said == f"{file}: damaged or changed after it was written: its SHA-256 differs from checkpoint.json's"
    without_digests(tmp_path / "one")
    assert read(), "an older checkpoint has none, and is read as ever"


def test_the_way_to_a_data_set_is_known_from_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever folder it is asked from, and where the whole project has moved; else it says where it looked."""
    write(tmp_path / "old" / "set" / "one")
    (tmp_path / "old" / "data.npz").write_bytes(b"")
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    read = read_checkpoint(tmp_path / "new" / "set" / "one")
    assert read.dataset() == "digits"
    manifest = read.manifest.model_copy(update={"dataset": "data.npz", "dataset_from_here": "../../data.npz"})
    read = replace(read, manifest=manifest)
    assert read.dataset() == str(tmp_path / "new" / "data.npz")
    (tmp_path / "new" / "data.npz").rename(tmp_path / "elsewhere" / "data.npz")
    assert read.dataset() == "data.npz"
    (tmp_path / "elsewhere" / "data.npz").unlink()
    with pytest.raises(RequestError, match=r"is neither .*/new/data.npz nor data.npz in the current folder: --dataset"):
        read.dataset()


def test_what_is_no_checkpoint_says_what_there_is(tmp_path: Path) -> None:
    write(tmp_path / "checkpoints" / "mine")
    for path, said in (
        (tmp_path / "checkpoints" / "mien", "did you mean 'mine'?"),
        (tmp_path / "checkpoints", "holds checkpoints; name one of them"),
        (tmp_path, "holds checkpoints; name one of them"),
        (tmp_path / "nowhere" / "x", "no such folder"),
        (tmp_path / "checkpoints" / "mine" / "recipe.yaml", "not a folder"),
        (tmp_path / "checkpoints" / "mine" / "native", "no checkpoint"),
    ):
        with pytest.raises(RequestError) as refused:
            read_checkpoint(path)
        assert said in str(refused.value)


@pytest.mark.parametrize(
    "words", [["evaluate", "--checkpoint"], ["predict", "--index", "0", "--checkpoint"], ["run", "--resume"]]
)
def test_a_broken_checkpoint_is_one_line_and_status_2(tmp_path: Path, words: list[str]) -> None:
    write(tmp_path / "one")
    model(lambda t: t.pop("linear_1.bias"))(tmp_path / "one")
    assert_one_line(harness(*words, str(tmp_path / "one")), "model.safetensors: lacks the tensor 'linear_1.bias'")


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.json"])
def test_no_mutation_does_more_than_being_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "one"
        write(place)
        sound = (place / name).read_bytes()

        @fuzz
        @given(mutated(sound))
        def check(content: bytes) -> None:
            (place / name).write_bytes(content)

            def read() -> Arrays:
                checkpoint: Checkpoint = read_checkpoint(place)
                return checkpoint.optimizer_state()

            accepts_or_refuses(read)

        check()
