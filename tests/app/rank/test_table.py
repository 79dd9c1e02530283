from pathlib import Path

import pytest

import spaces
from app.errors import InputError
from app.rank.table import canonical, read_table, sample

CELL = "|{0}~0|+|{0}~0|{0}~1|+|{0}~0|{0}~1|{0}~2|"
SKIP, POOL = CELL.format("skip_connect"), CELL.format("avg_pool_3x3")


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n")])
def test_byte_order_marks_line_ends_and_blank_lines_do_not_matter(
    tmp_path: Path, encoding: str, end: str
) -> None:
    lines = ["acc,arch", f"1,{SKIP}", "", f"2.5,{POOL}", ""]
    table = read_table(written(tmp_path, end.join(lines), encoding), "acc")
    assert [(row.arch, row.accuracy) for row in table] == [(SKIP, 1), (POOL, 2.5)]


def test_rows_of_one_architecture_are_averaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, f"acc,arch\n1,{SKIP}\n2.5,{POOL}\n4,{SKIP}\n")
    table = canonical(read_table(path, "acc"), spaces.create("nasbench201", 10, 16, {}))
    assert [(row.arch, row.accuracy) for row in table] == [(SKIP, 2.5), (POOL, 2.5)]
    assert "3 rows name 2 different architectures" in capsys.readouterr().err


def test_isomorphic_cells_are_one_architecture(tmp_path: Path) -> None:
    space = spaces.create("nasbench101", 10, 32, {})
    # input → 3×3 and 1×1 → output, with the two operations in either order, and a longer chain
    branches = ["110011:conv3x3-bn-relu|conv1x1-bn-relu", "110011:conv1x1-bn-relu|conv3x3-bn-relu"]
    chain = "100101:conv3x3-bn-relu|conv1x1-bn-relu"
    rows = zip([*branches, chain], (90, 92, 80), strict=True)
    path = written(tmp_path, "arch,acc\n" + "".join(f"{arch},{acc}\n" for arch, acc in rows))
    table = canonical(read_table(path, "acc"), space)
    assert [row.accuracy for row in table] == [91, 80]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(InputError, match="are the same architecture of nasbench101"):
        canonical(read_table(path, "acc"), space)


def test_quoted_commas_and_line_breaks_are_read_and_lines_counted(tmp_path: Path) -> None:
    path = written(tmp_path, 'arch,note,acc\n"a,b","two\nlines",1\nc,,oops\n')
    with pytest.raises(InputError, match=r"line 4: acc is 'oops'"):
        read_table(path, "acc")


@pytest.mark.parametrize("text", ["", "nan", "-inf", "1e999", "12 %", "1,000"])
def test_an_accuracy_that_is_no_finite_number_is_named(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, f'arch,acc\nx,1\ny,"{text}"\n')
    with pytest.raises(InputError, match=r"line 3: acc is '.*', which is not a finite"):
        read_table(path, "acc")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column 'arch'; its columns: none"),
        ("acc,cell\n1,x\n", "no column 'arch'; its columns: acc, cell"),
        ("arch,cifar10,cifar100\n", "no column 'acc'; its columns: arch, cifar10, cifar100"),
        ("arch,acc\n", "has 0 rows"),
        ("arch,acc\nx,1\n", "at least 2"),
        ("acc,arch\n1,x\n2\n3", r"line 4: not an architecture of nasbench201"),
    ],
)
def test_what_cannot_be_ranked(tmp_path: Path, text: str, complaint: str) -> None:
    space = spaces.create("nasbench201", 10, 16, {})
    text = text.replace(",x", f",{SKIP}").replace("\n2\n", f"\n2,{POOL}\n")
    with pytest.raises(InputError, match=complaint):
        canonical(read_table(written(tmp_path, text), "acc"), space)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = written(tmp_path, "arch,acc\nä,1\n", "latin-1")
    for path in (tmp_path / "missing.csv", tmp_path, latin):
        with pytest.raises(InputError, match="cannot read the table"):
            read_table(path, "acc")


def test_architectures_become_canonical(tmp_path: Path) -> None:
    space = spaces.create("mobilenet", 10, 32, {})
    arch, spaced, other = ",".join("0" * 21), " , ".join("0" * 21), ",".join("1" * 21)
    path = written(tmp_path, f'arch,acc\n"{spaced}",1\n"{other}",2\n')
    rows = canonical(read_table(path, "acc"), space)
    assert [row.arch for row in rows] == [arch, other]


def test_sample_is_seeded_ordered_and_at_most_everything(tmp_path: Path) -> None:
    path = written(tmp_path, "arch,acc\n" + "".join(f"a{i},{i}\n" for i in range(50)))
    table = read_table(path, "acc")
    drawn = sample(table, 10, seed=0)
    assert len(drawn) == 10
    assert drawn == sorted(drawn, key=lambda row: row.accuracy)
    assert sample(table, 10, seed=0) == drawn != sample(table, 10, seed=1)
    assert sample(table, 99, seed=0) == table
