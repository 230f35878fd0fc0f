"""The live widget: its controls and its worker here, and driven by keyboard in a real JupyterLab in a real browser."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab_browser
import numpy as np
import processes
import pytest
from jupyter_client.manager import start_new_kernel
from PIL import Image

from reglab.experiment import Experiment
from reglab.explore import Explorer, explore
from reglab.knobs import knob
from reglab.papers.labels.early_learning.experiments import Memorization
from reglab.pictures import Curves, View
from reglab.recordings import store
from reglab.results import Axis, Frame, Tick, Var, settings_of
from reglab.seeds import Seeds

halt = threading.Event()
"""While it is set, runs of `Steps` come to their middle and stay there; they can still be stopped."""

begun: list[float] = []
"""The scale of every run of `Steps` that was begun."""


@dataclass(frozen=True)
class Steps(Experiment):
    """Count up in small steps, each of which takes ten milliseconds; every kind of knob; fails where it is told to."""

    length: int = knob(20, low=1, high=500, step=1, help="number of frames")
    scale: float = knob(1.0, low=0, high=2, step=0.5, symbol="s", unit="m", help="size of a step")
    stop: float = knob(1.0, stops=(1, 3, 10), help="irregular values")
    shape: str = knob("line", choices=("line", "square"), help="a choice")
    fails: bool = knob(False, help="raise an error in the middle")

    arms = {"plain": "baseline", "double": "method"}
    outputs = {"height": Var("arm seed time", "height", "sum of all steps", unit="m")}
    headline = "height"
    views = (
        View("Heights", (Curves("How high?", ["height"]),)),
        View("One", (Curves("How high is one?", ["height"], ["double"]),)),
    )

    def axes(self) -> dict[str, Axis]:
        return {"time": Axis(range(self.length), label="time")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        begun.append(self.scale)
        for i in range(self.length):
            time.sleep(0.01)
            while halt.is_set() and i == self.length // 2:
                time.sleep(0.01)
                yield Tick(0.5)
            if self.fails and i == 2:
                raise RuntimeError("the third step <broke>")
            steps = np.array(seeds) + i * self.scale
            yield Frame({"time": i}, {"height": [steps, 2 * steps]})
            yield Tick((i + 1) / self.length)


def test_every_kind_of_knob_becomes_the_control_that_suits_it() -> None:
    widget = explore(Steps(length=3))
    kinds = {name: type(control).__name__ for name, control in widget.controls.items()}
    assert list(kinds.values()) == ["IntSlider", "FloatSlider", "SelectionSlider", "Dropdown", "Checkbox"]
    assert widget.controls["scale"].description == "scale s (m)"
    assert "size of a step" in widget.controls["scale"].tooltip
    assert (widget.controls["scale"].min, widget.controls["scale"].max, widget.controls["scale"].step) == (0, 2, 0.5)
    assert widget.settings() == Steps(length=3).settings()


def test_a_typed_value_moves_its_slider_or_a_message_beside_it_says_what_would_be_right() -> None:
    widget = explore(Steps(length=3), seeds=1)
    scale, slider = widget.fields["scale"], widget.controls["scale"]
    assert scale.text.value == "1" and widget.fields["length"].text.value == "3"
    scale.text.value = " 0,6 "
    widget.wait()
    assert (slider.value, scale.text.value, scale.message.value) == (0.6, "0.6", "")
    assert settings_of(widget.results)["scale"] == 0.6
    for wrong in ("7", "six", "", "nan"):
        begun.clear()
        scale.text.value = wrong
        widget.wait()
        assert slider.value == 0.6 and scale.text.value == wrong and not begun
        assert "takes a number from 0 to 2" in scale.message.value and 'role="alert"' in scale.message.value
    length = widget.fields["length"]
    length.text.value = "2.5"
    assert length.slider.value == 3 and "a whole number from 1 to 500" in length.message.value
    slider.value = 1.23456789
    assert (slider.value, scale.text.value, scale.message.value) == (1.23456789, "1.23457", "")
    widget.wait()


def test_a_pin_right_after_stop_starts_no_training(halted: Explorer) -> None:
    halted.run()
    processes.wait_for(lambda: bool(begun))
    count = len(begun)
    halted.stop()
    halted.pin_button.value = True
    halted.wait()
    assert len(begun) == count and halted.stop_button.disabled
    assert "Dotted: the pinned run" in halted.sentence.value


def test_a_moved_slider_trains_at_the_new_setting_and_equals_a_plain_run() -> None:
    widget = explore(Steps(length=5), seeds=8)
    widget.controls["scale"].value = 2.0
    widget.wait()
    expected = Steps(length=5, scale=2.0).run(8)
    np.testing.assert_array_equal(widget.results.height.values, expected.height.values)
    assert widget.results.seed.values.tolist() == list(range(8))
    assert "8 seeds" in widget.status.value
    assert "higher with double than with plain" in widget.sentence.value


def test_the_figure_moves_while_it_trains_and_ends_with_numbers_in_its_alt_text() -> None:
    widget = explore(Steps(length=40), seeds=2)
    frames: list[str] = []
    widget.figure.observe(lambda change: frames.append(change["new"]), "value")
    widget.run()
    widget.wait()
    assert len(frames) >= 5
    assert "being drawn" in frames[0]
    assert "double starts at" in frames[-1]
    png = base64.b64decode(frames[-1].split("base64,")[1].split('"')[0])
    assert Image.open(io.BytesIO(png)).width == 1520


@pytest.fixture
def halted() -> Iterator[Explorer]:
    """A widget whose runs come to their middle and stay there until they are stopped."""
    widget = explore(Steps(length=20), seeds=2)
    begun.clear()
    halt.set()
    yield widget
    halt.clear()


def test_many_moves_leave_no_queue_of_stale_runs(halted: Explorer) -> None:
    for value in (0.5, 1.5, 2.0):
        halted.controls["scale"].value = value
        processes.wait_for(lambda: begun and begun[-1] == halted.settings()["scale"])
    for value in (0.5, 1.5, 0.0):
        halted.controls["scale"].value = value
    processes.wait_for(lambda: settings_of(halted.results)["scale"] == 0.0)  # no run before it ended by itself
    halted.stop()
    halted.wait()
    assert "stopped" in halted.status.value
    assert begun[:3] == [0.5, 1.5, 2.0] and begun[-1] == 0.0 and len(begun) <= 6, "a stale run waited in a queue"


def test_stop_keeps_what_was_drawn(halted: Explorer) -> None:
    def filled() -> int:
        return int(np.isfinite(halted.results.height.values).all(axis=(0, 1)).sum())

    halted.run()
    processes.wait_for(lambda: filled() == 10)
    halted.stop()
    halted.wait()
    assert filled() == 10 and "stopped" in halted.status.value
    assert halted.stop_button.disabled


def working() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reglab explorer"]


def test_a_thread_ends_with_its_run_and_a_closed_widget_gives_it_up(halted: Explorer) -> None:
    halted.run()
    processes.wait_for(lambda: begun)
    assert len(working()) == 1
    halted.widget.close()
    processes.wait_for(lambda: not working())
    assert halted.status.value.startswith("stopped")
    halt.clear()
    halted.run()
    halted.wait()
    processes.wait_for(lambda: not working())


PROGRAM = """
import time
from reglab.explore import explore
from reglab.papers.labels.early_learning.experiments import Memorization

widget = explore(Memorization(epochs=200, noise=0.35), Memorization(epochs=1, noise=0.35).run(1))
widget.run()
while "left" not in widget.status.value:
    time.sleep(0.01)
print("in the middle")
"""


def test_a_program_ends_well_in_the_middle_of_a_run() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=processes.GUARD)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "in the middle\n", "")


CELL = """
from reglab.explore import explore
from reglab.papers.labels.early_learning.experiments import Memorization

widget = explore(Memorization(epochs=200, noise=0.35), Memorization(epochs=1, noise=0.35).run(1))
widget.run()
"""
COUNTED = "import threading; print([one.name for one in threading.enumerate()].count('reglab explorer'))"


@pytest.mark.notebook
def test_a_cell_that_runs_again_gives_up_its_run_and_another_cell_does_not() -> None:
    kernel, client = start_new_kernel(kernel_name="python3")

    def execute(cell: str, code: str) -> str:
        said: list[str] = []
        message = client.session.msg("execute_request", {"code": code, "silent": False}, metadata={"cellId": cell})
        client.shell_channel.send(message)
        while True:
            got = client.get_iopub_msg(timeout=processes.GUARD)
            if got["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                assert got["msg_type"] != "error", got["content"]
                said += [got["content"]["text"]] if got["msg_type"] == "stream" else []
                if got["content"].get("execution_state") == "idle":
                    return "".join(said)

    try:
        execute("one", CELL)
        execute("other", CELL)
        assert execute("count", COUNTED) == "2\n"
        execute("one", CELL)
        processes.wait_for(lambda: execute("count", COUNTED) == "2\n")
        execute("count", "widget.stop(); widget.wait()")
        assert execute("count", COUNTED) == "1\n"
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


def test_an_error_is_shown_with_its_message_and_the_next_run_clears_it() -> None:
    widget = explore(Steps(length=5), seeds=2)
    widget.controls["fails"].value = True
    widget.wait()
    assert 'role="alert"' in widget.error.value
    assert "RuntimeError: the third step &lt;broke&gt;" in widget.error.value
    widget.controls["fails"].value = False
    widget.wait()
    assert widget.error.value == ""
    assert "done" in widget.status.value


def test_reset_puts_all_knobs_back_and_trains_once() -> None:
    widget = explore(Steps(length=6), seeds=2)
    widget.controls["scale"].value = 0.5
    widget.controls["shape"].value = "square"
    widget.reset()
    widget.wait()
    assert widget.settings() == Steps(length=6).settings()
    assert float(widget.results.height.sel(arm="plain", seed=0).isel(time=1)) == 1.0


def test_a_pinned_run_stays_behind_the_next_one_and_says_what_differs() -> None:
    widget = explore(Steps(length=6), seeds=2)
    widget.run()
    widget.wait()
    before = widget.figure.value
    widget.pin_button.value = True
    widget.wait()
    widget.controls["scale"].value = 2.0
    widget.wait()
    assert "the pinned run (scale 1.0)" in widget.sentence.value
    with_pin = widget.figure.value
    widget.pin_button.value = False
    widget.wait()
    assert widget.figure.value not in (with_pin, before)
    assert "pinned" not in widget.sentence.value


def test_another_picture_is_drawn_without_training() -> None:
    widget = explore(Steps(length=6))
    results = widget.results
    widget.picture.value = "One"
    widget.wait()
    assert widget.results is results
    assert "How high is one?" in widget.figure.value


def test_without_a_kernel_the_output_is_a_picture_with_alt_text_and_the_widget_comes_first_with_one() -> None:
    bundle = explore(Steps(length=4))._repr_mimebundle_()
    assert {"text/html", "image/png", "text/plain", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    assert 'alt="How high?' in bundle["text/html"]
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).format == "PNG"


def test_results_are_shown_at_once() -> None:
    experiment = Steps(length=4)
    results = experiment.run(3)
    widget = Explorer(experiment, results)
    assert widget.results is results
    assert "3 seeds" in widget.status.value


def test_a_recorded_setting_appears_at_once_and_a_run_starts_on_top_of_it() -> None:
    widget = explore(Memorization())
    found = store.at(Memorization())
    assert found is not None and widget.results.identical(found), "what is recorded is shown first"
    widget.controls["strength"].value = 7.0
    widget.wait()
    expected = store.at(Memorization(strength=7.0))
    assert expected is not None and widget.results.identical(expected)
    assert widget.status.value.startswith("recorded: 8 seeds")
    widget.seeds.value = 2
    widget.wait()
    assert widget.results.identical(expected.isel(seed=slice(2))) and "recorded: 2 seeds" in widget.status.value
    widget.seeds.value = 8
    widget.wait()
    widget.run()
    processes.wait_for(lambda: not widget.results.identical(expected))
    widget.stop()
    widget.wait()
    assert "Dotted: what was recorded here (8 seeds)" in widget.sentence.value
    widget.controls["strength"].value = 6.0
    processes.wait_for(lambda: settings_of(widget.results)["strength"] == 6.0)
    widget.stop()
    widget.wait()
    assert "recorded" not in widget.sentence.value, "nothing is recorded beside the grid"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[lab_browser.Server, Path]]:
    """A JupyterLab that serves a temporary folder."""
    folder = tmp_path_factory.mktemp("lab")
    with lab_browser.jupyterlab(folder) as server:
        yield server, folder


def _open(browser: Any, lab: tuple[lab_browser.Server, Path], kind: type[Experiment], **settings: Any) -> Any:
    server, folder = lab
    cell = (
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from reglab.explore import explore\nfrom {kind.__module__} import {kind.__name__}\n"
    )
    lab_browser.write_notebook(folder / f"{kind.__name__}.ipynb", f"{cell}explore({kind.__name__}(**{settings!r}))")
    return lab_browser.page(browser, server, f"{kind.__name__}.ipynb")


@pytest.mark.browser
@pytest.mark.xdist_group("jupyterlab")
def test_in_jupyterlab_the_keyboard_moves_a_slider_and_the_figure_trains(
    browser: Any, lab: tuple[lab_browser.Server, Path]
) -> None:
    with _open(browser, lab, Memorization, epochs=30) as page:
        page.evaluate(lab_browser.WATCH)
        handle = lab_browser.slider(page, "noise r")
        handle.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("window.frames_seen.length >= 8")
        assert handle.get_attribute("aria-valuenow") == "0.5"
        page.get_by_role("button", name="Stop").press("Enter")
        page.get_by_text("stopped; shown").wait_for()
        page.locator('.jp-OutputArea img[decoding=sync]:not([alt*="is being drawn"])').wait_for()  # the last frame
        seen = page.evaluate("window.frames_seen.length")
        page.locator("button:disabled", has_text="Stop").wait_for()
        page.get_by_role("button", name="Pin").press("Enter")
        page.get_by_text("Dotted: the pinned run").wait_for()  # whatever was sent before is there by now
        assert page.evaluate("window.frames_seen.length") <= seen + 1, "it went on after Stop"
        figure = page.locator(".jp-OutputArea img[decoding=sync]")
        assert "cross-entropy starts at" in figure.get_attribute("alt")


@pytest.mark.browser
@pytest.mark.xdist_group("jupyterlab")
def test_in_jupyterlab_every_control_is_reached_by_keyboard_and_an_error_is_seen(
    browser: Any, lab: tuple[lab_browser.Server, Path]
) -> None:
    with _open(browser, lab, Steps, length=5) as page:
        for label in ("length", "scale", "stop", "seeds"):
            assert lab_browser.slider(page, label).get_attribute("tabindex") == "0", f"{label} cannot be reached by Tab"
        page.get_by_label("fails").press("Space")
        page.locator(".jp-OutputArea [role=alert]", has_text="RuntimeError: the third step <broke>").wait_for()
        page.get_by_label("fails").press("Space")
        page.get_by_text("done: 8 seeds").wait_for()
        assert page.locator(".jp-OutputArea [role=alert]").count() == 0
        typed, handle = page.get_by_title("value of scale"), lab_browser.slider(page, "scale")
        typed.fill("9")
        typed.press("Enter")
        page.locator(".jp-OutputArea [role=alert]", has_text="takes a number from 0 to 2").wait_for()
        assert handle.get_attribute("aria-valuenow") == "1.0"
        typed.fill("0,5")
        typed.press("Enter")
        page.locator(".jp-OutputArea [role=alert]").wait_for(state="detached")
        page.locator(".jp-OutputArea [role=slider][aria-valuenow='0.5']").wait_for()
        assert handle.get_attribute("aria-valuenow") == "0.5" and typed.input_value() == "0.5"
