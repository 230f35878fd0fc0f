"""The live widget: sliders made from the knobs, and a figure that moves while the experiment trains.

One worker thread trains, draws and sends; the controls only leave a note of what is wanted. A run asks for the note
at every frame and tick, so a moved slider starts again within 50 ms and no stale run waits in a queue. The thread ends
when nothing more is wanted; a run is given up when its widget is closed, its cell is run again, or the program ends.
"""

from __future__ import annotations

import atexit
import base64
import html
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reglab.experiment import Experiment
from reglab.knobs import Knob
from reglab.pictures import words
from reglab.pictures.chart import Chart
from reglab.pictures.page import draw
from reglab.recordings import store
from reglab.results import settings_of
from reglab.site import replay

if TYPE_CHECKING:
    import xarray as xr

SEEDS = (1, 2, 4, 8, 16)
"""How many seeds can be chosen; they train two at a time, so that the picture moves quickly."""

LIVE_DPI, FINAL_DPI = 100, 200


@dataclass(frozen=True)
class _Wanted:
    """A note for the worker: the setting, how many seeds, and what to do: train, show what is recorded, or draw."""

    settings: dict[str, Any]
    seeds: int
    do: Literal["train", "recorded", "draw"] = "train"


def explore(experiment: Experiment, results: xr.Dataset | None = None, seeds: int = 8) -> Explorer:
    """Explore an experiment with sliders; `results` of it are shown at once (else what is recorded, else two seeds).

    In a live notebook this is a widget. A page without a kernel replays the recorded grid instead, and where no
    script runs, it shows a picture with alternative text.
    """
    if results is None:
        found = store.at(experiment)
        results = experiment.run(2) if found is None else found
    return Explorer(experiment, results, seeds)


class Explorer:
    """The widget behind `explore`; `settings`, `results` and `run` work from code too."""

    def __init__(self, experiment: Experiment, results: xr.Dataset, seeds: int = 8) -> None:
        import ipywidgets as widgets

        self.kind = type(experiment)
        self.start = experiment
        self.results = results
        self.pinned: xr.Dataset | None = None
        self._recorded: xr.Dataset | None = None
        self._view = self.kind.views[0]
        self._lock = threading.Lock()
        self._wanted: _Wanted | None = None
        self._stopped = self._training = False
        self._worker: threading.Thread | None = None
        self._charts: dict[float, Chart] = {}
        self._quiet = False

        self.controls = {
            name: _control(name, knob, getattr(experiment, name)) for name, knob in self.kind.knobs().items()
        }
        self.fields = {
            name: _Field(name, knob, self.controls[name])
            for name, knob in self.kind.knobs().items()
            if isinstance(self.controls[name], widgets.IntSlider | widgets.FloatSlider)
        }
        self.seeds = widgets.SelectionSlider(
            options=SEEDS,
            value=seeds,
            description="seeds",
            style=_WIDE_LABEL,
            tooltip="how many runs with other random numbers",
        )
        titles = [view.title for view in self.kind.views]
        self.picture = widgets.Dropdown(
            options=titles, description="picture", style=_WIDE_LABEL, tooltip="what to draw"
        )
        self.run_button = widgets.Button(
            description="Run", icon="play", button_style="primary", tooltip="train at this setting"
        )
        self.stop_button = widgets.Button(
            description="Stop", icon="stop", tooltip="stop training, keep what is drawn", disabled=True
        )
        self.reset_button = widgets.Button(
            description="Reset", icon="undo", tooltip="all knobs back to where they started"
        )
        self.pin_button = widgets.ToggleButton(
            description="Pin", icon="thumb-tack", tooltip="keep this run, dotted, behind the next ones"
        )
        self.progress = widgets.FloatProgress(
            min=0, max=1, value=1, layout={"width": "160px"}, tooltip="share of the run that is done"
        )
        self.status = widgets.HTML(layout={"height": "32px", "min_width": "24em"})  # what follows keeps its place
        self.figure = widgets.HTML()
        self.sentence = widgets.HTML()
        self.error = widgets.HTML()

        for control in [*self.controls.values(), self.seeds]:
            control.observe(self._moved, "value")
        self.picture.observe(self._chose_picture, "value")
        self.pin_button.observe(self._pin, "value")
        self.run_button.on_click(lambda _: self.run())
        self.stop_button.on_click(lambda _: self.stop())
        self.reset_button.on_click(lambda _: self.reset())
        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        knobs = [self.fields[name].box if name in self.fields else one for name, one in self.controls.items()]
        self.widget = widgets.VBox(
            [
                widgets.HBox([*knobs, self.seeds, self.picture], layout=wrap),
                widgets.HBox(
                    [self.run_button, self.stop_button, self.reset_button, self.pin_button, self.progress, self.status],
                    layout=wrap,
                ),
                self.error,
                self.figure,
                self.sentence,
            ]
        )
        self.widget.observe(self._closed, "comm")
        self._cell = _cell()
        for other in [one for one in _MADE if self._cell and one._cell == self._cell]:
            other.stop()
        _MADE.add(self)
        self._draw(results, final=True)
        self._say(f"shown: {words.seeds(results.sizes['seed'])}")

    def settings(self) -> dict[str, Any]:
        """Return the value of every knob as the controls show it."""
        return {name: control.value for name, control in self.controls.items()}

    def run(self) -> None:
        """Train at the setting that the controls show; a run on its way is given up."""
        self._want(_Wanted(self.settings(), self.seeds.value))

    def stop(self) -> None:
        """Stop the run on its way, and keep what it has drawn."""
        with self._lock:
            self._wanted = None
            self._stopped = True
            self._training = False

    def reset(self) -> None:
        """Put all knobs back to where they started, and show what happens there."""
        self._quiet = True
        for name, control in self.controls.items():
            control.value = getattr(self.start, name)
        self._quiet = False
        self._moved({})

    def wait(self, timeout: float = 60) -> None:
        """Wait until no run is on its way or wanted; raises `TimeoutError` after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._worker is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the run has not ended within {timeout:g} s")
            time.sleep(0.005)

    def _moved(self, change: dict[str, Any]) -> None:
        if not self._quiet:
            self._want(_Wanted(self.settings(), self.seeds.value, "recorded"))

    def _closed(self, change: dict[str, Any]) -> None:
        if change["new"] is None:
            self.stop()

    def _chose_picture(self, change: dict[str, Any]) -> None:
        self._view = next(view for view in self.kind.views if view.title == change["new"])
        self._want(_Wanted(self.settings(), self.seeds.value, "train" if self._training else "draw"))

    def _pin(self, change: dict[str, Any]) -> None:
        self.pinned = self.results if change["new"] else None
        self._want(_Wanted(self.settings(), self.seeds.value, "train" if self._training else "draw"))

    def _want(self, wanted: _Wanted) -> None:
        with self._lock:
            self._wanted = wanted
            self._stopped = False
            self._training = wanted.do != "draw"
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True, name="reglab explorer")
                self._worker.start()

    def _next(self) -> _Wanted | None:
        """Take the latest note; where there is none, the worker is done."""
        with self._lock:
            wanted, self._wanted = self._wanted, None
            if wanted is None:
                self._worker = None
        return wanted

    def _work(self) -> None:
        """The worker thread: take the latest note and do what it says, until there is none."""
        while (wanted := self._next()) is not None:
            try:
                self.error.value = ""
                if wanted.do == "draw":
                    self._draw(self.results, final=True)
                else:
                    experiment = self.kind.make(wanted.settings)
                    self._recorded = store.at(experiment)
                    if wanted.do == "train" or self._recorded is None:
                        self._train(experiment, wanted.seeds)
                    else:
                        self._show_recorded(self._recorded, wanted.seeds)
            except Exception as error:  # noqa: BLE001 - whatever fails in the worker must be seen, not swallowed
                self.error.value = _alert(error)
                self._say("stopped by an error")
            finally:
                self.stop_button.disabled = True
                with self._lock:
                    self._training = self._wanted is not None and self._wanted.do != "draw"

    def _overtaken(self) -> bool:
        return self._stopped or self._wanted is not None

    def _show_recorded(self, recorded: xr.Dataset, seeds: int) -> None:
        """Show the recorded results of the first seeds at once; a run can be started on top of them."""
        results = recorded.isel(seed=slice(seeds))
        self.results, self._recorded = results, None
        self._draw(results, final=True)
        self._say(f"recorded: {words.seeds(results.sizes['seed'])}; Run trains here and now")

    def _train(self, experiment: Experiment, seeds: int) -> None:
        """Train two seeds at a time; later seeds are drawn thin while they train and then join the mean."""
        import xarray as xr

        started = shown = told = time.perf_counter()
        self.stop_button.disabled = False
        done: xr.Dataset | None = None
        drawn: xr.Dataset | None = None
        for first in range(0, seeds, 2):
            chosen = range(first, min(first + 2, seeds))
            for snapshot in experiment.stream(chosen):
                if self._overtaken():
                    if self._stopped:
                        self._say(f"stopped; shown: {words.seeds(self.results.sizes['seed'])}")
                        self._draw(self.results, final=True)
                    return
                now = time.perf_counter()
                if done is None:
                    self.results = snapshot.data
                if snapshot.grew and (now - shown > 0.03 or snapshot.data is not drawn):
                    self._draw(self.results, final=False, growing=None if done is None else snapshot.data)
                    shown, drawn = time.perf_counter(), snapshot.data
                if now - told > 0.25:
                    told = now
                    self._summarize(self.results)
                    fraction = (first + snapshot.fraction * len(chosen)) / seeds
                    left = (now - started) * (1 / fraction - 1) if fraction > 0.02 else None
                    self._say(f"{words.seeds(first + len(chosen))} of {seeds}", fraction, left)
            done = snapshot.data if done is None else xr.concat([done, snapshot.data], "seed", **_ALONG_SEEDS)
            self.results = done
        self._draw(self.results, final=True)
        self._say(f"done: {words.seeds(seeds)} in {time.perf_counter() - started:.1f} s")

    def _draw(self, data: xr.Dataset, final: bool, growing: xr.Dataset | None = None) -> None:
        """Send the figure: quick and plain while it trains, sharp and described when it is final."""
        chart = self._chart(data, FINAL_DPI if final else LIVE_DPI)
        chart.update(data, self._recorded if self.pinned is None else self.pinned, final, growing)
        alt = chart.describe() if final else "The figure is being drawn; a description follows when the run ends."
        self.figure.value = _image(chart.png(FINAL_DPI if final else LIVE_DPI), alt, chart)
        if final:
            self._chart(data, LIVE_DPI).png(LIVE_DPI)  # so that the first picture of the next run comes at once
            self._summarize(data, FINAL_DPI)

    def _summarize(self, data: xr.Dataset, dpi: float = LIVE_DPI) -> None:
        text = self._chart(data, dpi).summary(data, self.kind.headline, self.kind.arms)
        if self.pinned is not None:
            text += " Dotted: the pinned run (" + self._difference(self.pinned, data) + ")."
        elif self._recorded is not None:
            text += f" Dotted: what was recorded here ({words.seeds(self._recorded.sizes['seed'])})."
        self.sentence.value = f'<p class="reglab-summary">{replay.typeset(text)}</p>'

    def _difference(self, before: xr.Dataset, now: xr.Dataset) -> str:
        old, new = (settings_of(data) for data in (before, now))
        moved = [(name, knob) for name, knob in self.kind.knobs().items() if old[name] != new[name]]
        return ", ".join(f"{knob.words(name)} {old[name]}" for name, knob in moved) or "the same setting"

    def _chart(self, data: xr.Dataset, dpi: float) -> Chart:
        """Return the figure of this sharpness, ready to be filled: a new run need not make its axes again."""
        chart = self._charts.get(dpi)
        if chart is None or not chart.fits(data, self._view):
            chart = self._charts[dpi] = Chart(data, self._view, self.kind.arms)
        return chart

    def _say(self, text: str, fraction: float = 1.0, left: float | None = None) -> None:
        self.progress.value = fraction
        self.status.value = html.escape(text + (f", {left:.0f} s left" if left is not None else ""))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        fallback = draw(self.results, self._view, self.kind.arms)
        text = words.sentence(self.results, self.kind.headline, self.kind.arms)
        knobs = ", ".join(replay.typeset(knob.full(name)) for name, knob in self.kind.knobs().items())
        note = f"Live only: in a running notebook, sliders stand here: {knobs}."
        caption = f"<figcaption>{replay.typeset(text)} {note}</figcaption>"
        page = f'<figure class="reglab-explore"{replay.attributes(self.kind)}>{fallback.html}{caption}</figure>'
        live = self.widget._repr_mimebundle_(**options) or {}
        return {**fallback._repr_mimebundle_(), **live, "text/html": page, "text/plain": fallback.alt}


_MADE: weakref.WeakSet[Explorer] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    """Give up all runs at the program's end, or it could crash in the middle of one."""
    for one in list(_MADE):
        one.stop()
        if worker := one._worker:
            worker.join(5)


def _cell() -> str:
    """Return the id of the cell that runs, which JupyterLab tells; "" elsewhere."""
    from IPython import get_ipython

    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    return str(parent.get("metadata", {}).get("cellId", ""))


_WIDE_LABEL = {"description_width": "initial"}

_BELOW = '<span style="vertical-align:sub;font-size:80%">'
"""Begins a subscript; JupyterLab takes no `<sub>` in the label of a control."""

_ALONG_SEEDS: Any = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "exact"}
"""How results of different seeds are joined: what has no seed axis is that of the first."""


def _control(name: str, knob: Knob, value: Any) -> Any:
    """Make the control of a knob: check box, menu, or slider (of stops where they are irregular)."""
    import ipywidgets as widgets

    label = replay.typeset(knob.full(name)).replace("<sub>", _BELOW).replace("</sub>", "</span>")
    said = {"description": label, "description_allow_html": True, "tooltip": f"{knob.help} ({knob.range})"}
    common = {**said, "style": _WIDE_LABEL}
    if isinstance(knob.default, bool):
        return widgets.Checkbox(value=value, **common)
    if knob.choices:
        return widgets.Dropdown(options=knob.choices, value=value, **common)
    if knob.stops:
        return widgets.SelectionSlider(options=sorted({*knob.stops, value}), value=value, **common)
    slider = widgets.IntSlider if isinstance(knob.default, int) else widgets.FloatSlider
    return slider(value=value, min=knob.low, max=knob.high, step=knob.step or 1, readout=False, **common)


class _Field:
    """The value of a slider as text beside it: what is typed moves the slider, or a message says what it takes."""

    def __init__(self, name: str, knob: Knob, slider: Any) -> None:
        import ipywidgets as widgets

        self.name, self.knob, self.slider, self.shown = name, knob, slider, ""
        layout = {"width": "5em"}
        self.text = widgets.Text(continuous_update=False, layout=layout, tooltip=f"value of {knob.words(name)}")
        self.message = widgets.HTML()
        self.box = widgets.HBox([slider, self.text, self.message])
        self._show({"new": slider.value})
        slider.observe(self._show, "value")
        self.text.observe(self._typed, "value")

    def _show(self, change: dict[str, Any]) -> None:
        self.shown = self.text.value = f"{change['new']:g}"
        self.message.value = ""

    def _typed(self, change: dict[str, Any]) -> None:
        if change["new"] == self.shown:
            return
        try:
            self.slider.value = self.knob.parse(self.name, change["new"].strip())
            self._show({"new": self.slider.value})
        except ValueError as error:
            self.message.value = f'<span role="alert" style="color:#a34700">{html.escape(str(error))}</span>'


def _image(png: bytes, alt: str, chart: Chart) -> str:
    width, height = (round(inches * 100) for inches in chart.figure.get_size_inches())
    data = base64.b64encode(png).decode()
    # decoding at once keeps the old frame until the new one is ready: no flicker
    return (
        f'<img alt="{html.escape(alt)}" decoding="sync" width="{width}" height="{height}" '
        f'style="max-width:100%;height:auto;background:white" src="data:image/png;base64,{data}">'
    )


def _alert(error: Exception) -> str:
    text = html.escape(f"{type(error).__name__}: {error}")
    return f'<div role="alert" style="color:#a34700;font-weight:bold">Stopped by an error. {text}</div>'
