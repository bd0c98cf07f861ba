"""The two laws of depth on any network's curve: phase, rate, alternatives, verdict."""
