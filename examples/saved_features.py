"""Features saved from JAX (or anything else): are the classes compressed, and which two are hardest to tell apart?"""

import numpy as np

import pnc.measure

rng = np.random.default_rng(0)
y = np.arange(200) % 4
z = np.eye(4, 16)[y] + 0.3 * rng.standard_normal((200, 16))  # in JAX: numpy.asarray(activations, dtype="float32")
np.savez("features.npz", y=y, layer_0=z, layer_1=np.tanh(4 * z - 2))
curve = pnc.measure.measure_features(dict(enumerate(np.load("features.npz")[f"layer_{l}"] for l in (0, 1))), y)
before, after = curve.compression
print(f"C {before:.2f} -> {after:.2f}: {'keep' if after < before else 'drop'} layer 1; look at classes", end=" ")
print(*curve.notes[1].closest_classes)
