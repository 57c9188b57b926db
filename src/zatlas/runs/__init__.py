"""Run folders: written as training goes on, listed, and opened again."""
