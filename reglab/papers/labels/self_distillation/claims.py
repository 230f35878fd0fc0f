"""PS-KD: what is measured against the paper."""

from __future__ import annotations

from reglab.claims import Claim
from reglab.effects import advantage, end
from reglab.papers.labels.self_distillation.experiments import Distillation, Microscope

EXAM = 1000

# fmt: off
CLAIMS = (
    Claim("ranking", Distillation, "PS-KD's confidences tell right from wrong better than CE's: difference of the AURC",
          "CIFAR-100, ResNet-18: AURC 67.65 → 52.10", advantage("aurc", "PS-KD", over="CE"), below=0, seeds=16,
          group="paper", source="zero", essential=True),
    Claim("likelihood", Distillation, "With one temperature for each, PS-KD's NLL is below CE's: difference, nats",
          "CIFAR-100, ResNet-18: NLL 1.10 → 0.76, without temperature", advantage("nll_scaled", "PS-KD", over="CE"),
          below=0, seeds=16, group="paper", source="zero", essential=True),
    Claim("calibration", Distillation, "With little weight decay CE is overconfident and PS-KD is calibrated better: "
          "difference of ECE in %", "CIFAR-100, ResNet-18: ECE 11.84 → 1.77; ResNeXt-29: 4.17 → 9.18",
          advantage("ece", "PS-KD", over="CE"), {"weak": {"decay": 0.002}}, below=0, group="paper", source="zero"),
    Claim("error", Distillation, "PS-KD classifies more test points right than CE: difference of the errors",
          "CIFAR-100, ResNet-18: error 24.18 → 20.82 %", advantage("error", "PS-KD", over="CE"), below=0, seeds=16,
          group="paper", source="zero", why="Where classes overlap, there is less to gain than on CIFAR."),
    Claim("better than smoothing", Distillation, "PS-KD ranks better than label smoothing: difference of AURC × 1000",
          "CIFAR-100, ResNet-18: AURC 52.10 against 57.74", advantage("aurc", "PS-KD", over="label smoothing"), below=0,
          seeds=16, group="paper", source="zero", why="Smoothing is tuned for its likelihood, not for its ranking."),
    Claim("hard points", Microscope, "Soft targets give the hard quarter a larger share of the gradients' sizes: "
          "difference of the shares, mean of epochs 2 to 12", "Hard examples are weighted more",
          lambda r: r.hard_gain.sel(arm="fixed α", epoch=slice(2, 12)).mean("epoch"), above=0,
          group="paper", source="zero"),
    Claim("size of the gradient", Microscope, "Where P ≥ αP' for all wrong classes, soft targets scale the size of the "
          "gradient by ρ: largest distance from it, all arms", "The paper discusses this rescaling",
          lambda r: float(r.gap.max()), below=1e-6, rule="exact", group="identity", source="theory", essential=True),
    Claim("knows the point", Distillation, "Within a class, targets follow the Bayes posterior: rank correlation",
          "Not reported", end("memory_rank", "PS-KD"), above=0.3, group="control", source="pilot", essential=True,
          robust=True),
    Claim("needs its own memory", Distillation, "PS-KD ranks better than with the memory of another point of a class: "
          "difference of AURC × 1000", "Not reported; our null", advantage("aurc", "PS-KD", over="another's memory"),
          below=0, group="control", source="zero", essential=True),
    Claim("everybody tuned", Distillation, "With its best decay, 0.03, PS-KD's NLL is below CE's with its own, 0.05; a "
          "temperature for each: difference, nats", "Not compared", advantage("nll_scaled", "PS-KD", over="more decay"),
          {"best decay": {"decay": 0.03}}, below=0, seeds=16, group="control", source="zero",
          why="Weight decay alone brings most of the gain."),
    Claim("growing weight", Distillation, "PS-KD's NLL is lower than that of a constant weight, with a temperature for "
          "both: difference in nats", "Not compared in what we read", advantage("nll_scaled", "PS-KD", over="fixed α"),
          below=0, seeds=16, group="control", source="zero", why="A constant weight trusts it from epoch 2 on."),
    Claim("limit", Distillation, "With the decay at which CE's NLL is best, PS-KD's ECE is higher: difference in %",
          "ECE rises for one of the paper's networks (ResNeXt-29)", advantage("ece", "PS-KD", over="CE"), above=0,
          group="control", source="zero", robust=True),
)
# fmt: on
