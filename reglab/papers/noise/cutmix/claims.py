"""CutMix: what is measured against the paper."""

from __future__ import annotations

from functools import partial

import numpy as np

from reglab.claims import Claim
from reglab.effects import advantage, end, peak
from reglab.papers.noise.cutmix.experiments import Digits, Localization

paper, control = (partial(Claim, seeds=16, group=group, source="zero") for group in ("paper", "control"))

EXAM, NOT_READ, SMALL = 2000, "Not in the parts that we read", "A hundredth is small beside what two seeds differ by."

# fmt: off
VERSUS = (
    (Digits, "Mixup", "accuracy", "accuracy", "CIFAR-100: error 15.63 % → 14.23 %, ImageNet 22.58 % → 21.40 %", SMALL),
    (Digits, "Cutout", "accuracy", "accuracy", "CIFAR-100: error 16.53 % → 14.23 %, ImageNet 22.93 % → 21.40 %", SMALL),
    (Digits, "one label", "accuracy", "accuracy", NOT_READ, ""),
    (Digits, "label smoothing", "accuracy", "accuracy", NOT_READ, "Less sure labels may be most of what mixing gains."),
    (Digits, "shifts", "accuracy", "accuracy", "Not compared: all arms of the paper shift", "New digits shift, too."),
    (Digits, "label smoothing", "auroc", "AUROC of digits against noise", NOT_READ, ""),
    (Digits, "label smoothing", "attacked", "accuracy under attack", NOT_READ, "It may flatten the loss."),
    (Localization, "Cutout", "headless", "accuracy with the head erased", NOT_READ, "Cutout has seen such holes."),
)

CLAIMS = (
    paper("sees around a hole", Digits,
          "With the middle 4x4 pixels erased CutMix is more accurate than plain: difference of the accuracies",
          "More robust when the center of ImageNet pictures is occluded (a figure that we did not read)",
          advantage("hidden", "CutMix", "plain", hole=4), above=0.05, essential=True, source="pilot"),
    paper("less dependent on the head", Localization,
          "With the head of the object erased CutMix is more accurate than plain: difference of the accuracies",
          "It looks at the whole object, not only at its most telling part (Section 1)",
          advantage("headless", "CutMix", "plain"), above=0, essential=True),
    paper("more accurate", Digits, "CutMix is more accurate on new digits than plain: difference of the accuracies",
          "CIFAR-100, PyramidNet-200: error 16.45 % → 14.23 %; ImageNet, ResNet-50: 23.68 % → 21.40 %",
          advantage("accuracy", "CutMix", "plain"), above=0, why=SMALL),
    paper("knows the unknown", Digits,
          "The largest probability tells digits from noise better than with plain: difference of the AUROC",
          "Better at detecting pictures of unknown kinds (a table that we did not read)",
          advantage("auroc", "CutMix", "plain"), above=0, why="From seed to seed it differs by a tenth."),
    paper("finds the object", Localization,
          "In scenes of 24x24 CutMix finds the object more often, at the best threshold of each arm: difference",
          "ImageNet: 46.3 % → 47.3 % (46.25 % on the page of the code); CUB200: 49.41 % → 54.81 %",
          peak("localization", "CutMix") - peak("localization", "plain"), {"canvas": {"canvas": 24}}, above=0, seeds=8,
          why="The paper's gain on ImageNet is a hundredth, too small to be seen with 8 seeds."),
    Claim("label counts pixels", Digits,
          "The weight of the own label is the share of own pixels that is left: largest distance in 1000 draws",
          "λ is computed again after clipping (the code; Eq. 1 alone does not say so)",
          end("gap", "CutMix"), {"short": {"steps": 25}}, within=(0, 0), rule="every seed", seeds=4, essential=True,
          robust=True, group="identity", source="theory"),
    control("any label sees around a hole", Digits,
            "Behind the hole CutMix is less accurate than the same boxes pasted without mixing labels: difference",
            NOT_READ, advantage("hidden", "CutMix", "one label", hole=4), below=0,
            why="Both paste the same boxes; what their labels change is small beside that."),
    *(control(f"{rival}: {score}", of, f"CutMix has a higher {score} than {rival}: difference", reported,
              advantage(variable, "CutMix", rival), above=0, why=why)
      for of, rival, variable, score, reported, why in VERSUS),
    control("attack", Digits,
            "Attacked (FGSM) CutMix is right more often than plain, and than in one digit of ten: smaller difference",
            "More robust (a table that we did not read)", above=0, why="Seeds differ by more.", effect=lambda r: (
            np.minimum(advantage("attacked", "CutMix", "plain")(r), end("attacked", "CutMix")(r) - 0.1))),
    *(control(f"maps against a fixed box, {side}x{side}", Localization,
              f"In scenes of {side}x{side} the best arm finds the object more often than a square always in the "
              "middle: difference", "Not compared", lambda r: r.localization.max("tau").max("arm") - r.fixed,
              {"canvas": {"canvas": side}}, above=0, seeds=seeds, why=why) for side, seeds, why in (
        (16, 16, "The object fills so much of the scene that this square meets six of ten."), (24, 8, ""))),
)
# fmt: on
