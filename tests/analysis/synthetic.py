"""Runs with planted effects: what is true of them is known in closed form.

Images are asked about in every language. A question's draw is its image's own with chance `alike`, else fresh; so
answers to one picture go together, over languages and models, while every answer keeps the chance it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from m4rag_tasks.analysis import Columns, ModelSize, Variety

SIZES = {f"m-{billions:g}b": ModelSize(billions, billions) for billions in (3.0, 7.0, 13.0, 32.0, 72.0)}


@dataclass(frozen=True)
class World:
    """The planted truth. Chances of a right answer: without retrieval by language; of keeping a right one and of
    correcting a wrong one by bucket of the mean grade; with the oracle context; lost by a prompt in the language."""

    images: int = 120
    alike: float = 0.3
    accuracy: Mapping[str, float] = field(default_factory=lambda: {"am": 0.45, "hi": 0.7, "sw": 0.6})
    retention: Mapping[str, float] = field(default_factory=lambda: {"below 2": 0.5, "above 4": 0.95})
    correction: Mapping[str, float] = field(default_factory=lambda: {"below 2": 0.15, "above 4": 0.85})
    well_graded: float = 0.5
    oracle: float = 0.97
    prompt_loss: Mapping[str, float] = field(default_factory=lambda: {"am": 0.15, "hi": 0.0, "sw": 0.05})
    gain_at_10b: float = 0.1
    slope: float = -0.08
    spread: float = 0.0
    """Standard deviation of the gains of models about the line."""

    def gain(self, language: str) -> float:
        """What retrieval truly gains in one language."""
        p, good = self.accuracy[language], {"above 4": self.well_graded, "below 2": 1 - self.well_graded}
        after = sum(share * (p * self.retention[b] + (1 - p) * self.correction[b]) for b, share in good.items())
        return after - p

    def macro_gain(self) -> float:
        """The mean over languages."""
        return float(np.mean([self.gain(language) for language in self.accuracy]))

    def oracle_gap(self) -> float:
        """What is truly missing to the oracle context."""
        return self.oracle - float(np.mean(list(self.accuracy.values()))) - self.macro_gain()


@dataclass(frozen=True)
class Asked:
    """All questions of a world, before anybody answered: a run without scores, and each question's image."""

    world: World
    blank: Columns
    images: np.ndarray

    def draw(self, rng: np.random.Generator, shared: np.ndarray | None = None) -> np.ndarray:
        """One uniform number per question, its image's own with chance `alike` (`shared`: given for all images)."""
        own = rng.random(self.world.images) if shared is None else shared
        alike = rng.random(len(self.images)) < self.world.alike
        return np.where(alike, own[self.images], rng.random(len(self.images)))

    def chances(self, by_language: Mapping[str, float]) -> np.ndarray:
        """Each question's own by its language."""
        return np.array([by_language[name] for name in self.blank.language])

    def run(self, right: np.ndarray, **known: np.ndarray) -> Columns:
        """The run in which these are right."""
        return replace(self.blank, score=right.astype(float), **known)


def asked(world: World) -> Asked:
    """Every image in every language, in the order of question ids."""
    pairs = [(image, language) for language in world.accuracy for image in range(world.images)]
    ids = sorted((f"{image:04}-{language}", image, language) for image, language in pairs)
    n = len(ids)
    unknown, nothing = np.full(n, -1), np.full(n, np.nan)
    blank = Columns(
        question_id=np.array([name for name, *_ in ids], dtype=object),
        language=np.array([language for *_, language in ids], dtype=object),
        image=np.array([f"{image}.png" for _, image, _ in ids], dtype=object),
        strata=np.array([sorted(world.accuracy).index(language) for *_, language in ids]),
        images=np.array([image for _, image, _ in ids]),
        score=nothing,
        invalid=np.zeros(n, dtype=bool),
        gold=np.full(n, 1),
        prediction=np.full(n, 1),
        choices=np.full(n, 4),
        records=np.full(n, None),
        answer_rank=unknown,
        grade_rank=unknown,
        chosen_rank=unknown,
        wrong_options=nothing,
        best_rank=unknown,
        grade=nothing,
        context_answer=unknown,
        query_answer=unknown,
        context_chars=nothing,
        tokens=nothing,
        varieties={name: Variety(name, "high" if name == "hi" else "low") for name in world.accuracy},
    )
    return Asked(world, blank, np.array([image for _, image, _ in ids]))


def retrieval(questions: Asked, rng: np.random.Generator) -> dict[str, Columns]:
    """The runs norag, mmrag and oracle of one model, mmrag with grades and with tokens of context."""
    world = questions.world
    before = questions.draw(rng) < questions.chances(world.accuracy)
    good = questions.draw(rng) < world.well_graded
    kept, mended = (
        np.where(good, chance["above 4"], chance["below 2"]) for chance in (world.retention, world.correction)
    )
    after = questions.draw(rng) < np.where(before, kept, mended)
    grade = np.where(good, 4.5, 1.5)
    chars = 2000 + 2000 * questions.draw(rng)
    return {
        "norag": questions.run(before),
        "mmrag": questions.run(after, grade=grade, grade_rank=good.astype(int), context_chars=chars),
        "oracle": questions.run(questions.draw(rng) < world.oracle),
    }


def prompts(questions: Asked, rng: np.random.Generator) -> dict[str, Columns]:
    """The plain variant and `enprompt`: the same answers but for those that the language's own prompt loses."""
    world = questions.world
    english, loss = questions.chances(world.accuracy), questions.chances(world.prompt_loss)
    right = questions.draw(rng) < english
    lost = questions.draw(rng) < loss / english
    return {"enprompt": questions.run(right), "": questions.run(right & ~lost)}


def models(questions: Asked, rng: np.random.Generator) -> dict[str, tuple[Columns, Columns]]:
    """Models of the sizes `SIZES` without and with retrieval; they know and miss the same pictures."""
    world, found = questions.world, {}
    known, read = rng.random(world.images), rng.random(world.images)
    for model, size in SIZES.items():
        gain = world.gain_at_10b + world.slope * (np.log10(size.total) - 1) + world.spread * rng.standard_normal()
        accuracy = questions.chances(world.accuracy)
        before = questions.draw(rng, known) < accuracy
        # Of the right ones 90 % are kept; the rest of the gain is corrected.
        corrected = (gain + 0.1 * accuracy) / (1 - accuracy)
        after = questions.draw(rng, read) < np.where(before, 0.9, corrected)
        found[model] = (questions.run(before), questions.run(after))
    return found
