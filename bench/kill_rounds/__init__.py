"""Rounds of kills: nothing acknowledged may be lost."""
