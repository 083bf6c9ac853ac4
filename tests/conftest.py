"""What all tests share: a tiny model file made by the real exporter, and ways to score with it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infer.job.plan import ScoreOptions, make_plan
from infer.job.scoring import score_plan
from infer.job.summary import Summary
from infer.model.card import ModelCard
from infer.model.file import ModelFile, read_model_file, stamp
from infer.model.scorer import Scorer
from infer.model.session import Session
from infer.text.settings import TextSettings
from infer.text.vocabulary import PAD, UNK, Vocabulary

# Tiny networks gain nothing from threads, which spin while they wait. Read when torch is loaded, so
# it holds here too, and in every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

WEB = """
import os
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
class Ranges(SimpleHTTPRequestHandler):
    def do_GET(self):
        path, asked = self.translate_path(self.path), self.headers.get("Range", "")
        if not asked or not os.path.exists(path):
            return super().do_GET()
        start, end = map(int, asked.removeprefix("bytes=").split("-"))
        content = open(path, "rb").read()[start : end + 1]
        self.send_response(206)
        self.send_header("Content-Length", len(content))
        self.end_headers()
        self.wfile.write(content)
server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
print(server.server_port, flush=True)
server.serve_forever()
"""
MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
WORDS = ("good", "bad", "film", "the", "a", "not", ".", "!")
SETTINGS = TextSettings(max_tokens=40, head_tokens=10)
ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults-full", action="store_true", help="Run the long form of tests/faults."
    )
    parser.addoption(
        "--faults-report", type=Path, default=None, help="Write what tests/faults tried, as JSON."
    )


def tiny_card(words: Sequence[str] = WORDS) -> ModelCard:
    return ModelCard(
        SETTINGS,
        Vocabulary((PAD, UNK, *words)),
        ("negative", "positive"),
        "fp32",
        {"accuracy": 0.5},
        {},
        "0",
    )


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Tiny models gain nothing from threads, and lose much to waiting on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)  # training sets it, for whatever this process computes next


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of an untrained BiLSTM with ten tokens."""
    import torch

    from exporter.graph.build import build_graph
    from trainer.network.model import ModelConfig, SentimentLSTM

    card = tiny_card()
    torch.manual_seed(0)
    network = SentimentLSTM(ModelConfig(len(card.vocabulary), 8, 6, 1, "max_mean")).eval()
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    path.write_bytes(stamp(build_graph(network, 17), card))
    return path


@pytest.fixture(scope="session")
def model(model_path: Path) -> ModelFile:
    return read_model_file(model_path)


@pytest.fixture(scope="session")
def session(model: ModelFile) -> Session:
    return Session(model.data, threads=1)


@pytest.fixture(scope="session")
def score(model: ModelFile, session: Session) -> Callable[..., Summary]:
    """Score in this process: `score(source or sources, output, **ScoreOptions)`."""

    def run(sources: Path | str | list[str], output: Path, **options: Any) -> Summary:
        names = sources if isinstance(sources, list) else [str(sources)]
        plan = make_plan(names, output, ScoreOptions(**options))
        return score_plan(plan, Scorer(model, session, plan.options.batch_tokens))

    return run


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what was said so far, a line each."""
    caplog.set_level("INFO", "sent_toolkit")
    return lambda: [r.getMessage() for r in caplog.records if r.name == "sent_toolkit"]


@pytest.fixture(scope="session")
def sent_score(model_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the command in a process of its own: `sent_score(input, "-o", output, …)`."""
    script = Path(sys.executable).with_name("sent-score")
    code = "from infer.cli import main; main()"
    command = [str(script)] if script.exists() else [sys.executable, "-c", code]

    def run(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
        words = [*command, *map(str, arguments)]
        if "--model" not in words:
            words += ["--model", str(model_path)]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=120, **options
        )

    return run


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Host and port of a web server of this folder."""
    with _server(WEB, tmp_path) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of a local S3 server."""
    with _server(MOTO, ROOT) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _server(code: str, folder: Path) -> Iterator[int]:
    """Run a server in a process of its own, which prints its port."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


@pytest.fixture(scope="session")
def stub_cuda() -> Path:
    """The folder with stub libraries on which ONNX Runtime's own CUDA provider runs."""
    import onnxruntime

    beside = ROOT.parent / "shared" / "gpu" / "rehearsal" / "lib"
    folder = Path(os.environ.get("SENT_CUDA_REHEARSAL", beside))
    if not (folder / "libcudart.so.13").is_file():
        pytest.skip(f"no stub CUDA libraries in {folder}: set SENT_CUDA_REHEARSAL")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime was built without CUDA")
    return folder


@pytest.fixture(scope="session")
def rehearse(stub_cuda: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run Python code on CUDA without a GPU: `rehearse(code, argument …, FAKE_DEVICES=0, …)`.

    The stub libraries compute nothing (every logit is zero) and log every call to `FAKE_LOG`. A
    process loads a library once, so each call has its own.
    """

    def run(
        code: str, *arguments: object, lib: Path = stub_cuda, **settings: object
    ) -> "subprocess.CompletedProcess[str]":
        kept = {n: value for n, value in os.environ.items() if n != "CUDA_VISIBLE_DEVICES"}
        mine = {"LD_LIBRARY_PATH": lib, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": 1, **settings}
        environment = {**kept, **{name: str(value) for name, value in mine.items()}}
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return run
