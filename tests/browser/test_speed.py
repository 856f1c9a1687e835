"""How long frames take on 2,000 timesteps of 512 units: shown, not judged."""

from __future__ import annotations

import pytest
from seen_traces import waves, write_trace

import rnnscope

FRAMES = """async () => {
  const root = document.getElementById("heatmap");
  root.scrollIntoView();
  const box = root.getBoundingClientRect();
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const key = (name) => root.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
  const from = document.getElementById("from");
  const acts = {
    hover: (i) => root.dispatchEvent(new PointerEvent("pointermove",
      { clientX: box.left + 60 + i * 15, clientY: box.top + 20 + i * 6 })),
    keys: (i) => key(i % 2 ? "ArrowDown" : "ArrowRight"),
    pan: (i) => { from.value = 10 * i; from.dispatchEvent(new Event("change")); },
    zoom: (i) => key(i % 2 ? "+" : "-"),
  };
  const found = {};
  for (const [name, act] of Object.entries(acts)) {
    const times = [];
    await frame();
    for (let i = 0; i < 30; i += 1) {
      const begun = performance.now();
      act(i);
      await frame();
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    found[name] = [times[15], times[28]];
  }
  return found;
}"""


@pytest.mark.slow
@pytest.mark.parametrize("budget", [2, 8], ids=["in bins", "every timestep"])
def test_large_states_are_drawn_frame_by_frame(open_tab, tmp_path, capsys, budget):
    arrays = waves(1, 2000, 512)
    trace = write_trace(tmp_path / "t.h5", {"c": arrays["c"], "m": arrays["m"]}, lengths=[1900])
    done = rnnscope.write_report(trace, output=tmp_path / "p.html", budget=budget)
    page = open_tab((tmp_path / "p.html").as_uri())
    found = page.tab.evaluate(FRAMES)
    words = [f"{name} {median:.0f} ({worst:.0f})" for name, (median, worst) in found.items()]
    with capsys.disabled():
        held = done.arrays[0]
        print(f"\n2,000 x 512, {held.bins} bins, {done.size / 1e6:.1f} MB, milliseconds a frame, "  # noqa: T201
              f"median (95 %): {', '.join(words)}")  # fmt: skip
    assert page.messages == []
