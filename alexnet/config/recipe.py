"""How a network is trained: what the training loop asks of a recipe, and the simplest one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from alexnet.config.layers import Augment


class RunningError(Protocol):
    """A row of history, as far as a recipe reads it."""

    @property
    def images(self) -> int:
        """Images of the row."""

    @property
    def train_error(self) -> float:
        """Their error before each update, percent."""


class TrainingRecipe(Protocol):
    """What `train` asks of a recipe. Epochs count from 0; validation errors are top-1, percent."""

    @property
    def learning_rate(self) -> float:
        """The rate at the start."""

    @property
    def batch_size(self) -> int:
        """Images in a batch; the last one of an epoch may be smaller."""

    @property
    def momentum(self) -> float:
        """The share of the velocity that stays."""

    @property
    def epochs(self) -> int:
        """Passes over the training images, at most."""

    @property
    def rows_per_epoch(self) -> int:
        """Rows of history in an epoch."""

    @property
    def augment(self) -> Augment:
        """How training images are drawn from the stored ones."""

    def lr(self, epoch: int, validation_errors: Sequence[float]) -> float:
        """The learning rate of an epoch, before the factors of single layers."""

    def layer_lr(
        self, layer: str, kind: str, epoch: int, validation_errors: Sequence[float]
    ) -> tuple[float, float]:
        """Learning rate and weight decay of one layer's "weight" or "bias"; a rate of 0 freezes."""

    def is_over(
        self, epoch: int, validation_errors: Sequence[float], rows: Sequence[RunningError]
    ) -> bool:
        """Whether training ends now, asked before every epoch and after every row of history."""


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent at one learning rate, without augmentation: Figure 1's.

    Any network that takes the stored images as they are can be trained by it.
    """

    learning_rate: float
    batch_size: int = 128  # §5, and the default of the 2012 code
    momentum: float = 0.9  # §5; layer-params-19pct.cfg
    weight_decay: float = 0.0  # caption of Figure 1: no regularisation of any kind
    bias_lr_multiplier: float = 2.0  # layer-params-19pct.cfg: epsW 0.001, epsB 0.002
    epochs: int = 60
    target_train_error: float | None = None  # percent; training ends where the error is below it
    # the images whose running error that is: of the last row, or of the last whole pass, since the
    # error of reshuffled images saws within each epoch
    target_window: Literal["row", "pass"] = "pass"
    rows_per_epoch: int = 5  # the 2012 code printed one per data batch: five of 10,000 images
    inputs: Literal["raw", "standardised"] = "raw"  # 0–255 minus the mean image; over their std

    def shortened(self, epochs: int) -> "Recipe":
        """The same in fewer epochs."""
        return replace(self, epochs=epochs)

    @property
    def augment(self) -> Augment:
        """The stored images as they are."""
        return Augment(standardise=self.inputs == "standardised")

    def lr(self, epoch: int, validation_errors: Sequence[float]) -> float:
        """The one rate."""
        return self.learning_rate

    def layer_lr(
        self, layer: str, kind: str, epoch: int, validation_errors: Sequence[float]
    ) -> tuple[float, float]:
        """Biases have a multiple of the rate and no decay (2012 code: epsB = 2 · epsW, wc 0)."""
        if kind == "bias":
            return self.learning_rate * self.bias_lr_multiplier, 0.0
        return self.learning_rate, self.weight_decay

    def is_over(
        self, epoch: int, validation_errors: Sequence[float], rows: Sequence[RunningError]
    ) -> bool:
        """When all epochs are done, or the training error has fallen below the target."""
        return epoch >= self.epochs or self._reached(rows)

    def _reached(self, rows: Sequence[RunningError]) -> bool:
        count = 1 if self.target_window == "row" else self.rows_per_epoch
        last = rows[-count:]
        if self.target_train_error is None or len(last) < count:
            return False
        wrong = sum(row.images * row.train_error for row in last)
        return wrong / sum(row.images for row in last) < self.target_train_error
