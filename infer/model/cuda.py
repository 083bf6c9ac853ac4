"""Whether ONNX Runtime can use CUDA here, and if not, which part is missing and what to do.

ONNX Runtime lists providers that its build knows rather than those that work, and falls back to
the CPU in silence. So each link of the chain is tried by itself before a session is made: wheel,
driver, libraries, cuDNN (which the provider opens only at its first LSTM), driver version, cards.
"""

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort
from onnxruntime.capi import build_and_package_info as build

CUDA: Final = "CUDAExecutionProvider"
CUDNN: Final = "libcudnn.so.9"
_INSTALL: Final = (
    "Install the CUDA libraries from the toolkit's folder: pip install -c constraints.txt "
    "'.[cuda]', or use --device cpu"
)
_UPDATE: Final = "Update the NVIDIA driver, or use --device cpu"
_NO_DEVICE, _DRIVER_TOO_OLD = 100, 35  # cudaError_t


def cuda_problem(index: int = 0) -> str | None:
    """Return why CUDA device `index` cannot be used here, with the remedy, or None."""
    if CUDA not in ort.get_available_providers():
        return (
            f"this ONNX Runtime ({ort.__version__}) was built without CUDA. Install the GPU wheel: "
            "pip install onnxruntime-gpu (and uninstall onnxruntime), or use --device cpu"
        )
    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    if (missing := _cannot_load(driver)) is not None:
        return f"no NVIDIA driver ({missing}). Use --device cpu, or run on a host with a GPU"
    load_libraries()
    if sys.platform == "win32":  # the session itself will tell
        return None
    return _missing_library() or _driver_problem() or _device_problem(index)


def device_count() -> int:
    """Return how many CUDA devices are visible here, where `cuda_problem` finds none amiss."""
    count = ctypes.c_int()
    return 0 if runtime().cudaGetDeviceCount(ctypes.byref(count)) else count.value


def free_memory(index: int) -> int | None:
    """Return the bytes that are free on a CUDA device, None where it cannot be asked."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    try:
        cudart = runtime()
        if cudart.cudaSetDevice(index):
            return None
        failed = cudart.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total))
    except (OSError, AttributeError):
        return None
    return None if failed else free.value


def wheel_conflict() -> str | None:
    """Return a warning when both wheels of ONNX Runtime lie in one folder, else None."""
    folders = [_folder_of(name) for name in ("onnxruntime", "onnxruntime-gpu")]
    if None in folders or folders[0] != folders[1]:
        return None
    return (
        "both onnxruntime and onnxruntime-gpu are installed; they overwrite each other's files "
        "and CUDA may be lost. Remedy: pip uninstall onnxruntime onnxruntime-gpu, then "
        "pip install onnxruntime-gpu"
    )


def load_libraries() -> None:
    """Load CUDA's libraries from the folders where pip puts them.

    ONNX Runtime looks in the site-packages that it lies in itself; NVIDIA's wheels may lie in
    another (PyTorch's, where the scorer was installed with `pip --target`).
    """
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it prints, and warns of, what it does not find
        for folder in library_folders():
            ort.preload_dlls(directory=str(folder))
        ort.preload_dlls()


def library_folders() -> list[Path]:
    """Return the folders with libraries of NVIDIA's wheels, of every site-packages on the path."""
    spec = importlib.util.find_spec("nvidia")
    places = spec.submodule_search_locations if spec is not None else None
    part = "bin" if sys.platform == "win32" else "lib"
    return [folder for place in places or () for folder in sorted(Path(place).glob(f"*/{part}"))]


def _missing_library() -> str | None:
    """Say which of the provider's libraries cannot be loaded, and where they were looked for."""
    library = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    missing = _cannot_load(str(library))
    if missing is not None and "undefined symbol" not in missing:
        return f"a CUDA library is missing ({missing}). {_looked()}. {_INSTALL}"
    if (missing := _cannot_load(CUDNN)) is not None:
        return f"cuDNN is missing ({missing}). {_looked()}. {_INSTALL}"
    return None


def _looked() -> str:
    """Say where libraries were looked for."""
    folders = [str(folder) for folder in library_folders()]
    named = [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p]
    wheels = ", ".join(folders) or "none installed"
    paths = ", ".join(named) or "not set"
    return f"Looked in NVIDIA's wheels ({wheels}), LD_LIBRARY_PATH ({paths}), the system's folders"


def _driver_problem() -> str | None:
    """Say whether the driver is older than the CUDA that the wheel was built with."""
    found = ctypes.c_int()
    if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(found)):
        return None  # the runtime will tell
    have, need = found.value // 1000, _built_with()
    if have >= need:
        return None
    return (
        f"the NVIDIA driver is too old: it knows CUDA {have}.{found.value % 1000 // 10}, ONNX "
        f"Runtime {ort.__version__} was built for CUDA {need}. {_UPDATE}"
    )


def _device_problem(index: int) -> str | None:
    """Say whether the device is there."""
    count = ctypes.c_int()
    cudart = runtime()
    error = cudart.cudaGetDeviceCount(ctypes.byref(count))
    if error == _NO_DEVICE or (not error and not count.value):
        return f"no CUDA device is visible here ({_visible()}). Use --device cpu"
    if error == _DRIVER_TOO_OLD:
        return f"the NVIDIA driver is too old for CUDA {_built_with()}. {_UPDATE}"
    if error:
        return f"CUDA failed with error {error} ({_error_text(cudart, error)}). Use --device cpu"
    if index >= count.value:
        numbers = "only cuda:0" if count.value == 1 else f"cuda:0 to cuda:{count.value - 1}"
        return f"there is {numbers} here ({_visible()}). Name another device, or use --device cpu"
    return None


def _visible() -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "CUDA_VISIBLE_DEVICES is " + ("not set" if hidden is None else repr(hidden))


def _error_text(cudart: Any, error: int) -> str:
    cudart.cudaGetErrorString.restype = ctypes.c_char_p
    text: bytes | None = cudart.cudaGetErrorString(error)
    return (text or b"unknown").decode(errors="replace")


def runtime() -> Any:
    """Return CUDA's runtime, which the provider has loaded."""
    return ctypes.CDLL(f"libcudart.so.{_built_with()}")


def _built_with() -> int:
    """Return the major version of the CUDA that ONNX Runtime was built with."""
    return int(str(getattr(build, "cuda_version", "") or "0").split(".")[0])


def _cannot_load(library: str) -> str | None:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return None


def _folder_of(name: str) -> Path | None:
    """Return the folder that a package was installed into."""
    try:
        return Path(str(importlib.metadata.distribution(name).locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        return None
