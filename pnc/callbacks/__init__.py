"""C and D of every layer while a network trains: for a loop of one's own, Lightning and the transformers Trainer."""

from pnc.callbacks.frameworks import lightning_callback, trainer_callback
from pnc.callbacks.watch import Alarm, Watch, Watched

__all__ = ["Alarm", "Watch", "Watched", "lightning_callback", "trainer_callback"]
