"""The two notations of a DARTS architecture: JSON, and the `Genotype(…)` that papers print."""

import ast
import json
import reprlib
from typing import Any, NamedTuple

from spaces._darts_ops import BUILDERS
from spaces.base import ArchitectureError
from spaces.sketch import Graph, Kind, Vertex

KINDS = ("normal", "reduce")
NODES = (2, 3, 4, 5)
OPERATIONS = tuple(BUILDERS)

Entry = tuple[str, int]
"""An operation and the node it reads; 0 and 1 are the outputs of the two cells before."""

_LOOKS = {
    "none": Vertex("none", Kind.NONE),
    "max_pool_3x3": Vertex("max pool 3×3", Kind.POOLING),
    "avg_pool_3x3": Vertex("avg pool 3×3", Kind.POOLING),
    "skip_connect": Vertex("skip", Kind.IDENTITY),
    "sep_conv_3x3": Vertex("sep conv 3×3", Kind.CONVOLUTION, 3),
    "sep_conv_5x5": Vertex("sep conv 5×5", Kind.CONVOLUTION, 5),
    "dil_conv_3x3": Vertex("dil conv 3×3", Kind.CONVOLUTION, 3),
    "dil_conv_5x5": Vertex("dil conv 5×5", Kind.CONVOLUTION, 5),
}
_CONCATS = ("[2, 3, 4, 5]", "(2, 3, 4, 5)", "range(2, 6)", "list(range(2, 6))")
_SYNTAX_ERRORS = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


class Cells(NamedTuple):
    """Both cells, eight entries each: two for node 2, two for node 3, 4 and 5."""

    normal: tuple[Entry, ...]
    reduce: tuple[Entry, ...]


def canonical_cells(normal: Any, reduce: Any) -> Cells:
    """Sort two lists of pairs into canonical cells. Raises ArchitectureError.

    A node adds its two entries, so their order does not matter: they are sorted by input, then by
    operation name. The input of `none` does not matter either, so it is 0.
    """
    return Cells(_canonical_cell("normal", normal), _canonical_cell("reduce", reduce))


def parse(text: str) -> Cells:
    """Read either notation. Raises ArchitectureError."""
    read = _read_genotype if text.lstrip().startswith("Genotype") else _read_json
    return canonical_cells(**read(text))


def to_json(cells: Cells) -> str:
    """Write `{"normal":[[op,input],…],"reduce":[…]}` without spaces."""
    return json.dumps(cells._asdict(), separators=(",", ":"))


def to_genotype(cells: Cells) -> str:
    """Write `Genotype(normal=[(op, input), …], normal_concat=[2, 3, 4, 5], reduce=…, …)`."""
    fields = ", ".join(
        f"{kind}={list(entries)}, {kind}_concat={list(NODES)}"
        for kind, entries in cells._asdict().items()
    )
    return f"Genotype({fields})"


def graph(title: str, cell: tuple[Entry, ...]) -> Graph:
    """The cell as a graph, an operation being a vertex between the nodes."""
    vertices = [Vertex(f"cell k−{k}", Kind.TERMINAL) for k in (2, 1)]
    vertices += [Vertex(str(node), Kind.NODE) for node in NODES]
    output = len(vertices)
    vertices.append(Vertex("output", Kind.TERMINAL))
    edges = [(node, output) for node in NODES]
    for i, (operation, source) in enumerate(cell):
        edges += [(source, len(vertices)), (len(vertices), NODES[i // 2])]
        vertices.append(_LOOKS[operation])
    return Graph(title, tuple(vertices), tuple(edges))


def _read_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ArchitectureError(f"{reprlib.repr(text)} is neither JSON nor a Genotype") from None
    if not isinstance(value, dict) or set(value) != set(KINDS):
        raise ArchitectureError('the JSON must have the form {"normal":[…],"reduce":[…]}')
    return value


def _read_genotype(text: str) -> dict[str, Any]:
    """Read the two cells of a `Genotype(…)` as literals; nothing is evaluated."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except _SYNTAX_ERRORS:
        raise ArchitectureError(f"{reprlib.repr(text)} is no valid Python") from None
    expected = sorted(KINDS + tuple(f"{kind}_concat" for kind in KINDS))
    keywords = call.keywords if isinstance(call, ast.Call) and not call.args else []
    if sorted(str(keyword.arg) for keyword in keywords) != expected:
        raise ArchitectureError(f"a Genotype(…) needs these named fields: {', '.join(expected)}")
    values = {str(keyword.arg): keyword.value for keyword in keywords}
    for kind in KINDS:
        try:
            concat = ast.unparse(values[f"{kind}_concat"])
        except RecursionError:
            concat = "nested deeper than any of the known"
        if concat not in _CONCATS:
            raise ArchitectureError(f"{kind}_concat must be [2, 3, 4, 5]")
    try:
        return {kind: ast.literal_eval(values[kind]) for kind in KINDS}
    except _SYNTAX_ERRORS:
        raise ArchitectureError("the cells of a Genotype(…) must be lists of literals") from None


def _canonical_cell(kind: str, value: Any) -> tuple[Entry, ...]:
    if not isinstance(value, list | tuple) or len(value) != 2 * len(NODES):
        raise ArchitectureError(f"the {kind} cell must be a list of 8 pairs [operation, input]")
    entries = [_entry(kind, 2 + i // 2, pair) for i, pair in enumerate(value)]
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return tuple(e for pair in pairs for e in sorted(pair, key=lambda entry: entry[::-1]))


def _entry(kind: str, node: int, pair: Any) -> Entry:
    place = f"node {node} of the {kind} cell"
    if not isinstance(pair, list | tuple) or [type(part) for part in pair] != [str, int]:
        raise ArchitectureError(f"{place} must have pairs [operation, input]")
    operation, source = pair
    if operation not in OPERATIONS:
        known = ", ".join(OPERATIONS)
        raise ArchitectureError(
            f"{place} has an unknown operation {reprlib.repr(operation)}; known are: {known}"
        )
    if not 0 <= source < node:
        raise ArchitectureError(f"{place} must read an input from 0 to {node - 1}")
    return operation, 0 if operation == "none" else source
