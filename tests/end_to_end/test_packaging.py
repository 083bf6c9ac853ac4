"""The wheel without extras scores a file where there is no torch; layers hold."""

import subprocess
import sys
import venv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from .conftest import DATA, REPOSITORY, Trained


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and nothing that only an extra brings."""
    folder = tmp_path_factory.mktemp("bare")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, REPOSITORY], check=True)
    venv.create(folder / "venv", with_pip=True)
    wheel = next(folder.glob("sent_toolkit-*.whl"))
    python = folder / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "-q", "install",
         "-c", REPOSITORY / "constraints.txt", wheel],
        check=True,
    )  # fmt: skip
    return folder / "venv" / "bin"


@pytest.mark.slow
def test_the_bare_wheel_scores_without_torch(bare: Path, trained: Trained, tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    code = (
        "import importlib.util, sys\n"
        "from infer.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules and importlib.util.find_spec('torch') is None\n"
        "import infer; assert 'site-packages' in infer.__file__\n"
    )
    arguments = [DATA / "reviews.parquet", "-o", output, "--model", trained.model]
    subprocess.run([bare / "python", "-c", code, *arguments], cwd=tmp_path, check=True)
    assert pq.read_metadata(output).num_rows == 400


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "extra"),
    [("sent-train", "train"), ("sent-export", "train"), ("sent-report", "report")],
)
def test_a_missing_extra_is_named(
    command: str, extra: str, bare: Path, trained: Trained, tmp_path: Path
) -> None:
    data = {
        "sent-train": ["--data", DATA / "train.parquet"],
        "sent-export": [],
        "sent-report": [DATA / "reviews.parquet", "-o", "report.html"],
    }[command]
    result = subprocess.run(
        [bare / command, *data], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert f"pip install -c constraints.txt '.[{extra}]'" in result.stderr


def test_imports_run_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    subprocess.run([linter], cwd=REPOSITORY, check=True, capture_output=True)
