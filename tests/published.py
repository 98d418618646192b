"""How the published WorldCuisines scores name what the rows have: prompt types and two languages."""

from __future__ import annotations

RENAMED = {"su_loma": "su", "si_formal_spoken": "si"}
PROMPT_TYPES = {
    1: "1a. Dish Name (No-Context)",
    2: "2. Regional Cuisine",
    3: "1b. Dish Name (Contextualized)",
    4: "1c. Dish Name (Adversarial)",
}
