"""The documents say what there is: every field of every spec, every command, and links that lead somewhere."""

from __future__ import annotations

import re
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from harness.cli import app
from harness.export.forms import forms
from harness.planning.study import Study
from specs.architecture import Architecture
from specs.augmentation import Augmentation, Elastic, Erasing
from specs.initializers import DISTRIBUTIONS, Initializer
from specs.layers import LAYERS
from specs.nest import NESTS
from specs.optimizers import OPTIMIZERS
from specs.recipe import Preprocessing, Recipe
from specs.schedule import SCHEDULES
from specs.shapes import infer

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SPECS = (ROOT / "docs" / "specs.md").read_text()


def rows_of(name: str) -> str:
    """The rows of tables whose first cell names ``name``."""
    return "\n".join(line for line in SPECS.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1])


@pytest.mark.parametrize("kind", [*LAYERS, *NESTS, *OPTIMIZERS, *SCHEDULES, *DISTRIBUTIONS])
def test_every_kind_is_described_with_its_fields(kind: str) -> None:
    cls = (LAYERS | NESTS | OPTIMIZERS | SCHEDULES | DISTRIBUTIONS)[kind]
    described = rows_of(kind)
    assert described, f"no row of a table starts with {kind}"
    if kind == "adamw":  # "as adam"
        described += rows_of("adam")
    if kind in OPTIMIZERS:  # said once for all
        described += rows_of("decay") + rows_of("clip_norm")
    if kind in SCHEDULES:
        described += SPECS[SPECS.index("### `learning_rate_schedule`") :]
    for field in fields(cls):
        assert f"`{field.name}`" in described, f"{kind}: {field.name} is not described"


@pytest.mark.parametrize(
    "cls", [Architecture, Recipe, Initializer, Preprocessing, Augmentation, Elastic, Erasing, Study]
)
def test_every_field_of_a_spec_is_described(cls: type) -> None:
    rows = "\n".join(line for line in SPECS.splitlines() if line.startswith("|"))
    for field in fields(cls):
        assert f"`{field.name}`" in rows, f"{cls.__name__}: {field.name} is not described"


def test_the_examples_of_the_spec_format_are_specs(tmp_path: Path) -> None:
    from harness.planning.study import load_study
    from specs.loading import load_architecture, load_recipe

    blocks = [block for block in indented_blocks(SPECS) if block.startswith("name: ")]
    for name, block in zip(("my_net.yaml", "my_recipe.yaml", "study.yaml"), blocks, strict=True):
        (tmp_path / name).write_text(block)
    assert load_architecture(tmp_path / "my_net.yaml").name == "my_net"
    (nest,) = (block for block in indented_blocks(SPECS) if block.startswith("layers:"))
    (tmp_path / "nest.yaml").write_text(f"name: nest\n{nest}")
    assert len(infer(load_architecture(tmp_path / "nest.yaml"))) == 22
    assert load_recipe(tmp_path / "my_recipe.yaml").augmentation.active
    assert load_study(tmp_path / "study.yaml").repeats == 3


def indented_blocks(text: str) -> list[str]:
    """Code blocks of a document: runs of lines indented by four spaces, empty lines within them kept."""
    runs = re.findall(r"(?:^ {4}.*\n|^\n)+", f"{text}\n", flags=re.MULTILINE)
    return [textwrap.dedent(run.strip("\n")) + "\n" for run in runs if run.strip("\n")]


def test_every_export_form_is_described() -> None:
    text = (ROOT / "docs" / "export.md").read_text()
    for name in forms():
        assert f"| `{name}` |" in text


def test_both_readmes_say_the_same() -> None:
    """Equal commands and equal links, each to the other."""
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    for pattern in (r"python -m harness [a-z -]+", r"\]\((docs/[^)]+)\)", r"make [a-z]+", r"^#+"):
        said = [sorted(set(re.findall(pattern, text, flags=re.MULTILINE))) for text in (english, chinese)]
        assert said[0] == said[1]
    assert "(README.zh-CN.md)" in english
    assert "(README.md)" in chinese


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_rows_of_tables_stand_together(document: Path) -> None:
    """The second line of every run of rows separates the head: rows behind an empty line are no table."""
    for table in re.findall(r"(?:^\|.*\n)+", f"{document.read_text()}\n", flags=re.MULTILINE):
        assert re.fullmatch(r"[|\s:-]+", "\n".join(table.splitlines()[1:2]) or "no row"), table.splitlines()[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_the_documents_are_commands(document: Path) -> None:
    import typer

    command = typer.main.get_command(app)
    for line in re.findall(r"python -m harness ([^\n`]+)", document.read_text()):
        name = line.split()[0].strip("().,;:")
        if re.fullmatch(r"[a-z-]+", name):
            assert name in command.commands, f"{document.name}: python -m harness {line}"
