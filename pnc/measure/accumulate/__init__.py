"""What is summed over batches of features, and merged between processes: moments, spectra, second passes."""
