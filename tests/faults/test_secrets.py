"""No credential and no query of a URI is in anything that a job says or leaves."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

SECRET = "S3CRET"


def damaged(path):
    """Write 100 reviews of which the second half cannot be read."""
    texts = [f"review number {i}" for i in range(100)]
    options = {"row_group_size": 50, "compression": "none", "write_page_checksum": True}
    pq.write_table(pa.table({"text": texts, "id": range(100)}), path, **options)
    content = bytearray(path.read_bytes())
    content[content.index(b"review number 75")] ^= 1
    path.write_bytes(content)
    return path


@pytest.fixture
def check(tmp_path, sent_score):
    """Run a job of a URI, and look for the secret in all it says and leaves."""

    def run(uri, code, **environment):
        assert SECRET in uri
        out = tmp_path / "out"
        options = ("--part-rows", 10, "--json", "--overwrite")
        environment = {**os.environ, **environment}
        done = sent_score(uri, "-o", out / "scores.parquet", *options, env=environment)
        assert done.returncode == code, done.stderr
        left = [path for path in out.rglob("*") if path.is_file()]
        assert bool(left) == (code != 2)
        for told in (done.stdout, done.stderr, *map(str, left)):
            assert SECRET not in told
        assert not any(SECRET.encode() in path.read_bytes() for path in left)
        for path in left:
            path.unlink()

    return run


def test_a_web_address(web, tmp_path, make_reviews, check, tally):
    pq.write_table(make_reviews(100), tmp_path / "x.parquet")
    damaged(tmp_path / "damaged.parquet")
    queries = ("X-Amz-Signature", "sig", "token", "sv=2024&sp=r&sig")
    for query in queries:
        for name, code in (("x", 0), ("damaged", 1), ("none", 2)):
            check(f"http://user:{SECRET}@{web}/{name}.parquet?{query}={SECRET}", code)
    tally(
        "No credential or query of an http URI in outputs, parts, names, messages or --json",
        f"{3 * len(queries)} jobs: scored, stopped midway, refused",
    )


def test_s3(s3_server, tmp_path, make_reviews, check, tally):
    s3 = fs.S3FileSystem(
        access_key="key", secret_key=SECRET, endpoint_override=s3_server, allow_bucket_creation=True
    )
    s3.create_dir("secrets")
    pq.write_table(make_reviews(100), "secrets/x.parquet", filesystem=s3)
    with s3.open_output_stream("secrets/damaged.parquet") as file:
        file.write(damaged(tmp_path / "damaged.parquet").read_bytes())
    query = f"scheme=http&endpoint_override={s3_server.removeprefix('http://')}&region=us-east-1"
    for name, code in (("x", 0), ("damaged", 1), ("none", 2)):
        check(f"s3://key:{SECRET}@secrets/{name}.parquet?{query}", code)
    tally("The same of an s3 URI", "3 jobs: scored, stopped midway, refused")


@pytest.mark.slow
@pytest.mark.parametrize(
    "uri",
    [
        f"gs://token:{SECRET}@bucket/x.parquet?endpoint_override=127.0.0.1:9&scheme=http",
        f"abfss://container:{SECRET}@account.example/x.parquet",
        f"abfs://container@127.0.0.1/x.parquet?sig={SECRET}",
    ],
)
def test_clouds_that_do_not_answer(check, tally, uri):
    check(uri, 2)
    tally(f"The same of a URI of {uri.partition(':')[0]}", "1 job, refused")
