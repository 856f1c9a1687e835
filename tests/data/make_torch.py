"""Makes tests/data/torch and tests/data/onnx: PyTorch's own files, and its own states.

    python -m pip install torch onnx onnxscript && python tests/data/make_torch.py

Every model has a truth file: ``x``, and ``y:NAME`` for what the module NAME returned for it.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

HERE = Path(__file__).parent
warnings.filterwarnings("ignore")


class Tagger(nn.Module):
    """An embedding, a stack of two modules, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.encoder = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.top = nn.GRU(8, 2, batch_first=True)
        self.head = nn.Linear(2, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores for every id."""
        encoded, _ = self.encoder(self.embedding(ids))
        return self.head(self.top(self.drop(encoded))[0])


class Plain(nn.Module):
    """One recurrent module behind dense layers, or alone."""

    def __init__(self, cell: type, dense: bool = False, **options: object) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(3, 3), nn.ReLU()) if dense else nn.Identity()
        self.rnn = cell(3, 4, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every output."""
        return self.rnn(self.dense(x))[0]


def truth(model: nn.Module, x: torch.Tensor, modules: list[str]) -> dict[str, np.ndarray]:
    """What some modules return for x, always (sequence, timestep, feature)."""
    found: dict[str, np.ndarray] = {}

    def keep(name: str, module: nn.Module, made: tuple) -> None:
        array = made[0].detach().float().numpy()
        found[f"y:{name}"] = array if module.batch_first else array.swapaxes(0, 1)

    for name in modules:
        module = model.get_submodule(name)
        module.register_forward_hook(lambda m, _, made, name=name: keep(name, m, made))
    model.eval()(x)
    return found


def main() -> None:
    """Write everything."""
    torch.manual_seed(4)
    ids = torch.randint(0, 11, (2, 5))
    tagger = Tagger().eval()
    expected = {"x": ids.numpy(), **truth(tagger, ids, ["encoder", "top"])}
    for folder in ("torch", "onnx"):
        np.savez(HERE / folder / "tagger_truth.npz", **expected)
    clean = Tagger().eval()  # without hooks, which TorchScript would want to compile
    clean.load_state_dict(tagger.state_dict())
    state = clean.state_dict()
    torch.save(state, HERE / "torch/tagger.pt")
    torch.save(state, HERE / "torch/tagger_legacy.pt", _use_new_zipfile_serialization=False)
    optimizer = torch.optim.Adam(clean.parameters())
    saved = {"epoch": 3, "model": state, "optimizer": optimizer.state_dict(), "best": None}
    torch.save(saved, HERE / "torch/tagger_training.pt")
    torch.jit.script(clean).save(str(HERE / "torch/tagger_script.pt"))
    torch.save(clean.embedding, HERE / "torch/whole_module.pt")

    x = torch.randn(2, 5, 3)
    for name, cell, options in (
        ("proj", nn.LSTM, {"proj_size": 2, "num_layers": 2}),
        ("nobias", nn.LSTM, {"bias": False}),
        ("gru", nn.GRU, {"num_layers": 2, "bidirectional": True}),
        ("rnn", nn.RNN, {}),
    ):
        model = Plain(cell, batch_first=True, **options)
        torch.save(model.state_dict(), HERE / f"torch/{name}.pt")
        np.savez(HERE / f"torch/{name}_truth.npz", x=x.numpy(), **truth(model, x, ["rnn"]))
    half = Plain(nn.LSTM, batch_first=True).to(torch.bfloat16)
    torch.save(half.state_dict(), HERE / "torch/bfloat16.pt")
    np.savez(HERE / "torch/bfloat16_truth.npz", x=x.numpy(), **truth(half.float(), x, ["rnn"]))

    def export(name: str, model: nn.Module, given: torch.Tensor, **options: object) -> None:
        torch.onnx.export(
            model, (given,), str(HERE / f"onnx/{name}.onnx"), input_names=["x"], **options
        )

    free = {"x": {0: "batch", 1: "time"}}
    export("tagger", clean, ids, dynamo=False, opset_version=17, dynamic_axes=free)
    for name, cell, options in (
        ("gru", nn.GRU, {"bidirectional": True}),
        ("rnn", nn.RNN, {"nonlinearity": "relu"}),
        ("lstm", nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    ):
        for first in (True, False):
            model = Plain(cell, dense=True, batch_first=first, **options)
            given = x if first else x.swapaxes(0, 1).contiguous()
            fresh = Plain(cell, dense=True, batch_first=first, **options).eval()
            fresh.load_state_dict(model.state_dict())
            label = f"{name}_{'batch' if first else 'time'}_first"
            expected = {"x": x.numpy(), **truth(model, given, ["rnn"])}
            np.savez(HERE / f"onnx/{label}_truth.npz", **expected)
            # Without folding, gates are reordered by nodes of the graph.
            export(
                label, fresh, given, dynamo=False, opset_version=11,
                do_constant_folding=first, dynamic_axes=free,
            )  # fmt: skip
            if name == "lstm" and first:
                np.savez(HERE / "onnx/lstm_dynamo_truth.npz", **expected)
                export("lstm_dynamo", fresh, given, dynamo=True, external_data=False, verbose=False)
                _forget_where_it_was_made(HERE / "onnx/lstm_dynamo.onnx")


def _forget_where_it_was_made(path: Path) -> None:
    """Drop stack traces, which name the folders of whoever ran this."""
    model = onnx.load(path)
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output,
                 *model.graph.initializer, *model.graph.value_info):  # fmt: skip
        del part.metadata_props[:]
    onnx.save(model, path)


if __name__ == "__main__":
    sys.exit(main())
