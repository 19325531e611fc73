"""Figure 4 of a trained network: what it takes test images for, and their nearest neighbours."""

import numpy as np
import torch

from alexnet.evaluation import features, predict
from reproductions.harness.execute.trained import Trained, pixels_of, sample
from reproductions.harness.records.examples import (
    BEST,
    NEAREST,
    SHOWN,
    Example,
    Examples,
    Guess,
    class_names,
    example_files,
    thumbnails,
)


def examples_of(trained: Trained) -> dict[str, bytes]:
    """A record's files for Figure 4; none if the network gives no numbers.

    Test images are evenly spread over the split; their neighbours are sought where the metrics
    `retrieval_*` seek them, in central crops.
    """
    shown, known = sample(trained.test, SHOWN), trained.known
    batches, precision = trained.batches(shown), trained.done.precision
    best = predict(trained.net, batches, crops=10, precision=precision)[0].topk(BEST)
    if not best.values.isfinite().all():
        return {}
    mine = (
        features(trained.alexnet, batches, precision=precision),
        pixels_of(batches, torch.arange(batches.count)),
    )
    near = [
        torch.cdist(one, other).topk(NEAREST, largest=False).indices.numpy()
        for one, other in zip(mine, (trained.known_features, trained.known_pixels), strict=True)
    ]
    names, found, pictures = class_names(trained.test.meta), [], []
    for k, label in enumerate(shown.labels):
        guesses = zip(best.indices[k].tolist(), best.values[k].tolist(), strict=True)
        alike = [tuple(names[own] for own in known.labels[index[k]]) for index in near]
        likely = tuple(
            Guess(name=names[own], probability=round(share, 4)) for own, share in guesses
        )
        found.append(
            Example(label=names[label], best=likely, by_features=alike[0], by_pixels=alike[1])
        )
        neighbours = [known.images[index[k]] for index in near]
        pictures.append(thumbnails(np.concatenate([shown.images[k : k + 1], *neighbours])))
    shown_examples = Examples(views=10, among=len(known), images=tuple(found))
    return example_files(shown_examples, np.stack(pictures))
