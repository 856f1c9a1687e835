"""Attacks on Keras' loaders by name: here a file is data, and none of them has anything to call.

Each file is read by every command that takes it, in a process that ends itself as soon as something
is started, unpickled, imported, connected or written elsewhere.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from fuzz.audit import AUDIT

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "sample_data"
CANARY = "canary"

GUARDED = (
    "import sys; from pathlib import Path; import rnnscope.cli.main as main; "
    "from rnnscope.checkpoints import readers; readers(); import numpy, h5py; "
    "from fuzz.audit import watch; watch(Path.cwd()); sys.argv[0] = 'rnnscope'; main.main()"
)


class Touch:
    """Makes the canary when it is unpickled."""

    def __reduce__(self):
        return (os.system, (f"touch {CANARY}",))


def layer(class_name, module, config, name="attack"):
    return {
        "class_name": class_name,
        "module": module,
        "registered_name": None,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": [],
    }


LAMBDA_CODE = {"class_name": "__lambda__", "config": {"code": "4wAAAAA=", "defaults": None}}

IN_CONFIG = {
    "CVE-2024-3660 (a Lambda layer's code)": layer(
        "Lambda", "keras.layers", {"function": LAMBDA_CODE}
    ),
    "CVE-2025-1550 (any class of any module)": layer(
        "function",
        "os",
        {"function": {"module": "os", "class_name": "function", "config": "system"}},
    ),
    "CVE-2025-8747 (get_file fetches and unpacks)": layer(
        "Lambda",
        "keras.layers",
        {
            "function": {"module": "keras.utils", "class_name": "function", "config": "get_file"},
            "arguments": {"origin": "http://127.0.0.1:9/x", "extract": True},
        },
    ),
    "CVE-2025-9906 (a config turns safe mode off)": layer(
        "function",
        "keras.config",
        {
            "function": {
                "module": "keras.config",
                "class_name": "function",
                "config": "enable_unsafe_deserialization",
            }
        },
    ),
    "CVE-2025-49655 (a pickle in TorchModuleWrapper)": layer(
        "TorchModuleWrapper",
        "keras.layers",
        {"module": {"class_name": "__bytes__", "config": pickle.dumps(Touch()).hex()}},
    ),
    "CVE-2026-1462 (TFSMLayer loads a SavedModel)": layer(
        "TFSMLayer", "keras.layers", {"filepath": "evil_saved_model", "call_endpoint": "serve"}
    ),
}


def put_into(config, attack, how):
    """The model's configuration with an attack beside its layers, or in place of one."""
    layers = config["config"]["layers"]
    if how == "beside":
        return {**config, "config": {**config["config"], "layers": [*layers, attack]}}
    place = next(n for n, one in enumerate(layers) if "InputLayer" not in one["class_name"])
    changed = {**layers[place], **{key: attack[key] for key in ("class_name", "module", "config")}}
    return {
        **config,
        "config": {**config["config"], "layers": [*layers[:place], changed, *layers[place + 1 :]]},
    }


def keras_with(folder, attack, how):
    source = SAMPLE / "keras_mask/model.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(folder / "m.keras", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(put_into(json.loads(content), attack, how))
            new.writestr(name, content)
    shutil.copy(SAMPLE / "keras_mask/inputs.npz", folder)


def guarded(folder, *arguments):
    """Run a command under the audit hook; it must end with an answer or a named error."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
        "PYTHONDONTWRITEBYTECODE": "1",  # of a module that nobody has imported before
    }
    found = subprocess.run(
        [sys.executable, "-c", GUARDED, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode != AUDIT, found.stderr
    assert found.returncode in (0, 1, 2), found.stderr
    assert "Traceback" not in found.stderr
    assert not (folder / CANARY).exists()
    return found


@pytest.mark.parametrize("how", ["beside", "in place"])
@pytest.mark.parametrize("attack", IN_CONFIG.values(), ids=IN_CONFIG.keys())
def test_an_attack_in_a_configuration(tmp_path, attack, how):
    keras_with(tmp_path, attack, how)
    guarded(tmp_path, "inspect", "m.keras")
    guarded(tmp_path, "run", "m.keras", "inputs.npz", "-o", "t.h5")


def test_cve_2025_9905_a_lambda_in_h5(tmp_path):
    """Legacy files were loaded without regard to safe mode."""
    shutil.copy(SAMPLE / "keras_stack/model.h5", tmp_path / "m.h5")
    attack = IN_CONFIG["CVE-2024-3660 (a Lambda layer's code)"]
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(put_into(config, attack, "in place"))
    guarded(tmp_path, "inspect", "m.h5")
    shutil.copy(SAMPLE / "keras_stack/inputs.npz", tmp_path)
    guarded(tmp_path, "run", "m.h5", "inputs.npz", "-o", "t.h5")


def largest_dataset(file):
    found = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    largest = max(found, key=lambda item: item.size)
    return largest.name, largest.shape


def weights_changed(folder, change):
    """The sample's .keras with its weights' file changed."""
    source = SAMPLE / "keras_mask/model.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(folder / "m.keras", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".h5"):
                held = io.BytesIO(content)
                with h5py.File(held, "r+") as file:
                    place, shape = largest_dataset(file)
                    del file[place]
                    change(file, place, shape)
                content = held.getvalue()
            new.writestr(name, content)


def test_cve_2026_0897_weights_that_declare_terabytes(tmp_path):
    weights_changed(
        tmp_path,
        lambda file, place, _: file.create_dataset(place, (2**20, 2**20), "f4", chunks=(64, 64)),
    )
    found = guarded(tmp_path, "inspect", "m.keras")
    assert found.returncode == 2
    assert "declares more values than the file stores" in found.stderr


def test_cve_2026_1669_weights_in_another_file(tmp_path):
    """HDF5's external storage would read any file of the machine into the weights."""
    (tmp_path / "secret").write_bytes(np.full(10_000, 7, "f4").tobytes())
    weights_changed(
        tmp_path,
        lambda file, place, shape: file.create_dataset(
            place, shape, "f4", external=[(str(tmp_path / "secret"), 0, int(np.prod(shape)) * 4)]
        ),
    )
    found = guarded(tmp_path, "inspect", "m.keras")
    assert found.returncode == 2
    assert "keeps its values outside the file" in found.stderr


@pytest.mark.parametrize("name", ["m.pt", "m.pkl", "m.npy", "m.npz"])
def test_pickles_that_call(tmp_path, name):
    path = tmp_path / name
    if name == "m.pt":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/data.pkl", pickle.dumps(Touch(), 2))
    elif name == "m.pkl":
        path.write_bytes(pickle.dumps({"lstm.weight_ih_l0": Touch()}, 2))
    else:
        array = np.array([Touch()], dtype=object)
        np.save(path, array) if name == "m.npy" else np.savez(path, x=array)
    found = guarded(tmp_path, "inspect", name)
    assert found.returncode == 2


FORBIDDEN = (
    "os.system('true')",
    "open('/tmp/x', 'w')",
    "import socket; socket.socket().bind(('', 0))",
    "import pickle; pickle.loads(pickle.dumps(os.system))",
    "import torch",
)


def test_the_guard_sees_what_it_should(tmp_path):
    """A hook that never speaks would let every test of this file pass."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "XDG_CACHE_HOME": "/nowhere"}
    start = "import os; from pathlib import Path; from fuzz.audit import watch; watch(Path.cwd())"
    for code in FORBIDDEN:
        found = subprocess.run(
            [sys.executable, "-c", f"{start}\n{code}"],
            cwd=tmp_path, env=environment, capture_output=True, check=False,
        )  # fmt: skip
        assert found.returncode == AUDIT, code
