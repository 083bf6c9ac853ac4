"""Inputs: files, folders, globs and URIs become files to read and places to write."""

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from infer.base.errors import InputError, OutputError
from infer.table.inputs import Inputs, find_inputs
from infer.table.outputs import Target, find_targets, open_output

TABLE = pa.table({"text": ["good film", "bad film"]})


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(TABLE, path)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with Hive partitions, and beside them what is no data."""
    for place in (
        "year=2023/part-0.parquet",
        "year=2024/part-0.parquet",
        "year=2024/part-1.parquet",
        "_temporary/0.parquet",
        ".hidden.parquet",
        "scores.sent-parts/00000-000000000000-000000000002.parquet",
    ):
        write(tmp_path / "reviews" / place)
    (tmp_path / "reviews" / "_SUCCESS").touch()
    (tmp_path / "reviews" / "notes.txt").write_text("no Parquet")
    return tmp_path / "reviews"


PARTS = ["year=2023/part-0.parquet", "year=2024/part-0.parquet", "year=2024/part-1.parquet"]


def targets_of(inputs: Inputs, output: Path | str) -> list[Target]:
    return find_targets(inputs, open_output(output), str(output))


def places(source: str) -> list[str]:
    return [str(file.relative) for file in find_inputs([source]).files]


def test_a_folder_gives_its_parquet_files_with_their_partitions(tree: Path) -> None:
    inputs = find_inputs([str(tree)])
    assert [str(file.relative) for file in inputs.files] == PARTS
    assert not inputs.single
    out = tree.parent / "scored"
    targets = targets_of(inputs, out)
    assert [str(target) for target in targets] == [str(out / part) for part in PARTS]
    assert [target.place for target in targets] == PARTS


def test_a_glob_mirrors_what_is_behind_its_first_wildcard(tree: Path) -> None:
    assert places(f"{tree}/year=*/part-0.parquet") == PARTS[:2]
    assert places(f"{tree}/**/*.parquet") == PARTS
    assert places(f"{tree}/year=2024/part-?.parquet") == ["part-0.parquet", "part-1.parquet"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews[1].parquet")
    inputs = find_inputs([str(path)])
    assert inputs.single
    assert inputs.files[0].path == str(path)


def test_several_files_become_files_of_the_output_folder(tmp_path: Path) -> None:
    paths = [str(write(tmp_path / name)) for name in ("b.parquet", "a.parquet")]
    inputs = find_inputs(paths)
    assert not inputs.single
    assert [target.name for target in targets_of(inputs, tmp_path / "out")] == [
        "b.parquet",
        "a.parquet",
    ]


def test_file_uris_are_local_files(tmp_path: Path) -> None:
    path = write(tmp_path / "two words [1].parquet")
    for uri in (f"file://{path}", path.as_uri(), f"local://{path}"):
        inputs = find_inputs([uri])
        assert inputs.files[0].is_local, uri
        assert inputs.files[0].path == str(path)
    assert places(f"file://{tmp_path}/two*.parquet") == [path.name]


def test_fsspec_uris(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    local = write(tmp_path / "x.parquet")
    for name in ("a", "b"):
        memory.pipe(f"/reviews/y={name}/part.parquet", local.read_bytes())
    try:
        assert places("memory://reviews") == ["y=a/part.parquet", "y=b/part.parquet"]
        assert places("memory://reviews/y=*/part.parquet") == places("memory://reviews")
        assert places("memory://reviews/y=[b]/*") == ["y=b/part.parquet"]
        single = find_inputs(["memory://reviews/y=a/part.parquet"])
        assert single.single
        assert single.files[0].identity()["size"] == local.stat().st_size
    finally:
        memory.rm("/reviews", recursive=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing.parquet", "no such file or folder"),
        ("no*.parquet", "no file matches"),
        ("empty", "no file in it ends with .parquet"),
        ("file:///nothing.parquet", "no such file or folder"),
        ("memory://nothing.parquet", "no such file or folder"),
        ("nosuchscheme://x", "no file system opens it"),
    ],
)
def test_what_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        find_inputs([source])
    assert str(caught.value).startswith(source)
    assert message in str(caught.value)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(InputError, match="not a regular file"):
        find_inputs([str(tmp_path / "pipe.parquet")])


def test_two_files_for_one_place(tmp_path: Path) -> None:
    one, two = (str(write(tmp_path / name / "x.parquet")) for name in "ab")
    for pair in ([one, two], [one, one]):
        with pytest.raises(InputError, match=r"would both become x\.parquet"):
            targets_of(find_inputs(pair), tmp_path / "out")


def test_a_glob_cannot_lead_out_of_the_output_folder(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.parquet")
    (tmp_path / "a" / "b").mkdir()
    with pytest.raises(InputError, match=r"'\.\.' behind the folder"):
        find_inputs([f"{tmp_path}/a/*/../x.parquet"])


def test_outputs_that_are_of_the_wrong_kind(tree: Path) -> None:
    folder, single = find_inputs([str(tree)]), find_inputs([str(tree / PARTS[0])])
    file = write(tree.parent / "file.parquet")
    with pytest.raises(OutputError):
        targets_of(single, tree)
    with pytest.raises(OutputError):
        targets_of(folder, file)
    with pytest.raises(OutputError):
        targets_of(single, Path("http://host/scores.parquet"))


def test_an_output_folder_among_the_inputs_is_refused(tree: Path) -> None:
    for out in (tree, tree / "scored"):
        with pytest.raises(OutputError):
            targets_of(find_inputs([str(tree)]), out)
    with pytest.raises(OutputError):
        targets_of(find_inputs([f"{tree}/*/*.parquet"]), tree / "year=2024")
    # Taken up again, such a job would find its own scores.
    with pytest.raises(OutputError):
        targets_of(find_inputs([f"{tree}/**/*.parquet"]), tree / "scored")


def test_a_name_in_a_folder_that_is_not_utf_8(tree: Path) -> None:
    write(tree / "x.parquet").rename(tree / os.fsdecode(b"\xe9.parquet"))
    for source in (str(tree), f"{tree}/*.parquet"):
        with pytest.raises(InputError, match=r"e9\.parquet'.* is not UTF-8\. Rename"):
            find_inputs([source])


def test_the_identity_changes_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet")
    before = find_inputs([str(path)]).files[0].identity()
    assert find_inputs([str(path)]).files[0].identity() == before
    pq.write_table(TABLE.slice(0, 1), path)
    after = find_inputs([str(path)]).files[0].identity()
    assert {key for key in before if before[key] != after[key]} >= {"mtime_ns", "footer"}


def test_hidden_is_a_leading_dot_or_an_underscore_without_a_value(tree: Path) -> None:
    write(tree / "_lang=en" / "part-0.parquet")
    write(tree / "UPPER.PARQUET")
    inputs = find_inputs([str(tree)])
    assert [str(file.relative) for file in inputs.files] == [
        "UPPER.PARQUET",
        "_lang=en/part-0.parquet",
        *PARTS,
    ]
    (remark,) = inputs.remarks
    assert "3 hidden by a leading . or _ (.hidden.parquet, _SUCCESS, _temporary)" in remark
    assert "1 of another format (notes.txt)" in remark
    assert "1 of a job's part files" in remark


def test_what_cannot_be_read_among_the_data_is_an_error(tree: Path) -> None:
    (tree / "gone.parquet").symlink_to(tree / "nowhere")
    os.mkfifo(tree / "pipe.parquet")
    with pytest.raises(InputError, match=r"gone\.parquet is a link to nothing") as caught:
        find_inputs([str(tree)])
    assert "pipe.parquet is not a regular file" in str(caught.value)
    with pytest.raises(InputError, match="link to nothing"):
        find_inputs([f"{tree}/*.parquet"])


@pytest.mark.parametrize("pattern", ["", "/**/*.parquet"])
def test_links_and_loops_are_read_once(tree: Path, pattern: str) -> None:
    """Two links to the folder itself made a listing that never ended."""
    (tree / "self").symlink_to(tree)
    (tree / "year=2023" / "up").symlink_to("..")
    (tree / "again").symlink_to(tree / "year=2024")
    (tree / "latest.parquet").symlink_to(tree / PARTS[0])
    outside = write(tree.parent / "outside" / "x.parquet").parent
    (tree / "there").symlink_to(outside)
    assert places(f"{tree}{pattern}") == ["there/x.parquet", *PARTS]


@pytest.mark.parametrize(
    ("marker", "how"),
    [
        ("_delta_log/00000000000000000000.json", "file_uris"),
        ("metadata/v1.metadata.json", "plan_files"),
        (".hoodie/hoodie.properties", "get_file_slices"),
        ("_spark_metadata/0", "inputFiles"),
    ],
)
@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_table_format_is_no_folder_of_files(
    tmp_path: Path, marker: str, how: str, scheme: str
) -> None:
    root = f"{tmp_path}/lake/table"
    filesystem = fsspec.filesystem("memory" if scheme else "file")
    for name in (f"{root}/day=1/x.parquet", f"{root}/{marker}"):
        filesystem.makedirs(str(Path(name).parent), exist_ok=True)
        filesystem.pipe(name, write(tmp_path / "x.parquet").read_bytes())
    lake = f"{scheme}{tmp_path}/lake"
    for source in ("", "/table", "/table/day=1", "/table/*/*.parquet", "/*/day=1/*"):
        with pytest.raises(InputError, match="no longer part of it") as caught:
            find_inputs([lake + source])
        assert how in str(caught.value)
    # A file that is named is the user's own choice, as the message advises.
    assert find_inputs([f"{scheme}{root}/day=1/x.parquet"]).single


def test_a_folder_called_metadata_is_a_folder(tree: Path) -> None:
    write(tree / "metadata" / "x.parquet")
    assert "metadata/x.parquet" in places(str(tree))


def test_everything_that_is_not_there_is_told_at_once(tree: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_inputs(["a.parquet", str(tree), "b.parquet"])
    assert str(caught.value) == (
        "2 of 3 inputs cannot be used. a.parquet, b.parquet: no such file or folder"
    )


def test_a_folder_and_a_file_by_their_names(tree: Path) -> None:
    single = find_inputs([str(tree / PARTS[0])])
    with pytest.raises(OutputError):
        targets_of(single, f"{tree.parent}/new/")
    with pytest.raises(OutputError):
        targets_of(find_inputs([str(tree)]), f"{tree.parent}/all.parquet")
    with pytest.raises(OutputError):
        targets_of(single, "http://host/x")


def test_a_web_address_keeps_its_secrets(web: str, tmp_path: Path) -> None:
    write(tmp_path / "x.parquet")
    file = find_inputs([f"http://user:SECRET@{web}/x.parquet?X-Amz-Signature=SECRET"]).files[0]
    assert file.name == f"http://{web}/x.parquet"
    assert str(file.relative) == "x.parquet"
    assert "SECRET" not in str(file.identity())
    with pytest.raises(InputError) as caught:
        find_inputs([f"http://user:SECRET@{web}/none.parquet?X-Amz-Signature=SECRET"])
    assert str(caught.value) == f"http://{web}/none.parquet: no such file or folder"


@pytest.fixture(scope="module")
def bucket(s3_server: str) -> Iterator[str]:
    """A bucket on a local S3 server, with credentials and endpoint in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_ENDPOINT_URL", s3_server)
        s3 = fs.S3FileSystem(endpoint_override=s3_server, allow_bucket_creation=True)
        s3.create_dir("bucket")
        for part in PARTS:
            pq.write_table(TABLE, f"bucket/reviews/{part}", filesystem=s3)
        pq.write_table(TABLE, "bucket/reviews [1].parquet", filesystem=s3)
        yield "s3://bucket"


def test_s3(bucket: str) -> None:
    assert places(f"{bucket}/reviews") == PARTS
    assert places(f"{bucket}/reviews/year=*/part-0.parquet") == PARTS[:2]
    assert places(f"{bucket}/reviews/year=202[34]/part-?.parquet") == PARTS
    assert find_inputs([f"{bucket}/{'reviews [1].parquet'}"]).single
    file = find_inputs([f"{bucket}/reviews/{PARTS[0]}"]).files[0]
    assert file.name == f"{bucket}/reviews/{PARTS[0]}"
    assert str(file.relative) == "part-0.parquet"
    with pytest.raises(InputError, match=r"s3://bucket/none\.parquet: no such file"):
        find_inputs([f"{bucket}/none.parquet"])


@pytest.mark.parametrize("key", ["a%3Ab.parquet", "a#1.parquet", "a b.parquet", "a?b=c.parquet"])
def test_s3_a_name_that_is_shown_leads_to_its_file(bucket: str, key: str) -> None:
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    s3 = fs.S3FileSystem(endpoint_override=endpoint)
    pq.write_table(TABLE, f"bucket/odd/{key}", filesystem=s3)
    (name,) = (file.name for file in find_inputs([f"{bucket}/odd"]).files)
    assert find_inputs([name]).files[0].path == f"bucket/odd/{key}"
    s3.delete_file(f"bucket/odd/{key}")


def test_s3_folder_to_scores(bucket: str, tmp_path: Path, sent_score) -> None:
    done = sent_score(f"{bucket}/reviews", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for part in PARTS:
        assert pq.read_table(tmp_path / "out" / part).num_rows == 2
