"""Makes tests/data/onnx_models: what PyTorch's exporters make of models with more around the cell.

    python -m pip install torch onnx onnxscript && python tests/data/make_torch_onnx.py

Every model has a truth file: what goes in under the model's own names, and the states of every
step, by layer and direction (``true_fw_l0_c``), which PyTorch's single cells computed.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent / "onnx_models"
BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, 6
warnings.filterwarnings("ignore")


class Model(nn.Module):
    """A recurrent module with something in front of it, or more that goes in."""

    def __init__(self, cell: str, layers: int, both: bool, batch_first: bool, kind: str) -> None:
        super().__init__()
        self.kind, self.batch_first = kind, batch_first
        self.conv = nn.Conv1d(FEATURES, FEATURES, 3, padding=1) if kind == "conv" else None
        self.rnn = getattr(nn, cell)(
            FEATURES, UNITS, layers, bidirectional=both, batch_first=batch_first
        )
        self.head = nn.Linear(UNITS * (1 + both), 3)

    def front(self, x: torch.Tensor) -> torch.Tensor:
        """What the recurrent module receives."""
        if self.conv is None:
            return x
        turned = x.transpose(1, 2) if self.batch_first else x.permute(1, 2, 0)
        made = torch.relu(self.conv(turned))
        return made.transpose(1, 2) if self.batch_first else made.permute(2, 0, 1)

    def forward(self, x: torch.Tensor, *more: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scores of every step, and final states."""
        x = self.front(x)
        if self.kind == "packed":
            packed = nn.utils.rnn.pack_padded_sequence(
                x, more[0], batch_first=self.batch_first, enforce_sorted=False
            )
            outputs, final = self.rnn(packed)
            outputs, _ = nn.utils.rnn.pad_packed_sequence(
                outputs, batch_first=self.batch_first, total_length=STEPS
            )
        elif self.kind == "states":
            outputs, final = self.rnn(x, more if len(more) == 2 else more[0])
        else:
            outputs, final = self.rnn(x)
        return (self.head(outputs), *(final if isinstance(final, tuple) else (final,)))


class CellLoop(nn.Module):
    """An LSTMCell in a loop of Python, which an exporter writes out or keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(FEATURES, UNITS)
        self.units = UNITS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every h, (sequence, timestep, unit)."""
        h = torch.zeros(x.size(0), self.units)
        c = torch.zeros(x.size(0), self.units)
        made: list[torch.Tensor] = []
        for step in range(x.size(1)):
            h, c = self.cell(x[:, step], (h, c))
            made.append(h)
        return torch.stack(made, 1)


def single_cell(module: nn.Module, suffix: str) -> nn.Module:
    """The cell of one layer and direction."""
    kind = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell}[type(module).__name__]
    weight = getattr(module, f"weight_ih{suffix}")
    cell = kind(weight.shape[1], UNITS)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data.copy_(getattr(module, name + suffix))
    return cell


def states_of(model: Model, x: torch.Tensor, more: list[torch.Tensor]) -> dict[str, np.ndarray]:
    """The states of every valid step; zeros beyond."""
    found: dict[str, np.ndarray] = {}
    module = model.rnn
    x = model.front(x)
    x = x if model.batch_first else x.transpose(0, 1)
    lengths = more[0] if model.kind == "packed" else torch.full((len(x),), STEPS)
    directions = 2 if module.bidirectional else 1
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            cell = single_cell(module, f"_l{layer}" + ("_reverse" if direction else ""))
            h_all, c_all = torch.zeros(len(x), STEPS, UNITS), torch.zeros(len(x), STEPS, UNITS)
            for row in range(len(x)):
                state = [torch.zeros(1, UNITS), torch.zeros(1, UNITS)]
                if model.kind == "states":
                    number = layer * directions + direction
                    state = [given[number, row : row + 1] for given in more]
                for step in range(int(lengths[row])):
                    at = int(lengths[row]) - 1 - step if direction else step
                    if isinstance(cell, nn.LSTMCell):
                        state = list(cell(x[row : row + 1, at], tuple(state)))
                        c_all[row, at] = state[1][0]
                    else:
                        state = [cell(x[row : row + 1, at], state[0])]
                    h_all[row, at] = state[0][0]
            name = f"true_{'bw' if direction else 'fw'}_l{layer}_"
            found[name + "m"] = h_all.numpy()
            if isinstance(cell, nn.LSTMCell):
                found[name + "c"] = c_all.numpy()
            outputs.append(h_all)
        x = torch.cat(outputs, -1)
    return found


def export(name: str, model: nn.Module, inputs: list[torch.Tensor], names: list[str], new: bool,
           axes: list[dict[int, str]]) -> None:  # fmt: skip
    """Write a model with open sizes."""
    path = str(HERE / f"{name}.onnx")
    if new:
        shapes = [{axis: torch.export.Dim(own) for axis, own in one.items()} for one in axes]
        dynamic = (shapes[0], tuple(shapes[1:])) if len(shapes) > 1 else (shapes[0],)
        torch.onnx.export(
            model, tuple(inputs), path, dynamo=True, input_names=names, dynamic_shapes=dynamic,
            external_data=False, verbose=False,
        )  # fmt: skip
    else:
        torch.onnx.export(
            model, tuple(inputs), path, dynamo=False, input_names=names, opset_version=17,
            dynamic_axes={own: one for own, one in zip(names, axes, strict=True) if one},
        )  # fmt: skip


def make(name: str, cell: str, layers: int, both: bool, batch_first: bool, kind: str,
         new: bool) -> None:  # fmt: skip
    """One model and its truth."""
    model = Model(cell, layers, both, batch_first, kind).eval()
    x = torch.randn(BATCH, STEPS, FEATURES)
    x = x if batch_first else x.transpose(0, 1).contiguous()
    more, names = [], ["input"]
    if kind == "states":
        count = 2 if cell == "LSTM" else 1
        more = [torch.randn(layers * (1 + both), BATCH, UNITS) for _ in range(count)]
        names += ["h0", "c0"][:count]
    if kind == "packed":
        more, names = [torch.tensor([5, 2, 4])], ["input", "lengths"]
    axes = [{0 if batch_first else 1: "batch"}] + [{1 if kind == "states" else 0: "batch"}] * len(
        more
    )
    export(name, model, [x, *more], names, new, axes)
    with torch.no_grad():
        found = states_of(model, x, more)
    given = dict(zip(names[1:], (one.numpy() for one in more), strict=True))
    np.savez(HERE / f"{name}_truth.npz", x=x.numpy(), **given, **found)


def make_loop(name: str, scripted: bool) -> None:
    """An LSTMCell in a loop: written out, or as a Loop."""
    model = CellLoop().eval()
    x = torch.randn(BATCH, STEPS, FEATURES)
    axes = [{0: "batch", 1: "time"} if scripted else {}]
    export(name, torch.jit.script(model) if scripted else model, [x], ["input"], False, axes)
    h = torch.zeros(BATCH, UNITS)
    c = torch.zeros(BATCH, UNITS)
    states = []
    with torch.no_grad():
        for step in range(STEPS):
            h, c = model.cell(x[:, step], (h, c))
            states.append((h, c))
    m, cell_states = (torch.stack(part, 1).numpy() for part in zip(*states, strict=True))
    np.savez(HERE / f"{name}_truth.npz", x=x.numpy(), true_fw_l0_m=m, true_fw_l0_c=cell_states)


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    torch.manual_seed(11)
    make("lstm_open_batch_new", "LSTM", 2, True, True, "plain", new=True)
    make("lstm_states_old", "LSTM", 2, True, True, "states", new=False)
    make("gru_states_new", "GRU", 1, False, False, "states", new=True)
    make("lstm_packed_old", "LSTM", 2, True, True, "packed", new=False)
    make("conv_gru_new", "GRU", 1, False, False, "conv", new=True)
    make_loop("cell_unrolled_old", scripted=False)
    make_loop("cell_loop_old", scripted=True)
