"""Bad input of every kind: one line, exit status 2, no traceback, and nothing written.

Listed by hand here; what is generated is in `test_bad_input_generated.py`.
"""

from pathlib import Path

import pytest

from app.cli import main
from tests.conftest import SMALL_STUDY

LONG = 5000
HEX = "0x" + "f" * LONG
DIGITS = "9" * LONG

DEVICES = (
    *("cuda:99", "cuda:99999999999999999999", "cuda:-1", "cpu:x", "mps", "xla", "hpu", "maia"),
    *("vulkan", "fpga", "ort", "privateuseone", "mkldnn", "opengl", "ideep", "hip", "ve", "lazy"),
    *("mtia", "xpu", "ipu", "meta:0", "CPU", "", "\0"),
)

STORAGES = (
    *("", "x", "sqlite://", "sqlite:///", "sqlite:///:memory:", "foo://x", "http://x"),
    *("redis://localhost", "sqlite+foo:///x.db", "postgresql://host:port/db", "\0"),
    *("mysql://user:secret@host/x", "postgresql://user:secret@[::1/x"),
    *("postgresql://user:secret@host:99999999/x", "nodb://host/x?password=secret"),
    "mysql+nosuch://host/x?passwd=secret&charset=utf8",
    *("sqlite:////no/such/folder/x.db", "sqlite:///{folder}", "sqlite:///{folder}/small.toml"),
    *("sqlite:///{folder}/x.db?timeout=abc", "sqlite:///{folder}/x.db?nosuch=1"),
    "sqlite:///file:{folder}/x?mode=memory&uri=true",
    "sqlite:///file:{folder}/absent.db?mode=ro&uri=true",
    *("sqlite:///{folder}/\0.db", "sqlite:///" + "a" * LONG),
)

ASSIGNMENTS = (
    *("a.b.c.d=1", "=1", ".=1", "seed=", "seed=[", "seed=2147483648", "seed=-1"),
    *("seed=1\nx=2", "seed=1979-05-27", f"seed={DIGITS}", f"seed={HEX}", "seed=" + "[" * LONG),
    *("supernet=1", "supernet.=1", "supernet..steps=1", "supernet.steps=1e400"),
    *("supernet.steps=-1", "supernet.steps=1.5", "supernet.batch_size=5000"),
    *("supernet.batch_size=1", f"supernet.batch_size={10**30}", "supernet.momentum=1"),
    *("supernet.learning_rate=0", "supernet.learning_rate=inf", "supernet.weight_decay=nan"),
    *("supernet.gradient_clip=-1", "supernet.label_smoothing=1.0", "supernet.augment='perhaps'"),
    *("supernet.space_options=1", "supernet.space_options.nosuch=1"),
    *("supernet.space_options.channels=0", "space_options=1", "space_options.nosuch=1"),
    *("space_options.channels=-1", "space_options.channels=0", "space_options.channels='x'"),
    *("space_options.channels=[1]", "space_options.channels=1e300", "space_options.channels=nan"),
    *("space_options.channels=true", f"space_options.channels={10**11}"),
    *(f"space_options.channels={10**30}", f"supernet.space_options.channels={10**11}"),
    *("score.images=7", "score.images='all'", "score.reference=7", f"score.reference={10**17}"),
    *("search.population=3", "search.trials=1.5", "search.trials=nan", "search.trials=0"),
    *("search.sampler=5", 'search.sampler="NSGA2"', "search.max_flops=inf"),
    *("search.max_flops=nan", "search.max_flops='1.2.3M'", "search.max_flops=...k"),
    *("name=studies.db", "name=studies.db-wal", "name=a/b", "name=.", "name=..", 'name=""'),
    *('name="a\\n"', "name=-x", 'runs="\\u0000"', 'data_dir="\\u0000"', "data_dir=5", "runs=[]"),
    *("dataset=''", 'dataset="\\u0000"', "dataset=5", 'storage="\\u0000"', "storage=5"),
    *('device="\\u0000"', "device=5", 'space="\\u0000"', "space=[]", "batchnorm=1"),
    *("image_size=[]", "image_size=7", "image_size=1025", "x" * LONG + "=1", "x={a=1}", "x"),
)

OPTIONS = (
    *(("--runs", "a" * LONG), ("--runs", "{folder}/small.toml"), ("--runs", "/proc/nosuch")),
    *(("--runs", "{folder}/\0"), ("--study", ""), ("--study", ".toml"), ("--study", "\0.toml")),
    *(("--study", "x" * LONG + ".toml"), ("--study", "{folder}"), ("--study", "../mobilenet")),
    *(("--dataset", "a" * LONG), ("--dataset", "~nosuchuser/x"), ("--dataset", "\0")),
    *(("--dataset", "{folder}/small.toml"), ("--dataset", "{folder}"), ("--dataset", "")),
    *(("--image-size", "1e3"), ("--image-size", "-1"), ("--image-size", DIGITS)),
    *(("--trials", ""), ("--trials", f"-{DIGITS}"), ("--seed", "x"), ("--seed", DIGITS)),
    *(("--max-flops", ""), ("--max-flops", "80X"), ("--max-flops", "0"), ("--max-flops", "-0")),
    *(("--max-flops", "1e400"), ("--max-flops", "M"), ("--max-flops", "1" * LONG + "M")),
    *(("--study-name", "a" * 101), ("--study-name", ""), ("--study-name", " ")),
    *(("--study-name", "lock\n"), ("--space", ""), ("--sampler", ""), ("--batchnorm", "")),
    *(("--train-steps", "1.5"), ("--train-steps",), ("--nosuch",), ("--trials", "1", "stray")),
)

STUDIES = (
    *("", "x", "= 1", "\0", "space = [", "space = 'toy'\nspace = 'toy'", "space = 'toy'\nx = 1"),
    *("[search]\ntrials = 1", "space = 'toy'\nsearch = 1", "space = 'toy'\nsupernet = []"),
    *("space = 'toy'\n[[supernet]]\nsteps = 1", f"space = 'toy'\nseed = {DIGITS}"),
    *(f"space = 'toy'\nseed = {HEX}", f"space = 'toy'\nx = {'[' * LONG}"),
    *("space = 1", "space = {a = 1}", "space = 'toy'\nname = 'x y'", "space = 'toy'\nruns = 1"),
    *("space = 'toy'\nruns = \"\\u0000\"", "space = 'toy'\nseed = 1979-05-27", "a.b.c = 1"),
    *("space = 'toy'\nseed = nan", "space = 'toy'\nstorage = 'x'", "space = 'nosuch'"),
    *("space = 'toy'\nspace_options = {channels = 1.5}", "space = 'toy'\n[seed]\nx = 1"),
    *("space = 'toy'\nsearch.max_flops = {}", "space = 'toy'\nsearch.trials = 07:32:00"),
)

TABLES = (
    *("", "arch", "arch,acc", "arch,acc\n", "arch,acc\nconv1-conv1-conv1,1\n", "acc\n1\n2\n"),
    *("arch,acc\nconv1-conv1-conv1,1\nx,2\n", "arch,acc\nconv1-conv1-conv1,1\n,2\n"),
    *("arch,acc\nconv1-conv1-conv1,1\nskip-skip-skip,2\n", "arch,acc\n\0,1\n"),
    *("arch,acc\nconv1-conv1-conv1,1\nconv1-conv1-conv3,nan\n", "arch;acc\nx;1\ny;2\n"),
    *("arch,acc\nconv1-conv1-conv1,1\nconv1-conv1-conv3,\n", f'arch,acc\n"{"x" * 200_000}",1\n'),
    *("arch,acc\nconv1-conv1-conv1,1\nconv1-conv1-conv3\n", "arch,acc\na,1e999\nb,2\n"),
)

RANK = (
    *(("--scores", ""), ("--scores", "nosuch"), ("--scores", "composite,"), ("--sample", "1")),
    *(("--sample", "x"), ("--column", "nosuch"), ("--column", ""), ("--table", "{folder}")),
    *(("--table", "{folder}/absent.csv"), ("--table", "\0"), ("--json", "{folder}")),
    *(("--json", "/proc/nosuch/x.json"), ("--json", "{folder}/small.toml/x.json")),
    *(("--json", "a" * LONG), ("--no-baselines", "--scores", "zen")),
)

ABSENT = "sqlite:///absent.db"

COMMANDS = (
    *(("nosuch",), ("studies", "--trials", "1"), ("studies", "stray"), ("rank",)),
    *(
        ("studies", "--storage", "x"),
        ("studies", "--runs", "a" * LONG),
        ("studies", "--runs", "\0"),
    ),
    *(
        ("dashboard", "--runs", "{folder}"),
        ("dashboard", "--port", "0"),
        ("dashboard", "--port", "x"),
    ),
    *(("dashboard", "--port", "70000"), ("dashboard", "--runs", "a" * LONG)),
    *(("dashboard", "--storage", "sqlite:///:memory:"), ("--seed", "1", "studies")),
    *(("dashboard", "--storage", ABSENT), ("studies", "--storage", ABSENT)),
    *(("worker", "--study", "x"), ("worker", "--study", "x", "--storage", ABSENT)),
    *(("retrain", "--study", "small.toml", "--trial", "5"),),
    *(("retrain", "--study", "small.toml", "--trial", "5", "--storage", ABSENT),),
    *(("export", "--study", "small.toml", "--trial", "5", "--out", "x.pt2"),),
)


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def refuse(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused without a trace; returns what it says."""
    before = contents(folder)
    error = refusal([argument.replace("{folder}", str(folder)) for argument in arguments], capsys)
    assert contents(folder) == before
    return error


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused in one line, and return it."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said.err
    assert 10 < len(errors[0]) < 1000
    assert "Traceback" not in said.err + said.out
    assert "secret" not in said.err + said.out
    return errors[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: what a relative path would be written to."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_STUDY)
    (tmp_path / "good.csv").write_text("arch,acc\nconv1-conv1-conv1,1\nconv1-conv1-conv3,2\n")
    return tmp_path


def run_with(*more: str) -> list[str]:
    return ["--study", "small.toml", "--runs", "runs", *more]


@pytest.mark.parametrize("device", DEVICES)
def test_devices(device: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "device" in refuse(run_with("--device", device), folder, capsys)


@pytest.mark.parametrize("url", STORAGES)
def test_storages(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse(run_with("--storage", url), folder, capsys)


@pytest.mark.parametrize("text", ASSIGNMENTS)
def test_assignments(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse(run_with("--set", text), folder, capsys)


@pytest.mark.parametrize("options", OPTIONS)
def test_options(
    options: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(run_with(*options), folder, capsys)


@pytest.mark.parametrize("text", STUDIES)
def test_study_files(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "small.toml").write_text(text, encoding="utf-8")
    refuse(["--study", "small.toml"], folder, capsys)


@pytest.mark.parametrize("text", TABLES)
def test_tables(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "table.csv").write_text(text)
    arguments = run_with("--table", "table.csv", "--column", "acc")
    assert "table.csv" in refuse(["rank", *arguments], folder, capsys)


@pytest.mark.parametrize("options", RANK)
def test_rank(options: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = run_with("--table", "good.csv", "--column", "acc", *options)
    refuse(["rank", *arguments], folder, capsys)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands(
    arguments: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(list(arguments), folder, capsys)
