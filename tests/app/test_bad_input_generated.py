"""Generated input to every parser: it is read, or refused in one line."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spaces
from app.atomic import DamagedError
from app.cli import main
from app.database import parse_url, shown, sqlite_url
from app.errors import InputError
from app.rank.store import ScoreFile
from app.rank.table import read_table
from app.scores.reference import Reference
from app.storage import check_database
from app.study_file import load_config
from app.supernet.checkpoint import load_checkpoint
from spaces import ArchitectureError, Space
from tests.app.test_bad_input import contents
from tests.conftest import SMALL_STUDY
from tests.postgresql import PASSWORD

GENERATED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.text(max_size=40)
SCALARS = st.one_of(
    *(st.integers(), st.floats(), st.booleans(), TEXT, st.just([]), st.just({})),
    st.sampled_from([10**30, "80M", "1e9", "auto", "sqlite:///x", "../x"]),
)
FIELDS = st.sampled_from(
    [
        *("name", "space", "dataset", "image_size", "batchnorm", "seed", "device", "runs"),
        *("storage", "data_dir", "supernet", "supernet.steps", "supernet.learning_rate"),
        *("supernet.momentum", "score.images", "score.reference", "search.trials"),
        *("search.max_flops", "search.population", "space_options.channels", "space_options"),
    ]
)
SPACES = [name for name in spaces.names() if not name.endswith("toy")]


def read_or_refused(read: Callable[[], object]) -> None:
    """What a parser may do."""
    try:
        read()
    except (InputError, DamagedError) as error:
        assert str(error).strip()


def mutated(text: str) -> st.SearchStrategy[str]:
    """`text` with a piece of it replaced by another text."""
    cut = st.integers(0, len(text))
    return st.builds(lambda a, b, new: text[: min(a, b)] + new + text[max(a, b) :], cut, cut, TEXT)


@GENERATED
@given(text=st.one_of(TEXT, mutated(SMALL_STUDY)))
def test_study_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    read_or_refused(lambda: load_config(str(path)))


@GENERATED
@given(values=st.dictionaries(FIELDS, SCALARS, max_size=4))
def test_fields(values: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(SMALL_STUDY)
    read_or_refused(lambda: load_config(str(path), values))


@GENERATED
@given(
    options=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *("--trials", "--seed", "--max-flops", "--batchnorm", "--sampler", "--set"),
                    *("--space", "--image-size", "--train-steps", "--study-name", "--device"),
                ]
            ),
            st.one_of(TEXT, st.builds("{}={}".format, FIELDS, SCALARS)),
        ),
        max_size=4,
    )
)
def test_command_lines(
    options: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever else is given, a data set that does not exist is the end of it."""
    path = tmp_path / "study.toml"
    path.write_text(SMALL_STUDY)
    before = contents(tmp_path)
    given_ = [part for option in options for part in option]
    fixed = ["--study", str(path), "--runs", str(tmp_path / "runs"), "--dataset", "/no/such"]
    assert main([*given_, *fixed]) == 2
    said = capsys.readouterr().err
    assert sum(line.startswith("error: ") for line in said.splitlines()) == 1
    assert "Traceback" not in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", SPACES)
@GENERATED
@given(data=st.data())
def test_architectures(name: str, data: st.DataObject) -> None:
    space: Space = spaces.create(name, 10, 32, {})
    good = space.sample(Random(data.draw(st.integers(0, 99))))
    alphabet = string.printable + "Genotype()[]'\"{}|~+-,:01"
    text = data.draw(st.one_of(mutated(good), st.text(alphabet, max_size=60), TEXT))
    try:
        canonical = space.canonical(text)
    except ArchitectureError as error:
        assert str(error).strip()
    else:
        assert space.canonical(canonical) == canonical


GENOTYPE = (
    "Genotype(normal={0}, normal_concat=[2, 3, 4, 5], reduce={1}, reduce_concat=[2, 3, 4, 5])"
)


@pytest.mark.parametrize(
    "text",
    [
        *(GENOTYPE.format('f\'{"""\n"""}\'', "[]"), GENOTYPE.format("[" * 300, "]" * 300)),
        *(GENOTYPE.format("-" * 5000 + "1", "[]"), GENOTYPE.format("9" * 5000, "[]")),
        GENOTYPE.format("[]", "[]").replace("[2, 3, 4, 5]", 'f\'{"""\n"""}\''),
        GENOTYPE.format("[]", "[]").replace("[2, 3, 4, 5]", "-" * 3000 + "1"),
        *("Genotype", "Genotype(", "Genotype(*a)", "Genotype(**a)", "Genotype(\0)"),
        *('{"normal":' + "[" * 9999, '{"normal":' + "9" * 9999 + ',"reduce":[]}'),
        *('{"normal":1e999,"reduce":NaN}', '{"normal":[],"normal":[],"reduce":"\\ud800"}'),
    ],
)
def test_odd_genotypes(text: str) -> None:
    with pytest.raises(ArchitectureError):
        spaces.create("darts", 10, 32, {}).canonical(text)


@GENERATED
@given(url=st.one_of(TEXT, mutated("postgresql://user@host:5432/name?x=1")))
def test_storages(url: str) -> None:
    read_or_refused(lambda: parse_url(url))


@GENERATED
@given(host=TEXT, name=TEXT)
def test_passwords_are_never_shown(host: str, name: str) -> None:
    """Wherever the rest of the URL leads."""
    try:
        said = shown(parse_url(f"postgresql://user:{PASSWORD}@{host}/{name}"))
    except InputError as error:
        said = str(error)
    assert PASSWORD not in said


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), TEXT),
    lambda x: st.one_of(st.lists(x, max_size=3), st.dictionaries(TEXT, x, max_size=3)),
    max_leaves=6,
)
KEYS = st.sampled_from(["definition", "scores", "seconds", "checksum", "arch", "hardware"])
FILES = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda v: json.dumps(v).encode(), st.dictionaries(KEYS, JSON)),
    st.lists(st.dictionaries(KEYS, JSON).map(json.dumps), max_size=3).map(
        lambda lines: "\n".join([*lines, ""]).encode()
    ),
    mutated("arch,acc\na,1\nb,2\n").map(lambda t: t.encode("utf-8", "surrogatepass")),
)


@GENERATED
@given(content=FILES)
def test_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for read in (
        lambda: Reference.load(path),
        lambda: ScoreFile(path, {}, "cpu"),
        lambda: read_table(path, "acc"),
        lambda: load_checkpoint(path),
        lambda: check_database(sqlite_url(path)),
    ):
        path.write_bytes(content)
        read_or_refused(read)
