"""No way to run code that a file brings along."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "read_pickle"}


def findings(source: str) -> Iterator[str]:
    """What reads objects of any kind, or runs text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & FORBIDDEN_MODULES:
                yield f"line {node.lineno}: import"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {k.arg: k.value for k in node.keywords}
            if name in FORBIDDEN_CALLS or name.endswith(".read_pickle"):
                yield f"line {node.lineno}: {name}"
            if name == "torch.load" and not _is(options.get("weights_only"), True):
                yield f"line {node.lineno}: torch.load without weights_only=True"
            if name in ("np.load", "numpy.load") and "allow_pickle" in options:
                yield f"line {node.lineno}: numpy.load with allow_pickle"
            if _is(options.get("shell"), True):
                yield f"line {node.lineno}: a shell"


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


SOURCES = [*(ROOT / "app").rglob("*.py"), *(ROOT / "spaces").rglob("*.py"), ROOT / "main.py"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_or_evaluates(path: Path) -> None:
    assert not list(findings(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from joblib import load", "torch.load(f)", "eval(text)"),
        *("torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)"),
        *("subprocess.run(x, shell=True)", "pd.read_pickle(f)"),
    ],
)
def test_the_search_finds_what_it_is_for(line: str) -> None:
    assert list(findings(line))
