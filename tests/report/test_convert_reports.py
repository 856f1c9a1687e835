"""What a conversion wrote, as people read it."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.converting.result import ConversionReport, ConvertedLayer

LAYER = ConvertedLayer(
    "rnn/lstm_cell", "lstm/l0", "lstm", 8, 64, 64, "float64",
    kernels_equal=True, largest_difference=1.6e-15,
)  # fmt: skip
CONVERSION = ConversionReport(
    source="model.ckpt",
    source_format="tf1-saver",
    framework="TensorFlow 1.15.5",
    format="torch",
    target="lstm.pt",
    layers=(LAYER,),
    largest_difference=1.6e-15,
    limit=1e-12,
    computed_by="PyTorch",
    proof="read back by the reader torch",
    folded=("forget_bias=1 of 'rnn/lstm_cell' is in the bias of f.",),
    left_out=("A state dict holds the recurrent layers alone; not 'dense'.",),
    notes=("Give torch a packed sequence.",),
    load=("model = torch.nn.LSTM(8, 64)", 'model.load_state_dict(torch.load("lstm.pt"))'),
)

TEXT = """\
wrote lstm.pt (torch, 1 recurrent layer)
  rnn/lstm_cell -> lstm/l0: lstm, 8 inputs, 64 units, float64; states within 1.6e-15
proof: kernels equal bit for bit; read back by the reader torch. Largest difference: 1.6e-15
expect in PyTorch: the same within about 1e-12 of the largest value; it sums in another order
folded: forget_bias=1 of 'rnn/lstm_cell' is in the bias of f.
left out: A state dict holds the recurrent layers alone; not 'dense'.
note: Give torch a packed sequence.
load it with
  model = torch.nn.LSTM(8, 64)
  model.load_state_dict(torch.load("lstm.pt"))
"""

MARKDOWN = """\
### rnnscope convert: wrote lstm.pt (torch, 1 recurrent layer)

- rnn/lstm\\_cell -\\> lstm/l0: lstm, 8 inputs, 64 units, float64; states within 1.6e-15

- **proof**: kernels equal bit for bit; read back by the reader torch. Largest difference: 1.6e-15
- **expect in PyTorch**: the same within about 1e-12 of the largest value; it sums in another order
- **folded**: forget\\_bias=1 of 'rnn/lstm\\_cell' is in the bias of f.
- **left out**: A state dict holds the recurrent layers alone; not 'dense'.
- **note**: Give torch a packed sequence.

```python
model = torch.nn.LSTM(8, 64)
model.load_state_dict(torch.load("lstm.pt"))
```
"""


def test_text():
    assert CONVERSION.render("text") == TEXT


def test_markdown():
    assert CONVERSION.render("markdown") == MARKDOWN


def test_what_is_equal_bit_for_bit_is_called_so():
    layer = replace(LAYER, largest_difference=0.0, output_size=7)
    text = replace(CONVERSION, layers=(layer,), target="").render("text", width=120)
    assert text.splitlines()[:2] == [
        "dry run: 1 recurrent layer can be written as torch; nothing was kept",
        "  rnn/lstm_cell -> lstm/l0: lstm, 8 inputs, 64 units, projected to 7, float64; "
        "states equal bit for bit",
    ]


def test_names_from_files_cannot_steer_a_terminal():
    layer = replace(LAYER, name="a\x1b[31m\nb")
    line = replace(CONVERSION, layers=(layer,)).render("text").splitlines()[1]
    assert line.startswith("  a[31m b -> lstm/l0")


def test_json():
    document = CONVERSION.to_dict()
    assert list(document) == [
        "schema_version", "report", "source", "source_format", "framework", "format", "target",
        "layers", "largest_difference", "limit", "computed_by", "proof", "folded", "left_out",
        "notes", "load",
    ]  # fmt: skip
