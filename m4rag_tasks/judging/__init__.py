"""Judging: what a judge's answer says, and how far judges agree."""
