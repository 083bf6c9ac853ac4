"""Ray: actors of Ray Data, and tasks that each score a shard; killed and started again."""

import pytest

from .conftest import RECIPES, kill_when, needs, rows_of, run, write_reviews

pytestmark = pytest.mark.engines

KILLED = """
import os, signal, sys
import infer
from examples.engines import ray_data
model, source, output = sys.argv[1:]
class Once(infer.Scorer):
    def __call__(self, table):
        if not os.path.exists(output + ".killed"):
            open(output + ".killed", "x")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(table)
options = infer.Scorer(model, device="cpu", text_column="raw", columns=["id"])
infer.Scorer = Once  # which the recipe names
ray_data.score(source, output, options, actors=1, gpus=0)
"""
ONE_IS_KILLED = """
import os, signal, sys, threading, time
import ray
from examples.engines import ray_shards
model, source, output = sys.argv[1:]
ray.init(num_cpus=2)
def kill_one():
    while not os.path.isdir(output):
        time.sleep(0.05)
    with open(output + ".killed", "x") as file:
        for process in filter(str.isdigit, os.listdir("/proc")):
            with open(f"/proc/{process}/cmdline") as command:
                if command.read().startswith("ray::score_shard") and owned(int(process)):
                    os.kill(int(process), signal.SIGKILL)
                    return file.write(process)
def owned(process):
    # by the raylet of this session, not of another one on this machine
    with open(f"/proc/{process}/environ") as settings:
        return f"ENGINES_TEST={os.environ['ENGINES_TEST']}" in settings.read().split(chr(0))
threading.Thread(target=kill_one).start()
print(ray_shards.score(source, output, 4, model=model, columns=["id"]))
"""


@pytest.fixture(autouse=True)
def _installed():
    needs("ray")


def test_ray_data_gives_the_rows_of_the_command(reviews, expected, model_path, tmp_path):
    run(RECIPES / "ray_data.py", reviews, tmp_path / "out", "--model", model_path)
    assert rows_of(tmp_path / "out").equals(expected)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_actor_is_killed(reviews, by_command, model_path, tmp_path):
    expected = by_command(reviews, "raw")
    run("-c", KILLED, model_path, reviews, tmp_path / "out")
    assert (tmp_path / "out.killed").exists()
    assert "invalid" in expected["status"].to_pylist()
    assert rows_of(tmp_path / "out").equals(expected)


def test_a_task_is_killed(reviews, expected, model_path, tmp_path):
    printed = run("-c", ONE_IS_KILLED, model_path, reviews, tmp_path / "out", ENGINES_TEST=tmp_path)
    assert (tmp_path / "out.killed").read_text()
    assert printed == "1000\n"
    assert rows_of(tmp_path / "out").equals(expected)


def test_ray_is_killed_and_started_again(by_command, model_path, tmp_path):
    source = write_reviews(tmp_path / "in", 24, 50)
    words = (RECIPES / "ray_shards.py", source, tmp_path / "out", "--model", model_path)
    kill_when(lambda: bool(list(tmp_path.glob("out/*.parquet"))), *words, "--shards", 6)
    there = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/*.parquet")}
    assert 0 < len(there) < 24
    assert run(*words, "--shards", 4) == "1,200 rows\n"
    assert rows_of(tmp_path / "out").equals(by_command(source))
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == time for name, time in there.items())
