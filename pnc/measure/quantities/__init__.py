"""Numbers of class means, scatters and singular values, each a pure function."""
