"""Objects appear whole or not at all, whatever a server or a kill does; none is lost unasked."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from obstore.store import S3Store

import infer
from infer.base.errors import JobError, OutputError
from infer.job import job
from infer.job.shards import Shard
from infer.table.outputs import open_output

SECRET = "S3CRET"


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(["good", "bad", "film", "the"], 6)) for _ in range(rows)]
    return pa.table({"id": np.arange(rows), "text": texts})


class Faulty(ThreadingHTTPServer):
    """Stands before the S3 server; what it does to a PUT is set by a test, once or for ever."""

    def __init__(self, server):
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = urlsplit(server).netloc
        self.fault, self.times, self.met = "", 0, threading.Event()

    def will(self, fault, times=10**9):
        self.fault, self.times = fault, times
        self.met.clear()


class Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = ""
        if self.command == "PUT" and self.server.times > 0:
            fault, self.server.times = self.server.fault, self.server.times - 1
            self.server.met.set()
        if fault == "no conditions":
            fault = "501" if self.headers.get("If-None-Match") else ""
        if fault == "stall":
            threading.Event().wait(40)
        if fault.isdecimal():
            self.answer(int(fault), {}, b"<Error><Code>Refused</Code><Key>hidden</Key></Error>")
            return
        connection = http.client.HTTPConnection(self.server.behind)
        connection.request(self.command, self.path, body, dict(self.headers))
        reply = connection.getresponse()
        content = reply.read()
        if fault == "lose the answer":
            self.close_connection = True
            return
        self.answer(reply.status, dict(reply.headers), content)

    def answer(self, status, headers, content):
        self.send_response(status)
        length = headers.pop("Content-Length", headers.pop("content-length", len(content)))
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815


@pytest.fixture(scope="module")
def proxy(s3_server):
    server = Faulty(s3_server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def bucket(proxy, monkeypatch, tmp_path):
    """An empty bucket; credentials and endpoint in the environment, parts below this test."""
    from pyarrow import fs

    endpoint = f"http://127.0.0.1:{proxy.server_port}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    proxy.will("", 0)
    name = f"b{abs(hash(tmp_path)):x}"
    s3 = fs.S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True)
    s3.create_dir(name)
    return S3Store(name, client_options={"allow_http": True})


def uri(bucket, key=""):
    return f"s3://{bucket.config['bucket']}/{key}".rstrip("/")


def objects(bucket):
    return {
        one["path"]: bytes(obstore.get(bucket, one["path"]).bytes())
        for some in obstore.list(bucket)
        for one in some
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "in.parquet"
    pq.write_table(reviews(90), path)
    return path


@pytest.fixture(scope="module")
def expected(source, score):
    """The bytes of the same job on a local disk."""
    score(source, source.parent / "out.parquet", part_rows=20)
    return (source.parent / "out.parquet").read_bytes()


def caches(tmp_path):
    return [path for path in (tmp_path / "cache" / "sent-toolkit").rglob("*") if path.is_file()]


def test_one_object(bucket, source, expected, score, tmp_path):
    for _ in range(2):
        summary = score(source, uri(bucket, "a/b.parquet"), part_rows=20)
        assert summary.files[0]["output"] == uri(bucket, "a/b.parquet")
        assert objects(bucket) == {"a/b.parquet": expected}
    assert summary.resumed_rows == 90
    assert not caches(tmp_path)


def test_an_object_is_replaced_only_where_that_is_asked_for(bucket, source, expected, score):
    obstore.put(bucket, "x.parquet", b"theirs")
    with pytest.raises(OutputError, match=r"x\.parquet: exists already"):
        score(source, uri(bucket, "x.parquet"))
    assert objects(bucket) == {"x.parquet": b"theirs"}
    score(source, uri(bucket, "x.parquet"), overwrite=True, part_rows=20)
    assert objects(bucket) == {"x.parquet": expected}


@pytest.mark.parametrize("theirs", ["another's", "the same job's"])
def test_an_object_that_appears_meanwhile(bucket, source, expected, score, monkeypatch, theirs):
    content = expected if theirs == "the same job's" else b"theirs"
    write = job.write_output

    def appears(*arguments):
        obstore.put(bucket, "x.parquet", content)
        return write(*arguments)

    monkeypatch.setattr(job, "write_output", appears)
    if content == expected:
        assert score(source, uri(bucket, "x.parquet"), part_rows=20).rows == 90
    else:
        with pytest.raises(OutputError, match="appeared while this run was working"):
            score(source, uri(bucket, "x.parquet"), part_rows=20)
    assert objects(bucket) == {"x.parquet": content}


def test_another_writers_note_is_kept(bucket, source, score, monkeypatch, tmp_path):
    write, output = job.write_output, uri(bucket, "x.csv")

    def appears(*arguments):
        monkeypatch.setattr(job, "write_output", write)
        score(source, output, columns=(), parts=tmp_path / "theirs")
        return write(*arguments)

    monkeypatch.setattr(job, "write_output", appears)
    with pytest.raises(OutputError, match="appeared while this run was working"):
        score(source, output)
    assert score(source, output, columns=()).resumed_rows == 90


def test_shards_into_one_prefix_and_whether_all_is_there(bucket, score, model_path, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(reviews(50), folder / "b.parquet")
    pyarrow.csv.write_csv(reviews(9, 1), folder / "a.parquet.csv")
    pq.write_table(reviews(3, 2), folder / "odd %3F?#ä.parquet")
    inputs = [f"{folder}/*"]
    options = {"piece_rows": 20}
    score(inputs, tmp_path / "out", **options)
    local = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}
    for number in (1, 2):
        score(inputs, uri(bucket, "scored/"), shard=Shard(number, 2), **options)
    assert objects(bucket) == {f"scored/{name}": content for name, content in local.items()}
    check = {"output": uri(bucket, "scored"), "model": model_path}
    found = infer.check_complete(inputs, **check)
    assert found.problems == []
    assert found.manifest == uri(bucket, "scored/_sent-manifest.json")
    assert json.loads(objects(bucket)["scored/_sent-manifest.json"])["rows"] == 62
    assert score(inputs, uri(bucket, "scored"), shard=Shard(2, 3), **options).resumed_rows
    obstore.delete(bucket, "scored/b.000000000020.parquet")
    obstore.put(bucket, "scored/x.parquet", b"")
    kinds = [problem.kind for problem in infer.check_complete(inputs, **check).problems]
    assert kinds == ["foreign", "missing"]
    with pytest.raises(OutputError, match="holds rows that this run would write"):
        score(inputs, uri(bucket, "scored"))
    assert not caches(tmp_path)


def test_parts_are_where_they_are_wanted(bucket, source, expected, score, monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(JobError, match="No space left") as caught:
        patch.setattr(job, "write_output", fail)
        score(source, uri(bucket, "x.parquet"), parts=tmp_path / "parts", part_rows=20)
    assert str(tmp_path / "parts") in caught.value.__notes__[0]
    assert list((tmp_path / "parts").rglob("*.parquet"))
    summary = score(source, uri(bucket, "x.parquet"), parts=tmp_path / "parts", part_rows=20)
    assert summary.resumed_rows == 90
    assert objects(bucket) == {"x.parquet": expected}
    assert not list((tmp_path / "parts").iterdir())
    assert not caches(tmp_path)


@pytest.mark.parametrize("status", ["403", "400"])
def test_a_refused_upload(bucket, proxy, source, expected, score, status):
    proxy.will(status)
    with pytest.raises(JobError) as caught:
        score(source, uri(bucket, "x.parquet"), part_rows=20)
    proxy.will("", 0)
    assert str(caught.value).startswith(f"[Errno 5] {uri(bucket, 'x.parquet')}: cannot be written")
    assert "Refused" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert objects(bucket) == {}
    assert score(source, uri(bucket, "x.parquet"), part_rows=20).resumed_rows == 90
    assert objects(bucket) == {"x.parquet": expected}


def test_an_object_that_is_sent_in_parts(bucket, proxy, source, expected, score, monkeypatch):
    import boto3

    monkeypatch.setattr("infer.table.stores._ONE_REQUEST", 0)
    client = boto3.client("s3", region_name="us-east-1")
    name = bucket.config["bucket"]
    proxy.will("403")
    with pytest.raises(JobError, match="Refused"):
        score(source, uri(bucket, "x.parquet"), part_rows=20)
    proxy.will("", 0)
    assert objects(bucket) == {}
    assert not client.list_multipart_uploads(Bucket=name).get("Uploads")
    score(source, uri(bucket, "x.parquet"), part_rows=20)
    assert objects(bucket) == {"x.parquet": expected}
    with pytest.raises(OutputError, match="exists already"):
        score(source, uri(bucket, "x.parquet"), columns=())


def test_a_server_that_fails_now_and_then(bucket, proxy, source, expected, score):
    proxy.will("500", 2)
    score(source, uri(bucket, "x.parquet"), part_rows=20)
    assert objects(bucket) == {"x.parquet": expected}


def test_a_server_that_knows_no_conditions(bucket, proxy, source, expected, score):
    proxy.will("no conditions")
    score(source, uri(bucket, "x.parquet"), part_rows=20)
    assert objects(bucket) == {"x.parquet": expected}
    with pytest.raises(OutputError, match="exists already"):
        score(source, uri(bucket, "x.parquet"), columns=())


def test_a_server_that_fails(bucket, proxy, source, score, monkeypatch):
    monkeypatch.setattr("infer.table.stores._RETRIES", 1)
    proxy.will("503")
    with pytest.raises(JobError, match="cannot be written"):
        score(source, uri(bucket, "x.parquet"), part_rows=20)
    assert objects(bucket) == {}


def test_an_answer_that_is_lost(bucket, proxy, source, expected, score):
    """The object is there; asked once more, the server says that it exists already: it is ours."""
    proxy.will("lose the answer", 1)
    assert score(source, uri(bucket, "x.parquet"), part_rows=20).rows == 90
    assert objects(bucket) == {"x.parquet": expected}


def test_a_server_that_does_not_answer(bucket, proxy, source, score, monkeypatch):
    monkeypatch.setattr("infer.table.stores._SEND_SECONDS", 1)
    monkeypatch.setattr("infer.table.stores._RETRIES", 0)
    proxy.will("stall")
    with pytest.raises(JobError, match="cannot be written"):
        score(source, uri(bucket, "x.parquet"), part_rows=20)
    assert objects(bucket) == {}


@pytest.mark.parametrize(
    ("fault", "number", "code"),
    [
        ("stall", signal.SIGKILL, -signal.SIGKILL),
        ("stall", signal.SIGTERM, 143),
        ("lose the answer", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_stopped_while_it_is_sent(
    bucket, proxy, source, expected, score, model_path, fault, number, code
):
    """In the middle of the request, and when the object is there but nobody knows it."""
    command = [sys.executable, "-c", "from infer.cli import main; main()"]
    words = [source, "-o", uri(bucket, "x.parquet"), "--part-rows", "20", "--model", model_path]
    proxy.will(fault)
    with subprocess.Popen([*command, *map(str, words)]) as run:
        assert proxy.met.wait(60)
        if fault == "lose the answer":
            while not objects(bucket):
                pass
        run.send_signal(number)
        assert run.wait(20) == code  # long before the server's patience ends
    proxy.will("", 0)
    assert objects(bucket) == ({} if fault == "stall" else {"x.parquet": expected})
    assert score(source, uri(bucket, "x.parquet"), part_rows=20).resumed_rows == 90
    assert objects(bucket) == {"x.parquet": expected}


def test_no_secret_is_shown(bucket, proxy, source, sent_score, tmp_path):
    endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    name = bucket.config["bucket"]
    query = f"scheme=http&endpoint_override={endpoint}&region=us-east-1"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    for fault, code in (("403", 1), ("", 0)):
        proxy.will(fault, 10**9 if fault else 0)
        done = sent_score(
            source, "-o", f"s3://key:{SECRET}@{name}/x.csv?{query}", "--json", env=environment
        )
        assert done.returncode == code, done.stderr
        left = caches(tmp_path)
        assert bool(left) == bool(fault)
        for told in (done.stdout, done.stderr, *map(str, left)):
            assert SECRET not in told
        contents = [*objects(bucket).values(), *(path.read_bytes() for path in left)]
        assert not any(SECRET.encode() in content for content in contents)
    assert sorted(objects(bucket)) == [".x.csv.sent-note", "x.csv"]


def test_outputs_that_are_none(bucket, source, score):
    obstore.put(bucket, "folder/x", b"")
    obstore.put(bucket, "file", b"")
    with pytest.raises(OutputError, match="is a folder, expected a file"):
        score(source, uri(bucket, "folder"))
    with pytest.raises(OutputError, match="is a folder, expected a file"):
        score(source, uri(bucket, "new") + "/")
    with pytest.raises(OutputError, match="is a file, expected a folder"):
        score(source, uri(bucket, "file"), shard=Shard(1, 1))
    with pytest.raises(OutputError, match="is a file's name, expected a folder"):
        score(source, uri(bucket, "new.parquet"), shard=Shard(1, 1))
    for key in ("a?b.parquet", "a#b%3F.parquet"):
        assert score(source, uri(bucket, key)).rows == 90
        assert score(source, uri(bucket, key)).resumed_rows == 90
    assert {"a?b.parquet", "a#b?.parquet"} <= objects(bucket).keys()
    obstore.delete(bucket, ["a?b.parquet", "a#b?.parquet"])
    with pytest.raises(OutputError, match="illegal character"):
        score(source, uri(bucket, "a/../x.parquet"))
    with pytest.raises(OutputError, match="is a folder, expected a file"):
        score(source, uri(bucket))
    with pytest.raises(OutputError, match="names no bucket") as caught:
        score(source, "s3://key:S3C/RET@bucket/x.parquet")
    assert "S3C" not in str(caught.value)
    with pytest.raises(OutputError, match="NoSuchBucket"):
        score(source, "s3://no-such-bucket/x.parquet")
    with pytest.raises(OutputError, match="colour is no option of an s3 URI"):
        score(source, f"{uri(bucket, 'x')}?colour=red")
    with pytest.raises(OutputError, match="cannot be written"):
        score(source, "https://host/x.parquet")
    (source.parent / "file").touch()
    with pytest.raises(OutputError, match=r"its parts have no place .* --parts"):
        score(source, uri(bucket, "x.parquet"), parts=source.parent / "file")
    with pytest.raises(OutputError, match="a URI, expected a folder on this machine"):
        score(source, uri(bucket, "x.parquet"), parts=Path(uri(bucket, "parts")))
    with pytest.raises(OutputError, match="no file system opens it"):
        score(source, "nothing://host/x.parquet")
    assert sorted(objects(bucket)) == ["file", "folder/x"]


def test_a_profile_that_is_not_there(monkeypatch):
    pytest.importorskip("boto3", reason="needs boto3: pip install -c constraints.txt boto3")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_PROFILE", "elsewhere")
    with pytest.raises(
        OutputError, match=r"x\.parquet: .* profile \(elsewhere\) could not be found"
    ):
        open_output("s3://bucket/x.parquet")


def test_outputs_among_the_inputs(bucket, source, score):
    for key in ("in/a.parquet", "in/b.parquet"):
        obstore.put(bucket, key, source)
    folder = uri(bucket, "in")
    written = (folder, f"{folder}/scored", folder.replace("s3://", "s3a://"))
    for output in (*written, folder.replace("/in", "//in//x"), folder.replace("/in", "/%69n/x")):
        with pytest.raises(OutputError, match="lies in the input folder"):
            score(folder, output)
    with pytest.raises(OutputError, match="holds the input"):
        score([f"{folder}/*.parquet"], folder)
    with pytest.raises(OutputError, match="is the input itself"):
        score(f"{folder}/a.parquet", f"{folder}/a.parquet", overwrite=True)
    score(folder, uri(bucket, "scored"))
    assert sorted(objects(bucket))[-2:] == ["scored/a.parquet", "scored/b.parquet"]


def test_a_file_system_of_fsspec(source, expected, score, tmp_path, monkeypatch):
    import fsspec

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    score(source, "memory://jobs/x.parquet", part_rows=20)
    assert memory.find("/jobs") == ["/jobs/x.parquet"]
    assert memory.cat("/jobs/x.parquet") == expected
    assert score(source, "memory://jobs/x.parquet", part_rows=20).resumed_rows == 90
    memory.pipe("/jobs/y.parquet", b"theirs")
    with pytest.raises(OutputError, match="exists already"):
        score(source, "memory://jobs/y.parquet")
    score(source, "memory://jobs/y.parquet", part_rows=20, overwrite=True)
    assert memory.cat("/jobs/y.parquet") == expected
    score(source, "memory://jobs/pieces", shard=Shard(1, 1), piece_rows=50)
    assert len(memory.find("/jobs/pieces")) == 2
    assert score(source, f"file://{tmp_path}/z.parquet", part_rows=20).rows == 90
    assert Path(tmp_path / "z.parquet").read_bytes() == expected
    memory.rm("/jobs", recursive=True)
