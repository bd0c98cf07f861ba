"""T8: intervals for C_l and D_l that given, imperfect weights are guaranteed to obey."""
