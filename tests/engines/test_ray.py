"""Ray: actors of Ray Data, and tasks that each score a shard; killed and started again."""

import pytest

from .conftest import RECIPES, kill_when, needs, rows_of, run, write_reviews

pytestmark = pytest.mark.engines

KILLED = """
import os, signal, sys, threading, time
import infer
import ray
from examples.engines import ray_data, ray_shards

class Once(infer.Scorer):
    def __call__(self, table):
        if not os.path.exists(by_actors + ".killed"):
            open(by_actors + ".killed", "x")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(table)

def kill_a_task():
    while not os.path.isdir(by_tasks):
        time.sleep(0.05)
    mine = f"ENGINES_TEST={os.environ['ENGINES_TEST']}"  # Ray may run elsewhere on this machine
    for process in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{process}/cmdline") as command:
            if not command.read().startswith("ray::score_shard"):
                continue
        with open(f"/proc/{process}/environ") as settings:
            if mine in settings.read().split(chr(0)):
                os.kill(int(process), signal.SIGKILL)
                return open(by_tasks + ".killed", "x").close()

model, source, by_actors, by_tasks = sys.argv[1:]
ray.init(num_cpus=2)
options = infer.Scorer(model, device="cpu", text_column="raw", columns=["id"])
infer.Scorer = Once  # which the recipe names
ray_data.score(source, by_actors, options, actors=1, gpus=0)
threading.Thread(target=kill_a_task).start()
ray_shards.score(source, by_tasks, 4, model=model, text_column="raw", columns=["id"])
"""


@pytest.fixture(autouse=True)
def _installed():
    needs("ray")


def test_ray_data_gives_the_rows_of_the_command(reviews, expected, model_path, tmp_path):
    run(RECIPES / "ray_data.py", reviews, tmp_path / "out", "--model", model_path)
    assert rows_of(tmp_path / "out").equals(expected)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_actor_is_killed_and_a_task(reviews, by_command, model_path, tmp_path):
    expected = by_command(reviews, "raw")
    outputs = tmp_path / "actors", tmp_path / "tasks"
    run("-c", KILLED, model_path, reviews, *outputs, ENGINES_TEST=tmp_path)
    assert "invalid" in expected["status"].to_pylist()
    for output in outputs:
        assert output.with_name(output.name + ".killed").exists()
        assert rows_of(output).equals(expected)


def test_ray_is_killed_and_started_again(by_command, model_path, tmp_path):
    source = write_reviews(tmp_path / "in", 24, 50)
    words = (RECIPES / "ray_shards.py", source, tmp_path / "out", "--model", model_path)
    kill_when(lambda: bool(list(tmp_path.glob("out/*.parquet"))), *words, "--shards", 6)
    there = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/*.parquet")}
    assert 0 < len(there) < 24
    run(*words, "--shards", 4)
    assert rows_of(tmp_path / "out").equals(by_command(source))
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == time for name, time in there.items())
