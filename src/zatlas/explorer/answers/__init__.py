"""The answers to all questions; importing them is what makes them known."""

from zatlas.explorer.answers import coding, directions, facts, trust
from zatlas.explorer.questions import QUESTIONS

__all__ = ["QUESTIONS", "coding", "directions", "facts", "trust"]
