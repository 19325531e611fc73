"""The metrics that a question may name; `execute/metrics.py` measures them."""

METRICS = {
    "top1": "top-1 error on the test images, central crop",
    "top5": "top-5 error on the test images, central crop",
    "top1_ten": "top-1 error on the test images, ten crops averaged",
    "top5_ten": "top-5 error on the test images, ten crops averaged",
    "top1_ten_member": "mean top-1 error of the networks that an average is made of, ten crops",
    "top5_ten_member": "mean top-5 error of the networks that an average is made of, ten crops",
    "top1_train": "top-1 error on training images, central crop, without dropout",
    "gap": "top-1 error on the test images minus that on training images, central crop",
    "train_error": "running training error of the last epoch",
    "first_epoch_error": "running training error of the first epoch",
    "epochs_to_target": "epochs at which the running training error first falls to the target",
    "test_error": "error on the test images at the end",
    "colour_gap": "difference of the colour fraction between the two halves of conv1's kernels",
    "retrieval_pixels": "share of the six nearest training images of the same class, by pixels",
    "retrieval_features": "share of the six nearest training images of the same class, by fc7",
    "retrieval_codes": "share of the six nearest training images of the same class, by codes",
}
