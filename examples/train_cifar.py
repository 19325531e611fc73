"""Figure 1's network on CIFAR-10, five epochs by the 2012 recipe, with the test error after each.

ALEXNET_DATA=DIR python examples/train_cifar.py
"""

from alexnet import CifarNet, Recipe, images, train

training = train(
    CifarNet(seed=0),
    Recipe(learning_rate=0.002, epochs=5),
    images("cifar10"),
    images("cifar10", "test"),
    on_row=lambda row: print(f"epoch {row.epoch:.1f}: training error {row.train_error:.1f} %"),
)
errors = ", ".join(f"{error:.1f} %" for error in training.validation_errors)
print("test error after each epoch:", errors)
