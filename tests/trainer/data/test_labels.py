"""Two classes or some hundreds, however a file writes them, and called as people want."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.base.errors import InputError, UsageError
from trainer.data.datasets import load_dataset
from trainer.data.labels import labels_like, name_labels, read_labels
from trainer.settings.labels import LabelRules, renamings

HERE = Path("x.parquet")


def column(*values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def rules(labels: str | None = None, positive: str | None = None, ordinal: bool = False):
    return LabelRules(positive, renamings(labels), ordinal)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((3, 1, 2, 1), ("1", "2", "3")),
        ((10.0, 2.0, 1.0), ("1", "2", "10")),
        (("10", "9", "-1"), ("-1", "9", "10")),
        (("sport", "art", "Ärger", "news"), ("art", "news", "sport", "Ärger")),
        (("a,b", "a b", "日本"), ("a b", "a,b", "日本")),
        (("nan", "1", "2"), ("1", "2", "nan")),
    ],
)
def test_more_classes_stand_in_order(values: tuple[object, ...], names: tuple[str, ...]) -> None:
    labels = name_labels(column(*values), HERE)
    assert labels.names == names
    assert f"{len(names)} classes, {names[0]!r}" in labels.notes[-1]
    numbers = read_labels(column(*values), labels, HERE).to_pylist()
    assert [names[number] for number in numbers] == [
        f"{v:g}" if isinstance(v, float) else str(v) for v in values
    ]


def test_blanks_and_capitals_are_noticed_and_named() -> None:
    values = column("Sport", "sport ", "sport", "art", "art", " ART")
    labels = name_labels(values, HERE)
    assert labels.names == ("art", "sport")
    assert labels.notes[:2] == (
        "Labels: ' ART' is taken for 'art'.",
        "Labels: 'Sport', 'sport ' is taken for 'sport'.",
    )
    assert read_labels(values, labels, HERE).to_pylist() == [1, 1, 1, 0, 0, 0]
    assert read_labels(column("SPORT"), labels, HERE).to_pylist() == [1]


def test_a_whole_number_is_one_label_however_it_is_written() -> None:
    values = column("1", "1.0", "2", "-3.00", "1.5", "x")
    labels = name_labels(values, HERE)
    assert labels.names == ("-3.00", "1", "1.5", "2", "x")
    assert "Labels: '1.0' is taken for '1'." in labels.notes
    assert read_labels(values, labels, HERE).to_pylist() == [1, 1, 3, 0, 2, 4]
    called = name_labels(column(1.0, 2.0), HERE, rules("1.0=bad,2.0=good"))
    assert called.names == ("bad", "good")


def test_names_that_are_asked_for_are_one_label_too() -> None:
    values = column("a", "b", "c", "d")
    wanted = rules("a=Other,b=other ,c=D")
    labels = name_labels(values, HERE, wanted)
    assert labels.names == ("D", "Other")
    assert read_labels(values, labels, HERE).to_pylist() == [1, 1, 0, 0]
    again = labels_like(column("b", "d"), labels.names, wanted, HERE)
    assert read_labels(column("b", "d"), again, HERE).to_pylist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "positive", "names", "numbers"),
    [
        (("ham", "spam"), "ham", ("spam", "ham"), [1, 0]),
        (("pos", "neg"), "NEG", ("pos", "neg"), [0, 1]),
        ((0, 1), "0", ("negative", "positive"), [1, 0]),
        ((False, True), "false", ("negative", "positive"), [1, 0]),
    ],
)
def test_the_positive_label_is_the_one_asked_for(
    values: tuple[object, ...], positive: str, names: tuple[str, ...], numbers: list[int]
) -> None:
    labels = name_labels(column(*values), HERE, rules(positive=positive))
    assert (labels.names, read_labels(column(*values), labels, HERE).to_pylist()) == (
        names,
        numbers,
    )


def test_labels_are_renamed_joined_and_left_out() -> None:
    stars = column(1, 2, 3, 4, 5, 5)
    wanted = rules("1=negative, 2=negative,3=,4=positive,5=positive")
    labels = name_labels(stars, HERE, wanted)
    assert labels.names == ("negative", "positive")
    assert labels.notes == ("Labels: 1, 2 → negative; 4, 5 → positive; 3 left out (1 row).",)
    assert read_labels(stars, labels, HERE).to_pylist() == [0, 0, None, 1, 1, 1]
    kept = name_labels(column("a", "b", "c"), HERE, rules("a=first"))
    assert kept.names == ("b", "c", "first")
    three = name_labels(column(0, 1, 3), HERE, rules("3="))
    assert three.names == ("negative", "positive")
    assert read_labels(column(0, 1, 3), three, HERE).to_pylist() == [0, 1, None]


def test_a_label_that_only_the_test_part_has_can_be_left_out() -> None:
    labels = name_labels(column("a", "b"), HERE, rules("c="))
    assert "Warning: no label is 'c', which --labels names." in labels.notes
    assert read_labels(column("a", "c"), labels, HERE).to_pylist() == [0, None]
    assert name_labels(column("a", "b"), HERE, rules("c=third")).names == ("a", "b")
    with pytest.raises(InputError, match=r"1 of 1 label .*such as 'd'"):
        read_labels(column("d"), labels, HERE)


@pytest.mark.parametrize(
    ("values", "asked", "words"),
    [
        ((1, 2, 3), rules(positive="3"), "of 3 classes .* none is the positive one"),
        (("a", "b"), rules(positive="c"), "--positive c: no such label, expected 'a', 'b'"),
        ((0, 1), rules(ordinal=True), "--ordinal: .* expected three numbers or more"),
        (("a", "b", "c"), rules(ordinal=True), "--labels 'bad=1,fair=2,good=3'"),
        ((1, 2), rules("1=,"), r"one class \('2'\), expected two or more"),
        ((1, 2, 1), rules("1=2"), r"one class \('2'\)"),
    ],
)
def test_what_cannot_be_is_refused(
    values: tuple[object, ...], asked: LabelRules, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        name_labels(column(*values), HERE, asked)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("a", "'a', expected LABEL=NAME"),
        ("=a", "expected LABEL=NAME"),
        ("a=b,A=c", "names 'a' twice"),
        ("1=b,1.0=c", "names '1' twice"),
    ],
)
def test_lists_of_names_that_are_none(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        renamings(given)


def test_a_name_with_a_comma_stands_in_quotes() -> None:
    assert renamings('"a,b=c",d=') == (("a,b", "c"), ("d", ""))
    assert renamings({"1": "x"}) == renamings([("1", "x")]) == (("1", "x"),)


def test_labels_of_a_model_are_found_in_other_files() -> None:
    plain = ("negative", "positive")
    for values in (("neg", "pos"), (0, 1), (False, True), ("Positive", "negative"), (1,)):
        labels = labels_like(column(*values), plain, rules(), HERE)
        assert set(read_labels(column(*values), labels, HERE).to_pylist()) <= {0, 1}
    turned = labels_like(column(0, 1), plain, rules(positive="0"), HERE)
    assert read_labels(column(0, 1), turned, HERE).to_pylist() == [1, 0]
    joined = labels_like(column(1, 5), ("bad", "good"), rules("1=bad,5=good"), HERE)
    assert read_labels(column(1, 5), joined, HERE).to_pylist() == [0, 1]
    with pytest.raises(InputError, match="labels 'ham', 'spam', expected the model's: 'negative'"):
        labels_like(column("ham", "spam"), plain, rules(), HERE)
    with pytest.raises(InputError, match="expected the model's: '1', '2', '3'"):
        labels_like(column(1, 2, 3, 4), ("1", "2", "3"), rules(), HERE)
    for asked in (rules(ordinal=True), rules("1=one")):
        with pytest.raises(
            InputError, match="labels 'ham', 'spam', expected the model's: '1', '2'"
        ):
            labels_like(column("spam", "ham"), ("1", "2", "3"), asked, HERE)
    with pytest.raises(InputError, match="labels 'c', expected the model's: 'b', 'a'"):
        labels_like(column("c"), ("b", "a"), rules(positive="a"), HERE)
    assert labels_like(column(3, 7), plain, rules(), HERE).numbers == {"3": 0, "7": 1}


def test_a_file_without_some_of_its_rows(tmp_path: Path) -> None:
    table = pa.table({"text": list("abcdefghi"), "label": [1, 2, 3] * 3})
    for name in ("train", "test"):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    data = load_dataset(str(tmp_path), 1, rules=rules("3=,1=bad,2=good"))
    assert data.labels == ("bad", "good")
    assert data.train["text"].to_pylist() == data.test["text"].to_pylist() == list("abdegh")
    assert not any("no text" in note for note in data.notes)
