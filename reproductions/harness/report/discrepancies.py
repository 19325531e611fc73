"""Where the paper's text and the 2012 code differ, as a table without verdicts. Imports no torch.

The code is that of net #145, which printed Table 1, in the Computer History Museum's copy of the
AlexNet directory, and the cuda-convnet that the paper's footnote points to. A file name is one of
these two.
"""

import csv
import io
from collections import Counter
from dataclasses import astuple, dataclass
from typing import Literal, get_args

from reproductions.harness.report.format import table

Kind = Literal["architecture", "training", "augmentation", "evaluation", "data"]
UNMEASURED = "not measured"
HEADER = (
    "name,type,section,text,code_2012,file_2012,this_suite,measured_effect"  # of discrepancies.csv
)


@dataclass(frozen=True)
class Discrepancy:
    """One difference, in `discrepancies.csv`'s order of columns; “ ” are the paper's own words."""

    name: str
    type: Kind
    section: str
    text: str  # what the paper prints
    code_2012: str  # what the code does
    file_2012: str
    # what is computed here; `names` are fields of `alexnet/config/alexnet.py`, claims or questions
    this_suite: str
    measured_effect: str = UNMEASURED  # on the network's results


DISCREPANCIES = (
    # Architecture
    Discrepancy(
        "neurons",
        "architecture",
        "Abstract, Figure 2",
        "“650,000 neurons”; “253,440–186,624–64,896–64,896–43,264–4096–4096–1000”, which add up "
        "to 622,312.",
        "conv1 has 55 × 55 × 96 = 290,400 neurons and all layers 659,272; 253,440 is 55 × 48 × 96.",
        "`layers-145.cfg`",
        "Has 290,400 and 659,272; the claim `fig2_architecture` judges the printed numbers.",
        "none: the network is the same",
    ),
    Discrepancy(
        "convolution_share",
        "architecture",
        "§1",
        "“each of which contains no more than 1% of the model’s parameters”",
        "conv3 holds 1.452 % of the parameters and conv4 1.089 %.",
        "`layers-145.cfg`",
        "Has these shares; the claim `fig2_architecture` judges the printed bound.",
        "none: the network is the same",
    ),
    Discrepancy(
        "one_gpu_net",
        "architecture",
        "§3.2",
        "“a net with half as many kernels in each convolutional layer trained on one GPU”",
        "conv5 and the fully connected layers keep their width, as the section's footnote says.",
        "`layers-145-half.cfg`",
        "`one_column()` follows the file.",
    ),
    Discrepancy(
        "lrn_alpha",
        "architecture",
        "§3.3",
        "“α = 10⁻⁴” times the sum of squares",
        "Divides α by the n = 5 maps of the window: 2 × 10⁻⁵ times the sum of squares.",
        "`layers-145.cfg`, read by `layer.py`",
        "`original()` divides α by n, `paper()` does not (`lrn_alpha_over_n`).",
    ),
    Discrepancy(
        "lrn_k",
        "architecture",
        "§3.3",
        "“k = 2”",
        "2 in net #145; the public cuda-convnet of that time has 1, fixed.",
        "`minDiv` of `layers-145.cfg`",
        "2 in both profiles (`lrn_k`); 1 in the CIFAR-10 nets of §3.3, as in their files.",
    ),
    Discrepancy(
        "lrn_columns",
        "architecture",
        "§3.3",
        "“N is the total number of kernels in the layer”",
        "Each column is normalised by itself: no sum reaches across the border between the two "
        "GPUs.",
        "`layers-145.cfg`",
        "Both profiles normalise each column by itself; `lrn_scope` can be the whole layer.",
    ),
    Discrepancy(
        "lrn_before_relu",
        "architecture",
        "§3.3",
        "“We applied this normalization after applying the ReLU nonlinearity in certain layers”",
        "conv1 is normalised and pooled before its ReLU, conv2 is normalised after it.",
        "`layers-145.cfg`",
        "`original()` has the order of the file, `paper()` that of the text (`first_stage`).",
    ),
    Discrepancy(
        "cifar_lrn_constants",
        "architecture",
        "§3.3",
        "“We also verified the effectiveness of this scheme on the CIFAR-10 dataset”, with one "
        "set of constants",
        "The published CIFAR-10 net has constants of its own: n = 9, α = 0.001 / 9, k = 1.",
        "`layers-conv-local-11pct.cfg`",
        "The claim `cifar_lrn_gain` has the constants of the files.",
    ),
    Discrepancy(
        "pooling_of_two",
        "architecture",
        "§3.4",
        "“s = 2, z = 2, which produces output of equivalent dimensions”",
        "Net #147 also has one pixel less of padding in conv2 and in conv5; else its outputs "
        "would be larger.",
        "`layers-147.cfg`",
        "Padding stays; windows of 2 leave out the last row and column of odd sides (`pool_size`).",
    ),
    Discrepancy(
        "input_size",
        "architecture",
        "§3.5",
        "“filters the 224×224×3 input image with 96 kernels of size 11×11×3 with a stride of 4 "
        "pixels”; (224 − 11) / 4 is no whole number.",
        "Crops 224 pixels and rounds up to 55 outputs per side; the last kernels read 3 columns "
        "and rows of zeros.",
        "`layers-145.cfg`, read by `layer.py`",
        "Both profiles crop 224 and add these zeros. With 227 (`image_size`) no zeros are needed, "
        "but an image has 30 × 30 × 2 = 1,800 crops and flips instead of 33 × 33 × 2 = 2,178.",
    ),
    Discrepancy(
        "third_normalisation",
        "architecture",
        "§3.5",
        "“Response-normalization layers follow the first and second convolutional layers.”",
        "Has a third one after those of conv2, over 5 × 5 pixels of each map: α = 0.001 / 25, β = "
        "0.75, k = 1.",
        "`cnorm2` of `layers-145.cfg`",
        "`original()` has it, `paper()` does not (`within_map_lrn`). `lrn_gain` removes all "
        "three, as net #148 does.",
        "2012 logs, one run each, ILSVRC-2012, ten views: 40.5 and 18.1 % without both "
        "normalisations of conv2 (net #167), 40.6 and 18.1 % with them (net #169)",
    ),
    Discrepancy(
        "relu_after_pooling",
        "architecture",
        "§3.5",
        "“The ReLU non-linearity is applied to the output of every convolutional and "
        "fully-connected layer.”",
        "The ReLU of conv1 and of conv5 comes after max-pooling.",
        "`layers-145.cfg`",
        "conv1 as in `lrn_before_relu`; the ReLU of conv5 comes before its pooling.",
        "none in conv5: the maximum and the ReLU can change places",
    ),
    # Training
    Discrepancy(
        "cifar_pair",
        "training",
        "§3.3",
        "“a four-layer CNN achieved a 13% test error rate without normalization and 11% with "
        "normalization”",
        "The published pair also differs in the width of local3, in the weight decay of fc10, and "
        "in epochs: 160 and 520.",
        "`layers-conv-local-13pct.cfg`, `layers-conv-local-11pct.cfg` and their `layer-params-…`",
        "`cifar_lrn_gain` trains each net with and without normalisation; the published pair is a "
        "question of its own.",
    ),
    Discrepancy(
        "weight_decay_of_biases",
        "training",
        "§5",
        "“weight decay of 0.0005”",
        "Weights alone decay; biases do not.",
        "`weights.cu`, `layer.cu`",
        "Both profiles let weights alone decay.",
    ),
    Discrepancy(
        "initial_weights",
        "training",
        "§5",
        "“We initialized the weights in each layer from a zero-mean Gaussian distribution with "
        "standard deviation 0.01.”",
        "0.03 in conv3, conv4 and conv5; 0.01 in the other layers.",
        "`layers-145.cfg`",
        "`original()` has 0.03 there, `paper()` 0.01 (`conv3plus_init_std`).",
    ),
    Discrepancy(
        "bias_rate",
        "training",
        "§5",
        "“We used an equal learning rate for all layers”",
        "Biases start at 0.02, twice the rate of the weights; some runs keep it to the end.",
        "`layer-params-145.cfg`",
        "`original()` gives biases twice the weights' rate throughout, `paper()` the same rate "
        "(`bias_lr_multiplier`).",
    ),
    Discrepancy(
        "conv1_rate",
        "training",
        "§5",
        "“We used an equal learning rate for all layers”",
        "conv1 falls to 0.00001 at epoch 68, before the rest, and stays as it is from epoch 72 on.",
        "log in `layer-params-145-2010.cfg`",
        "`original()` does so (`conv1_lr_milestones`, `conv1_freeze_epoch`), but not at scale "
        "mini; `paper()` does not.",
    ),
    Discrepancy(
        "schedule",
        "training",
        "§5",
        "“divide the learning rate by 10 when the validation error rate stopped improving”",
        "Divided by hand at epochs 23, 51 and 78.",
        "log in `layer-params-145-2010.cfg`",
        "`original()` divides at these epochs (`lr_milestones`). `paper()` waits five epochs "
        "without a better one (`plateau_patience`): the text names no number.",
    ),
    Discrepancy(
        "epochs",
        "training",
        "§5",
        "“roughly 90 cycles through the training set”",
        "93 epochs on ILSVRC-2010, 91 on ILSVRC-2012, 90 to 97 in the ablations.",
        "logs in `layer-params-…`",
        "`original()` has 93, `paper()` at most 90 (`epochs`).",
    ),
    Discrepancy(
        "fine_tuning_rates",
        "training",
        "§6",
        "“and then ‘fine-tuning’ it on ILSVRC-2012”",
        "Layers have rates of their own: 0.001, in conv1 0.0001, in fc8 0.01 from batch 300 to "
        "epoch 9.",
        "log in `layer-params-146-2012-2011.cfg`",
        "`finetuning()` has these rates; fc8 has its own from the first batch.",
    ),
    # Augmentation
    Discrepancy(
        "crop_count",
        "augmentation",
        "§4.1",
        "“This increases the size of our training set by a factor of 2048”, which is 32 × 32 × 2",
        "A crop of 224 begins at one of 33 offsets each way, 0 to 32: 33 × 33 × 2 = 2,178.",
        "`convdata.py`",
        "Has 33 offsets; the question `formulas.crops_and_flips` judges the printed number.",
    ),
    Discrepancy(
        "crop_draws",
        "augmentation",
        "§4.1",
        "“extracting random 224×224 patches (and their horizontal reflections) from the 256×256 "
        "images”",
        "Draws crop and flip once for each 32 consecutive images.",
        "`convdata.py`",
        "`original()` draws once for 32 images, `paper()` for each image (`images_per_draw`).",
    ),
    Discrepancy(
        "colour_noise",
        "augmentation",
        "§4.1",
        "“with magnitudes proportional to the corresponding eigenvalues times a random variable”: "
        "0.1 × 14,830 = 1,483 grey levels on the first axis",
        "Multiplies by the square root of the eigenvalue: 0.1 × 121.78 = 12.2 grey levels.",
        "`convdata.py`",
        "Both profiles take the square root (`color_noise`), since 1,483 levels would leave "
        "nothing of an image. With pixels from 0 to 1 the printed formula would give 5.8 levels.",
    ),
    Discrepancy(
        "noise_draws",
        "augmentation",
        "§4.1",
        "“Each αᵢ is drawn only once for all the pixels of a particular training image until that "
        "image is used for training again”",
        "The draws of a batch may serve the next one too, if the thread that makes them is late.",
        "`convdata.py`",
        "Every image has its own draw in every epoch.",
    ),
    Discrepancy(
        "noise_divisor",
        "augmentation",
        "§4.1",
        "“To each training image, we add multiples of the found principal components”, and "
        "nothing more",
        "Divides the image by 1.1 after adding the noise.",
        "`convdata.py`",
        "`original()` divides by 1.1, `paper()` does not (`color_noise_divisor`).",
    ),
    Discrepancy(
        "noise_end",
        "augmentation",
        "§4.1",
        "“To each training image, we add multiples of the found principal components”",
        "No colour noise from epoch 68 of 93 on.",
        "log in `layer-params-145-2010.cfg`",
        "`original()` ends it at epoch 68, `paper()` never (`color_noise_end`).",
    ),
    # Evaluation
    Discrepancy(
        "ablation_images",
        "evaluation",
        "§3.2, §3.3, §3.4",
        "“reduces our top-1 and top-5 error rates by 1.7% and 1.2%”, and likewise later: no "
        "section names the images.",
        "§3.2 was measured on the test images of ILSVRC-2010, §3.3 and §3.4 on the validation "
        "images of ILSVRC-2012; all with ten views.",
        "logs in `layer-params-145-half.cfg`, `-147.cfg` and `-148.cfg`",
        "At scale paper the claims use the same images and ten views; below it, Tiny ImageNet.",
    ),
    Discrepancy(
        "validation_and_test",
        "evaluation",
        "§6",
        "“in our experience they do not differ by more than 0.1%”",
        "One net has both errors in its log.",
        "log of net #137 on ILSVRC-2010",
        "The claim `own_numbers` compares the printed pairs with what sampling alone gives.",
        "2012 log, one run: top-1 differs by 0.18 points and top-5 by 0.02",
    ),
    Discrepancy(
        "ensemble_weights",
        "evaluation",
        "§6",
        "“Averaging the predictions of five similar CNNs”",
        "A tool can choose the weights of an average by its top-5 error on the validation images; "
        "whether Table 2 used it is unknown.",
        "`avg-valid.py`",
        "Averages have equal weights.",
    ),
    Discrepancy(
        "five_networks",
        "evaluation",
        "§6",
        "“five similar CNNs”",
        "No file names the five. Many nets of that time have a second, blurred and smaller input; "
        "#145 has none.",
        "files of net #137 and others",
        "Five seeds of net #145.",
    ),
    Discrepancy(
        "nearest_images",
        "evaluation",
        "Figure 4",
        "“the six training images that produce feature vectors in the last hidden layer with the "
        "smallest Euclidean distance”",
        "Keeps only the nearest image of each training batch of about 1,000.",
        "`findsimilar.py`",
        "Takes the six nearest of at most 10,000 training images.",
    ),
    # Data
    Discrepancy(
        "mean_image",
        "data",
        "§2",
        "“subtracting the mean activity over the training set from each pixel”",
        "Subtracts the middle 224 pixels of the mean image from every crop, wherever the crop "
        "lies.",
        "`convdata.py`",
        "Subtracts the middle of the mean image too.",
    ),
    Discrepancy(
        "jpeg",
        "data",
        "§2",
        "“We did not pre-process the images in any other way”",
        "Stores the 256 × 256 images as JPEG again.",
        "`convdata_jpeg.py`",
        "Stores their pixels as they are.",
    ),
    Discrepancy(
        "image_order",
        "data",
        "§5",
        "The order of the images is not stated.",
        "Shuffled once, when the batches were written; every epoch has the same order.",
        "`data.py` of cuda-convnet",
        "Every epoch has a new order.",
    ),
    Discrepancy(
        "pretraining_chain",
        "data",
        "§6",
        "“two CNNs that were pre-trained on the entire Fall 2011 release”",
        "One such net is there. It was trained on ILSVRC-2012, then Fall 2009, then Fall 2011 "
        "with a linear layer of 2,048 units before the classes, then ILSVRC-2012.",
        "`layers-146-2011.cfg`, `layers-146-2012-2011.cfg`",
        "`pretraining` trains on Fall 2011 from random weights and then on ILSVRC-2012, without "
        "that layer.",
    ),
)


def discrepancies_csv() -> str:
    """All differences, one row each."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(map(astuple, DISCREPANCIES))
    return f"{HEADER}\n{file.getvalue()}"


def summary() -> str:
    """How many differences there are, of which type."""
    counts = Counter(item.type for item in DISCREPANCIES)
    kinds = [f"{counts[kind]} of {kind}" for kind in get_args(Kind)]
    return f"{len(DISCREPANCIES)} places: {', '.join(kinds[:-1])} and {kinds[-1]}"


def discrepancies_tables() -> str:
    """A Markdown table for each type, with its heading."""
    parts = []
    for kind in get_args(Kind):
        lines = [
            {
                "Name": f"`{item.name}`",
                "§": item.section,
                "The paper": item.text,
                "The 2012 code": f"{item.code_2012} ({item.file_2012})",
                "This suite": item.this_suite,
                "Measured effect": item.measured_effect,
            }
            for item in DISCREPANCIES
            if item.type == kind
        ]
        parts += [f"## {kind.capitalize()}", table(lines)]
    return "\n\n".join(parts)
