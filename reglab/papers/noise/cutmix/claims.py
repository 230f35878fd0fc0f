"""CutMix: what is measured against the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.claims import Claim
from reglab.effects import advantage, peak
from reglab.papers.noise.cutmix.experiments import Contrast, Digits, Localization

if TYPE_CHECKING:
    import xarray as xr

FOUND = peak("localization", "CutMix") - peak("localization", "plain")
"""At the best threshold of each arm."""


def middle_gain(results: xr.Dataset) -> xr.DataArray:
    """Return the gain without heads for bodies of middle strength minus that for the weakest and the strongest."""
    gains = results.headless.sel(arm="CutMix") - results.headless.sel(arm="plain")
    return gains.sel(contrast=[0.2, 0.3, 0.4]).mean("contrast") - gains.sel(contrast=[0.1, 0.6]).mean("contrast")


EXAM = 0

# fmt: off
CLAIMS = (
    Claim("more accurate", Digits, "CutMix is more accurate on new digits than plain: difference of the accuracies",
          "CIFAR-100, PyramidNet-200: error 16.45 % → 14.23 %; ImageNet, ResNet-50: 23.68 % → 21.40 %",
          advantage("accuracy", "CutMix", "plain"), above=0, seeds=16, group="paper", source="zero"),
    Claim("more accurate than Cutout", Digits, "CutMix is more accurate than Cutout: difference of the accuracies",
          "CIFAR-100: error 16.53 % → 14.23 %; ImageNet: 22.93 % → 21.40 %", advantage("accuracy", "CutMix", "Cutout"),
          above=0, seeds=16, group="control", source="zero"),
    Claim("more accurate than Mixup", Digits, "CutMix is more accurate than Mixup: difference of the accuracies",
          "CIFAR-100: error 15.63 % → 14.23 %; ImageNet: 22.58 % → 21.40 %", advantage("accuracy", "CutMix", "Mixup"),
          above=0, seeds=16, group="control", source="zero"),
    Claim("labels must be mixed", Digits, "CutMix is more accurate than boxes pasted without mixing labels: difference "
          "of the accuracies", "Not in the parts that we read", advantage("accuracy", "CutMix", "one label"), above=0,
          seeds=16, group="control", source="zero"),
    Claim("sees around a hole", Digits,
          "With the middle 4x4 pixels erased CutMix is more accurate than plain: difference of the accuracies",
          "More robust when the center of ImageNet pictures is occluded (a figure that we did not read)",
          advantage("hidden", "CutMix", "plain", hole=4), above=0.05, essential=True, group="paper", source="pilot"),
    Claim("needs the border", Digits, "With only the inner 6x6 pixels left CutMix is less accurate than plain: "
          "difference of the accuracies", "Not reported; a limit that we found", advantage("inside", "CutMix", "plain"),
          below=0, group="control", source="zero"),
    Claim("less sure of noise", Digits,
          "CutMix is less sure of pictures of pure noise: difference of the mean confidences",
          "Less overconfident for pictures of unknown kinds (a table that we did not read)",
          advantage("noise_confidence", "CutMix", "plain"), below=-0.1, essential=True, group="paper", source="pilot"),
    Claim("withstands attacks", Digits,
          "Attacked by the fast gradient sign method CutMix is more accurate: difference of the accuracies",
          "More robust against this attack on ImageNet (a table that we did not read)",
          advantage("attacked", "CutMix", "plain"), above=0, group="control", source="zero"),
    Claim("less dependent on the head", Localization,
          "With the head of the object erased CutMix is more accurate than plain: difference of the accuracies",
          "It looks at the whole object, not only at its most telling part (Section 1)",
          advantage("headless", "CutMix", "plain"), above=0, essential=True, group="paper", source="zero"),
    Claim("finds the object", Localization,
          "CutMix finds the object more often, at the best threshold of each arm: difference of the shares",
          "ImageNet: 46.3 % → 47.3 % (46.25 % on the page of the code); CUB200: 49.41 % → 54.81 %", FOUND, above=0,
          group="paper", source="zero",
          why="The map of plain training lies on the body almost as much as that of CutMix, so there is little to "
              "gain; the paper's gain on ImageNet is small too."),
    Claim("finds the object, longer", Localization, "The same after four times as many training steps",
          "The paper trains for 300 epochs", FOUND, at={"longer": {"steps": 1600}}, above=0,
          group="paper", source="zero",
          why="Longer training does not make a better box here, although the paper trains long."),
    Claim("slower to fit", Localization, "Where the task is easy and training short, the loss of CutMix is higher on "
          "new scenes: difference of NLL", "Not reported; the paper trains for 300 epochs",
          advantage("nll", "CutMix", "plain"), above=0, robust=True, group="control", source="zero"),
    Claim("small objects", Localization,
          "With small objects, 6x4 pixels, the area says little about the object, and CutMix is less accurate: "
          "difference of the accuracies", "Not reported; a limit we checked", advantage("accuracy", "CutMix", "plain"),
          at={"small": {"length": 6}}, below=0, group="control", source="zero"),
    Claim("bodies of middle strength", Contrast,
          "The gain without heads is larger for bodies of middle strength (0.2 to 0.4) than for the weakest and the "
          "strongest (0.1 and 0.6): difference of the gains",
          "Not reported; the question of exercise 3", middle_gain, above=0, group="control", source="zero"),
)
