"""Stochastic actor-critic (STAC): one critic that knows the noise of its own target, and an actor that avoids it.

Uğurcan Özalp, 2026, arXiv 2601.00737.

Departures from the paper: two toy worlds instead of MuJoCo and Box2D, 48 hidden units instead of 256, batches of 64, a
learning rate of 3e-3 and a soft update of 0.05, so that a run takes seconds. On the line the temperature is fixed and
the buffer starts full of random transitions. Values, noise and whereabouts are exact, from a grid; the paper takes
returns of an episode. In the plane episodes never start inside the danger zone, which the official code means to do
but does not, and time is counted while agents learn, not in test episodes.
"""

from reglab.catalogue import Paper

PAPER = Paper(
    part="dynamics",
    slug="stochastic_actor_critic",
    title="Stochastic Actor-Critic: Mitigating Overestimation via Temporal Aleatoric Uncertainty",
    short="STAC",
    authors=("Uğurcan Özalp",),
    venue="arXiv",
    year=2026,
    arxiv="2601.00737",
    code="https://github.com/ugurcanozalp/stochastic-actor-critic",
    sources="abstract, opening, official code of algorithm and point mass, tables and logs of results; no derivations",
    idea="An actor exploits the errors of its critic, so let one critic also predict how noisy its own target is, and "
         "be pessimistic in proportion to that noise.",
    minutes=50,
    level="advanced",
    prerequisites=("Markov decision processes", "Q-learning", "policy gradients with reparameterization"),
    flagship=True,
)  # fmt: skip
