"""What simple maps and classifiers read out of features."""
