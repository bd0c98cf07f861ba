"""Texts and their tf-idf features, against scikit-learn where it is installed and against the formula by hand."""

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data.sources import resolve_data
from pnc.data.text import TextData, TfIdf
from pnc.data.text_files import load_text
from pnc.errors import InvalidInputError

quick = settings(deadline=None, max_examples=60)
ROWS = [
    ("the wheat price, it rose", "grain"),
    ('she said "no"\nand left', "talk"),
    ("the the ship — Änderung", "ship"),
    ("wheat ship", "grain"),
]
# words with accents, digits, underscores and signs between them
texts = st.lists(st.text("abAB1_éß -'.\n", max_size=25), min_size=1, max_size=8)


def write_rows(path, rows=ROWS, names=("text", "label")):
    with open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            for text, label in rows:
                file.write(json.dumps({names[0]: text, "more": [1], names[1]: label}, ensure_ascii=False) + "\n\n")
        else:
            writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerow([names[0], "more", names[1]])
            writer.writerows([text, "x", label] for text, label in rows)
    return path


def refused(match, *args, **options):
    with pytest.raises(InvalidInputError, match=match) as caught:
        load_text(*args, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("names", [("text", "label"), ("body", "topic")])
def test_every_format(tmp_path, ending, names):
    data = load_text(write_rows(tmp_path / f"news{ending}", names=names), text=names[0], label=names[1])
    assert data.texts == tuple(text for text, _ in ROWS)
    assert data.class_names == ("grain", "ship", "talk")
    assert data.y.tolist() == [0, 2, 1, 0]
    assert data.name == "news"


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_labels_that_are_numbers_stay(tmp_path, ending):
    rows = [("one text", 2), ("two text", 0), ("three text", 10), ("four", 1)]
    data = load_text(write_rows(tmp_path / f"a{ending}", rows))
    assert data.y.tolist() == [2, 0, 3, 1]
    assert data.notes == ("labels [0, 1, 2, 10] were renumbered 0…3",)
    assert data.class_names == ("0", "1", "2", "10")


def test_a_byte_order_mark(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufefftext,label\nä,x\nb,y\n".encode())
    assert load_text(tmp_path / "a.csv").texts == ("ä", "b")


def test_a_long_article(tmp_path):
    before = csv.field_size_limit()
    rows = [("word " * 100_000, "a"), ("b", "b")]
    assert len(load_text(write_rows(tmp_path / "a.csv", rows)).texts[0]) == 500_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.txt", b"", "expected a .csv, .tsv, .jsonl file"),
        ("a.csv", b"", "0 classes|no text"),
        ("a.csv", b"text,label\n", "0 classes"),
        ("a.csv", b"text,label\na,x\n", "1 class in"),
        ("a.csv", b"words,label\na,x\nb,y\n", r"'text' at line 2 of .*\(it has words, label\)"),
        ("a.csv", b"text,label\na,x\nb\n", "'label' at line 3"),
        ("a.csv", b"text,label\na,x\nb,c,d\n", "line 3 of .* more fields than the heading; expected 2 fields"),
        ("a.csv", b"text,label\n\xff\xfe,x\n", "utf-8"),
        ("a.csv", b'text,label\n"a,x\nb,y\n', "cannot be read"),
        ("a.jsonl", b'{"text": "a", "label": 0}\n{"text": ', "line 2 of .*not JSON"),
        ("a.jsonl", b"[1, 2]\n", "'text' at line 1"),
        ("a.jsonl", b'{"text": "a", "label": null}\n', "'label' at line 1"),
        ("a.jsonl", b'{"text": "a", "label": 0.5}\n', "'label' at line 1"),
        ("a.jsonl", b'{"text": "a", "label": -1}\n{"text": "a", "label": 1}', "label -1"),
        ("a.jsonl", b"[" * 100_000, "not JSON"),
    ],
)
def test_files_that_are_refused(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    refused(match, tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    refused("No such file", tmp_path / "a.csv")


def test_the_formula_by_hand():
    fitted = TfIdf().fit(["red red blue", "Red green", "x"])
    assert fitted.vocabulary == ("red", "blue", "green")
    assert fitted.weights == pytest.approx([math.log(4 / 3) + 1, math.log(2) + 1, math.log(2) + 1], rel=1e-15)
    raw = np.array([2 * fitted.weights[0], fitted.weights[1], 0])
    X = fitted.apply(["red red blue", "nothing known", ""])
    assert X[0] == pytest.approx(raw / np.linalg.norm(raw), rel=1e-15)
    assert not X[1:].any()


@quick
@given(texts=texts, rarest=st.integers(1, 2))
def test_against_scikit_learn(texts, rarest):
    text = pytest.importorskip("sklearn.feature_extraction.text", reason="needs scikit-learn")
    oracle = text.TfidfVectorizer(min_df=rarest)
    try:
        expected = oracle.fit_transform(texts).toarray()
    except ValueError:  # no word left
        with pytest.raises(InvalidInputError, match="without a word"):
            TfIdf(rarest=rarest).fit(texts)
        return
    fitted = TfIdf(rarest=rarest).fit(texts)
    columns = [oracle.vocabulary_[word] for word in fitted.vocabulary]
    assert sorted(columns) == list(range(expected.shape[1]))
    # a sum of at most 8·25 squares, a root and a division: a few roundings of numbers below 1
    assert np.abs(fitted.apply(texts) - expected[:, columns]).max() <= 64 * np.finfo(float).eps


def test_the_vocabulary_is_that_of_the_most_texts():
    corpus = ["aa bb", "aa cc", "aa bb cc dd dd dd"]
    assert TfIdf(vocabulary=2).fit(corpus).vocabulary == ("aa", "bb")
    assert TfIdf(vocabulary=3).fit(corpus).apply(["dd dd"]).tolist() == [[0, 0, 0]]
    with pytest.raises(InvalidInputError, match="vocabulary = 0"):
        TfIdf(vocabulary=0)


def test_from_the_command_line(tmp_path):
    path = write_rows(tmp_path / "news.csv", [*ROWS, ("??", "ship"), ("talk now", "talk")])
    problem = resolve_data(path)
    assert problem.samples == 6
    assert np.linalg.norm(problem.X, axis=1) == pytest.approx([1, 1, 1, 1, 0, 1])
    assert "1 texts have no word of the vocabulary: their features are 0" in problem.notes
    assert resolve_data(path, samples_per_class=1).counts.tolist() == [1, 1, 1]
    assert resolve_data(path, components=2).X.shape == (6, 2)
    with pytest.raises(InvalidInputError, match="no sample in class 3"):
        resolve_data(path, classes=4)
    with pytest.raises(InvalidInputError, match="`theta`"):
        resolve_data(path, theta=0.1)


def test_subsets():
    data = TextData(texts=("a", "b", "c", "d"), y=[0, 1, 1, 0])
    assert data.subset(1).texts == ("a", "b")
    assert data.subset((2, 1)).texts == ("a", "b", "d")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-sig", "utf-16-be-sig"])
@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_encodings(tmp_path, encoding, ending):
    path = write_rows(tmp_path / f"a{ending}")
    plain = path.read_text(encoding="utf-8")
    marks = {"utf-16-le-sig": b"\xff\xfe", "utf-16-be-sig": b"\xfe\xff"}
    path.write_bytes(
        marks.get(encoding, b"") + plain.encode(encoding.removesuffix("-sig") if encoding in marks else encoding)
    )
    assert load_text(path).texts == tuple(text for text, _ in ROWS)


def test_lone_quotes_in_a_table_of_tabs(tmp_path):
    """As quotes they would join rows 1 and 3 to one, with two rows gone."""
    (tmp_path / "a.tsv").write_text('text\tlabel\n"twas the night\tx\nplain\ty\n5" disk\tx\n"end\ty\n')
    data = load_text(tmp_path / "a.tsv")
    assert data.texts == ('"twas the night', "plain", '5" disk', '"end')
    assert data.y.tolist() == [0, 1, 0, 1]
    assert data.notes == ("quotation marks were read as plain characters: as quotes they would join lines",)
    assert load_text(write_rows(tmp_path / "b.tsv")).notes == ()  # a text of two lines, in quotes


def test_numbers_of_json_are_whole_numbers(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"text": "a b", "label": 1.0}\n{"text": "c", "label": 0}\n{"text": "d", "label": 1}'
    )
    assert load_text(tmp_path / "a.jsonl").y.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", "text,label\na,x\nb, \nc,y\n", "an empty label at line 3"),
        ("a.jsonl", '{"text": "a", "label": ""}', "an empty label at line 1"),
        ("a.csv", "text,label,label\na,x,1\nb,y,2\n", "the heading 'label' more than once"),
        ("a.jsonl", '{"text": "a", "label": 1, "label": 2}', "the key 'label' is there more than once"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(tmp_path, name, content, match):
    (tmp_path / name).write_text(content)
    refused(match, tmp_path / name)
