from pathlib import Path

import pytest

import spaces
from app.errors import InputError
from app.rank.table import read_table

CELL = "|{0}~0|+|{0}~0|{0}~1|+|{0}~0|{0}~1|{0}~2|"
SKIP, POOL = CELL.format("skip_connect"), CELL.format("avg_pool_3x3")


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_rows_keep_order_and_duplicates(tmp_path: Path) -> None:
    path = written(tmp_path, f"acc,arch\n1,{SKIP}\n2.5,{POOL}\n3,{SKIP}\n", "utf-8-sig")
    table = read_table(path, "acc")
    assert [(row.arch, row.accuracy) for row in table.rows] == [(SKIP, 1), (POOL, 2.5), (SKIP, 3)]
    assert table.archs == [SKIP, POOL]


def test_quoted_commas_and_line_breaks_are_read_and_lines_counted(tmp_path: Path) -> None:
    path = written(tmp_path, 'arch,note,acc\n"a,b","two\nlines",1\nc,,oops\n')
    with pytest.raises(InputError, match=r"row 2 \(line 4\): acc is 'oops'"):
        read_table(path, "acc")


@pytest.mark.parametrize("text", ["", "nan", "inf", "12 %", "1,000"])
def test_an_accuracy_that_is_no_finite_number_is_named(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, f'arch,acc\nx,1\ny,"{text}"\n')
    with pytest.raises(InputError, match=r"row 2 \(line 3\): acc is '.*', which is not a finite"):
        read_table(path, "acc")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column 'arch'; its columns: none"),
        ("acc,cell\n1,x\n", "no column 'arch'; its columns: acc, cell"),
        ("arch,cifar10,cifar100\n", "no column 'acc'; its columns: arch, cifar10, cifar100"),
        ("arch,acc\n", "has 0 rows"),
        ("arch,acc\nx,1\n", "at least 2"),
        ("acc,arch\n1,x\n2\n3", r"row 3 \(line 4\): not an architecture of nasbench201"),
    ],
)
def test_what_cannot_be_ranked(tmp_path: Path, text: str, complaint: str) -> None:
    space = spaces.create("nasbench201", 10, 16, {})
    text = text.replace(",x", f",{SKIP}").replace("\n2\n", f"\n2,{POOL}\n")
    with pytest.raises(InputError, match=complaint):
        read_table(written(tmp_path, text), "acc").canonical(space)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = written(tmp_path, "arch,acc\nä,1\n", "latin-1")
    for path in (tmp_path / "missing.csv", tmp_path, latin):
        with pytest.raises(InputError, match="cannot read the table"):
            read_table(path, "acc")


def test_architectures_become_canonical(tmp_path: Path) -> None:
    space = spaces.create("mobilenet", 10, 32, {})
    arch, spaced = ",".join("0" * 21), " , ".join("0" * 21)
    path = written(tmp_path, f'arch,acc\n"{arch}",1\n"{spaced}",2\n')
    assert read_table(path, "acc").canonical(space).archs == [arch]


def test_sample_is_seeded_ordered_and_at_most_everything(tmp_path: Path) -> None:
    path = written(tmp_path, "arch,acc\n" + "".join(f"a{i},{i}\n" for i in range(50)))
    table = read_table(path, "acc")
    sample = table.sample(10, seed=0)
    drawn = [row.accuracy for row in sample.rows]
    assert len(drawn) == 10
    assert drawn == sorted(drawn)
    assert table.sample(10, seed=0) == sample != table.sample(10, seed=1)
    assert table.sample(99, seed=0) == table
