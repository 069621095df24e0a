"""What the body of an invented person does: made of a seed and the hour, for demos and tests.

Not physiology: numbers that look like days of a home. The same person and moment give the same
value, whoever asks, in whatever order; no value depends on another draw.
"""

import math
import random
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

# Breakfast, lunch, dinner: local hour, and how far the hour wanders.
MEALS: Final = ((7.75, 0.4), (13.0, 0.5), (19.0, 0.6))
_DIGESTED_H: Final = 4.0


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody invented: where the values lie, and where they go within `weeks` of treatment."""

    seed: str
    systolic: float = 124.0
    diastolic: float = 79.0
    pulse: float = 70.0
    glucose: float = 5.2
    meal_rise: float = 2.2
    weight: float = 76.0
    ldl: float = 2.9
    # Treatment since this day; the values follow it for six weeks.
    treated_since: date | None = None
    systolic_fall: float = 0.0
    glucose_fall: float = 0.0
    weight_fall: float = 0.0

    def better(self, on: date) -> float:
        """How far the treatment has got: 0 before it, 1 after six weeks."""
        if self.treated_since is None:
            return 0.0
        days = (on - self.treated_since).days
        return min(max(days / 42, 0.0), 1.0)


def drawn(person: Person, *what: object) -> random.Random:
    """The dice of one thing at one time."""
    return random.Random(" ".join(map(str, (person.seed, *what))))  # noqa: S311 - invented people


def meal_times(person: Person, on: date) -> tuple[float, ...]:
    """Local hours of the day's meals."""
    draw = drawn(person, "meals", on)
    return tuple(round(draw.gauss(hour, wander), 2) for hour, wander in MEALS)


def pressure(person: Person, at: datetime) -> tuple[float, float, float]:
    """Systolic, diastolic in mmHg and pulse: lower in the evening and as the treatment works."""
    on, hour = at.date(), at.hour + at.minute / 60
    day = drawn(person, "pressure", on).gauss(0, 5)
    draw = drawn(person, "pressure", at)
    swing = 4 * math.cos((hour - 9) / 24 * 2 * math.pi)
    fall = person.systolic_fall * person.better(on)
    systolic = person.systolic - fall + day + swing + draw.gauss(0, 4)
    diastolic = person.diastolic - 0.5 * fall + 0.5 * day + 0.5 * swing + draw.gauss(0, 2.5)
    pulse = person.pulse + swing + draw.gauss(0, 4)
    return round(systolic), round(min(diastolic, systolic - 15)), round(pulse)


def glucose(person: Person, at: datetime) -> float:
    """mmol/L: the person's own level, dawn, and what the meals of the last hours add."""
    on = at.date()
    level = person.glucose - person.glucose_fall * person.better(on)
    hour = at.hour + at.minute / 60
    dawn = 0.6 * math.exp(-(((hour - 6) / 2) ** 2))
    meals = sum(
        _meal(person, day, number, hour + 24 * back - eaten)
        for back in (0, 1)
        for day in (on - timedelta(days=back),)
        for number, eaten in enumerate(meal_times(person, day))
    )
    slow = drawn(person, "glucose", on, at.hour).gauss(0, 0.15)
    return max(2.3, level + dawn + meals + slow)


def _meal(person: Person, day: date, number: int, since_h: float) -> float:
    """What one meal adds: nothing before it, most after an hour, gone after four."""
    if not 0 < since_h < _DIGESTED_H:
        return 0.0
    size = drawn(person, "meal", day, number).uniform(0.6, 1.5)
    rest = 1 - since_h / _DIGESTED_H
    return person.meal_rise * size * since_h * math.exp(1 - since_h) * rest * 1.3


def weight(person: Person, at: datetime) -> float:
    """Kilograms, from morning to morning."""
    fall = person.weight_fall * person.better(at.date())
    return round(person.weight - fall + drawn(person, "weight", at.date()).gauss(0, 0.35), 1)


def temperature(person: Person, at: datetime) -> float:
    """Degrees Celsius."""
    swing = 0.25 * math.cos((at.hour - 17) / 24 * 2 * math.pi)
    return round(36.6 + swing + drawn(person, "temperature", at).gauss(0, 0.1), 1)


def oxygen(person: Person, at: datetime) -> tuple[float, float]:
    """Saturation in percent and pulse."""
    draw = drawn(person, "oxygen", at)
    return float(min(99, round(draw.gauss(97.2, 0.8)))), round(person.pulse + draw.gauss(0, 4))


def lipids(person: Person, at: datetime) -> dict[str, float]:
    """Total cholesterol, HDL, LDL and triglyceride in mmol/L, as one strip gives them."""
    draw = drawn(person, "lipids", at.date())
    ldl = person.ldl * (1 - 0.3 * person.better(at.date())) + draw.gauss(0, 0.1)
    hdl, triglyceride = draw.gauss(1.3, 0.08), draw.gauss(1.6, 0.15)
    total = ldl + hdl + triglyceride / 2.2
    found = {"cholesterol": total, "hdl": hdl, "ldl": ldl, "triglyceride": triglyceride}
    return {name: round(value, 2) for name, value in found.items()}
