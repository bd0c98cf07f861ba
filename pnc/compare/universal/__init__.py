"""Inequalities that hold for the features of every network (U1–U4)."""
