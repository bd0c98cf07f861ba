"""What a layer is worth compressed: its activations, replaced on their way by fewer dimensions or a linear tail."""
