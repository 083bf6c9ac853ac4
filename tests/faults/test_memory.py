"""Peak memory: bounded, whatever the file (promise 10)."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def peak(worker, source, output, *options):
    """Return the peak resident memory of a run in MB; its rows are all there."""
    job = worker.start(source, output, *options)
    assert job.wait() == 0, job.stderr
    assert pq.read_metadata(output).num_rows == pq.read_metadata(source).num_rows
    output.unlink()
    return job.peak_kb / 1024


def short_reviews(path, rows, row_group=100_000):
    """Write reviews of one to eight words, a hundred thousand at a time."""
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    draw = np.random.default_rng(0)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, row_group):
            count = min(row_group, rows - start)
            words = draw.choice(["good", "bad", "film", "the", "a", "not"], (count, 8))
            texts = [" ".join(row[: i % 8 + 1]) for i, row in enumerate(words)]
            table = pa.table({"id": np.arange(start, start + count), "text": texts})
            writer.write_table(table, row_group_size=row_group)
    return path


def test_memory_does_not_grow_with_rows(worker, tmp_path, full, tally):
    few, many = (100_000, 1_000_000) if full else (50_000, 100_000)
    peaks = [
        peak(worker, short_reviews(tmp_path / f"{rows}.parquet", rows), tmp_path / "out.parquet")
        for rows in (few, many)
    ]
    assert peaks[1] < 1.15 * peaks[0]
    if full:
        source = short_reviews(tmp_path / "one.parquet", many, row_group=many)
        peaks.append(peak(worker, source, tmp_path / "out.parquet"))
        assert peaks[2] < 1.15 * peaks[0]
        tally(
            "Peak memory is independent of the rows (within 15 %), also in one huge row group",
            f"{few:,} reviews {peaks[0]:.0f} MB; {many:,} {peaks[1]:.0f} MB; "
            f"{many:,} in one row group {peaks[2]:.0f} MB",
        )


def test_distinct_words(worker, tmp_path, full, tally):
    """Ten million words, no two alike: neither cache nor vocabulary keeps them."""
    if not full:
        pytest.skip("takes a minute: --faults-full")
    rows, words = 100_000, 100
    texts = (" ".join(f"w{i * words + j}x" for j in range(words)) for i in range(rows))
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), tmp_path / "in.parquet")
    megabytes = peak(worker, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert megabytes < 3_000
    tally("Distinct words do not fill the memory", f"{rows * words:,} words, {megabytes:.0f} MB")


def test_a_text_repeated_by_a_dictionary_page(worker, tmp_path, tally):
    """A file of some kilobytes that stands for 96 MB of text, scored and carried."""
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.arange(2_000) % 2, pa.int32()), ["good film . " * 4_000, "bad"]
    )
    table = pa.table({"id": np.arange(2_000), "text": texts, "copy": texts})
    pq.write_table(table, tmp_path / "in.parquet", store_schema=False)
    megabytes = peak(worker, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert megabytes < 1_000
    size = (tmp_path / "in.parquet").stat().st_size
    tally(
        "A dictionary page that stands for far more text than it holds",
        f"a file of {size // 1024} kB for 96 MB of text: {megabytes:.0f} MB",
    )
