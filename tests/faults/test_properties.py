"""A score does not depend on row groups, budgets, parts or order (promises 4 and 5)."""

import itertools

import numpy as np
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TOLERANCE = 1e-6


def test_row_groups_budgets_parts_and_order(tmp_path, score, make_reviews, full, tally):
    tries, differences = itertools.count(), [0.0]

    @settings(
        max_examples=200 if full else 12,
        derandomize=not full,  # the short form takes as long every time
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        rows=st.integers(1, 200 if full else 60),
        seed=st.integers(0, 1000),
        group=st.integers(1, 300),
        batch_tokens=st.integers(1, 3000),
        part_rows=st.integers(1, 300),
    )
    def check(rows, seed, group, batch_tokens, part_rows):
        table = make_reviews(rows, seed)
        order = np.random.default_rng(seed).permutation(rows)
        pq.write_table(table, tmp_path / "a.parquet")
        pq.write_table(table.take(order), tmp_path / "b.parquet", row_group_size=group)
        score(tmp_path / "a.parquet", tmp_path / "a-out.parquet", overwrite=True)
        score(
            tmp_path / "b.parquet",
            tmp_path / "b-out.parquet",
            overwrite=True,
            batch_tokens=batch_tokens,
            part_rows=part_rows,
        )
        one, two = (pq.read_table(tmp_path / f"{name}-out.parquet") for name in "ab")
        assert two["id"].to_pylist() == order.tolist()
        for column in ("prediction", "status"):
            assert two[column].to_pylist() == one[column].take(order).to_pylist()
        difference = np.abs(two["score"].to_numpy() - one["score"].to_numpy()[order]).max()
        differences.append(float(difference))
        assert difference <= TOLERANCE
        next(tries)

    check()
    tally(
        f"Rows, order and scores (within {TOLERANCE}) do not depend on row groups, batch budget, "
        "part size or the order of rows",
        f"{next(tries)} random files, largest difference {max(differences):.1e}",
    )
