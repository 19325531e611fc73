"""The paper's 58 quantitative statements, each with the questions that decide it or a reason.

Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.format import table


@dataclass(frozen=True)
class Statement:
    """One statement of the paper in our words.

    `answer` holds the cells "claim.question" that decide it, or says "quoted: ..." of a number of
    other people's, "compared: ..." where the text and the 2012 code are compared without a verdict,
    or "not decided: ..." with the reason. `remark` is what its cells leave open. Names after "text
    against code" are those of `discrepancies.py`.
    """

    number: int
    where: str  # section, table or figure
    text: str
    answer: tuple[str, ...] | str
    remark: str = ""


STATEMENTS = (
    Statement(
        1,
        "Abstract, §6, Table 1",
        "37.5 and 17.0 % error on ILSVRC-2010, one network",
        ("table1_ilsvrc2010.top1", "table1_ilsvrc2010.top5"),
    ),
    Statement(
        2,
        "§6, footnote 4",
        "39.0 and 18.3 % without the ten views",
        ("table1_ilsvrc2010.top1_centre", "table1_ilsvrc2010.top5_centre"),
    ),
    Statement(3, "Table 1", "sparse coding has 47.1 and 28.2 %", "quoted: 47.1 and 28.2 %"),
    Statement(
        4, "Table 1", "SIFT with Fisher vectors has 45.7 and 25.7 %", "quoted: 45.7 and 25.7 %"
    ),
    Statement(5, "Abstract, §4", "60 million parameters", ("fig2_architecture.parameters",)),
    Statement(6, "Abstract", "650,000 neurons", ("fig2_architecture.neurons",)),
    Statement(
        7,
        "Abstract, §1",
        "eight learned layers, five of them convolutions",
        ("fig2_architecture.layers",),
    ),
    Statement(8, "Figure 2", "an input of 150,528 dimensions", ("fig2_architecture.input",)),
    Statement(
        9,
        "Figure 2",
        "253,440 to 1000 neurons in the eight layers",
        ("fig2_architecture.neurons_per_layer",),
    ),
    Statement(
        10,
        "§1",
        "each convolution has at most 1 % of the parameters, and removing any makes results worse",
        ("fig2_architecture.convolution_share", "depth.conv3", "depth.conv4", "depth.conv5"),
        "conv1 and conv2 are not removed",
    ),
    Statement(
        11,
        "§7",
        "removing a middle layer costs about 2 points of top-1",
        ("depth.conv3", "depth.conv4", "depth.conv5"),
    ),
    Statement(
        12,
        "Abstract, Table 2",
        "15.3 % top-5 error on the test images of ILSVRC-2012, against 26.2 % of the second",
        ("pretraining.seven_top5",),
        "on validation images, since test labels were never published; 26.2 % is quoted",
    ),
    Statement(
        13,
        "Table 2",
        "one network has 40.7 and 18.2 % on ILSVRC-2012",
        ("table2_ilsvrc2012.top1", "table2_ilsvrc2012.top5"),
    ),
    Statement(
        14,
        "Table 2",
        "five networks have 38.1 and 16.4 %",
        ("ensembles.top1", "ensembles.top5", "ensembles.gain_top1", "ensembles.gain_top5"),
        "test labels were never published",
    ),
    Statement(
        15,
        "Table 2",
        "one network trained on Fall 2011 first has 39.0 and 16.6 %",
        ("pretraining.top1", "pretraining.top5", "pretraining.gain_top1", "pretraining.gain_top5"),
    ),
    Statement(
        16,
        "Table 2",
        "seven networks have 36.7 and 15.4 %, two of them trained on Fall 2011 first",
        (
            "pretraining.seven_top1",
            "pretraining.seven_top5",
            "pretraining.seven_gain_top1",
            "pretraining.seven_gain_top5",
        ),
    ),
    Statement(17, "Table 2", "SIFT with Fisher vectors has 26.2 % top-5", "quoted: 26.2 %"),
    Statement(
        18,
        "§6",
        "validation and test error differ by no more than 0.1 points",
        ("own_numbers.validation", "own_numbers.validation_by_chance"),
    ),
    Statement(
        19,
        "§6",
        "67.4 and 40.9 % on Fall 2009, six convolutions",
        ("fall2009.top1", "fall2009.top5"),
    ),
    Statement(20, "§6", "the best published there is 78.1 and 60.9 %", "quoted: 78.1 and 60.9 %"),
    Statement(
        21,
        "§1, §5",
        "about 90 passes over 1.2 million images take five to six days on two GTX 580",
        "compared: text against code, `epochs`; the time is that machine's",
    ),
    Statement(
        22,
        "§3.2",
        "two GPUs gain 1.7 and 1.2 points over half the kernels",
        ("two_gpu_gain.top1", "two_gpu_gain.top5"),
    ),
    Statement(
        23,
        "§3.2",
        "two GPUs take slightly less time than one with half the kernels",
        ("two_gpu_time.multiply_accumulates",),
        "work is counted, not time",
    ),
    Statement(
        24,
        "§3.2",
        "the one-GPU net has about as many parameters",
        ("fig2_architecture.one_gpu_parameters",),
    ),
    Statement(
        25,
        "§3.2",
        "conv3 reads both GPUs and conv4 its own; a GPU of 3 GB limits the size",
        ("fig2_architecture.connectivity",),
        "the limit is that machine's",
    ),
    Statement(
        26,
        "§3.3",
        "response normalisation gains 1.4 and 1.2 points",
        ("lrn_gain.top1", "lrn_gain.top5"),
    ),
    Statement(
        27,
        "§3.3",
        "on CIFAR-10 it brings 13 % down to 11 %",
        ("cifar_lrn_gain.narrow", "cifar_lrn_gain.wide", "cifar_lrn_gain.published"),
        "the 2012 pair differs in three things more",
    ),
    Statement(
        28,
        "§3.3",
        "the formula of response normalisation with k 2, n 5, α 10⁻⁴, β ¾",
        ("formulas.normalisation",),
        "text against code: `lrn_alpha`, `lrn_k`",
    ),
    Statement(
        29,
        "§3.3",
        "ReLUs learn without their inputs being normalised",
        "not decided: it names no measure; the nets here do learn from raw grey levels",
    ),
    Statement(
        30,
        "§3.4",
        "overlapping pooling gains 0.4 and 0.3 points at the same sizes",
        ("overlap_gain.top1", "overlap_gain.top5", "formulas.pooling_sizes"),
    ),
    Statement(
        31,
        "§3.4",
        "with overlapping pooling nets are slightly harder to overfit",
        ("overlap_overfitting.gap",),
    ),
    Statement(
        32,
        "§3",
        "§3.1 to §3.4 stand in order of importance",
        ("own_numbers.importance",),
        "§3.1 gains time and has no place in it",
    ),
    Statement(
        33,
        "§3.1, Figure 1",
        "ReLU is at 25 % training error six times sooner than tanh",
        ("fig1_relu.speedup",),
    ),
    Statement(
        34,
        "Figure 1",
        "with other architectures ReLU is still several times faster",
        ("fig1_relu.speedup_modern",),
        "other inputs and weights, not another architecture",
    ),
    Statement(
        35,
        "§3.5",
        "the printed sizes and numbers of kernels",
        ("fig2_architecture.kernels", "fig2_architecture.widths"),
    ),
    Statement(
        36,
        "§3.5",
        "where columns meet, and where normalisation, pooling and ReLU stand",
        ("fig2_architecture.connectivity", "fig2_architecture.stages"),
        "text against code: `third_normalisation`, `lrn_before_relu`, `relu_after_pooling`",
    ),
    Statement(37, "§4", "a label among 1000 gives 10 bits", ("formulas.bits",)),
    Statement(
        38, "§4.1", "crops and mirror images make 2048 of each image", ("formulas.crops_and_flips",)
    ),
    Statement(
        39, "§4.1", "without them the network overfits substantially", ("crops_and_flips.gap",)
    ),
    Statement(
        40,
        "§4.1",
        "ten views are averaged at test",
        ("formulas.views", "ten_view_gain.top1", "ten_view_gain.top5"),
    ),
    Statement(
        41,
        "§4.1",
        "the formula of colour noise, with eigenvalues",
        "compared: text against code, `colour_noise`",
    ),
    Statement(42, "§4.1", "colour noise gains over 1 point of top-1", ("color_noise_gain.top1",)),
    Statement(
        43,
        "§4.1",
        "augmentation costs no time, as it runs on the CPU while the GPU trains",
        "not decided: here the device that trains does it",
    ),
    Statement(
        44,
        "§4.2",
        "halving outputs at test is about the geometric mean of all dropped-out nets",
        ("formulas.dropout_mean",),
        "for one layer, where it is exact",
    ),
    Statement(45, "§4.2", "dropout doubles the iterations to convergence", ("dropout.iterations",)),
    Statement(46, "§4.2", "without dropout the network overfits substantially", ("dropout.gap",)),
    Statement(
        47,
        "§5",
        "batch size, momentum, weight decay and the update rule",
        ("formulas.update",),
        "text against code: `weight_decay_of_biases`",
    ),
    Statement(
        48,
        "§5",
        "a small weight decay lowers the training error",
        ("weight_decay_training_error.running", "weight_decay_training_error.finished"),
    ),
    Statement(
        49,
        "§5",
        "initial weights have a deviation of 0.01, initial biases are 1 or 0",
        "compared: text against code, `initial_weights`; the biases agree",
    ),
    Statement(50, "§5", "biases of 1 speed up the early stages", ("bias_init_speed.first_epoch",)),
    Statement(
        51,
        "§5",
        "one rate for all layers, divided by ten three times",
        "compared: text against code, `bias_rate`, `conv1_rate`, `schedule`",
    ),
    Statement(
        52,
        "§6.1, Figure 3",
        "one GPU's kernels see colour and the other's do not, in every run",
        ("fig3_kernels.colour",),
    ),
    Statement(
        53,
        "Figure 4",
        "the best five classes of eight test images",
        "not decided: eight chosen pictures, to be looked at; ours are at fig4_retrieval",
    ),
    Statement(
        54,
        "§6.1, Figure 4",
        "neighbours by features are of a kind, though not by pixels",
        ("fig4_retrieval.neighbours",),
    ),
    Statement(
        55,
        "§6.1",
        "binary codes by an auto-encoder would do for retrieval",
        ("binary_codes.over_pixels", "binary_codes.loss"),
    ),
    Statement(
        56,
        "§2",
        "1.2 million, 50,000 and 150,000 images of 1000 classes; 15 million of 22,000 in all",
        "quoted: the publisher's counts",
    ),
    Statement(57, "§1", "the best error on MNIST is below 0.3 %", "quoted: 0.3 %"),
    Statement(
        58,
        "§7",
        "no unsupervised pre-training; results improved with size and time",
        "not decided: it names neither sizes nor results",
    ),
)


def ledger_table(rows: Sequence[VerdictRow]) -> str:
    """Every statement with its questions and the verdicts of the judged rows, in Markdown."""
    words: dict[str, list[str]] = {}
    for row in rows:
        words.setdefault(row.cell, []).append(_words(row))
    return table(
        [
            {
                "#": str(statement.number),
                "§": statement.where,
                "The paper says": statement.text,
                "Decided by": _decided_by(statement),
                "Verdicts": _verdicts(statement, words),
            }
            for statement in STATEMENTS
        ]
    )


def _decided_by(statement: Statement) -> str:
    if isinstance(statement.answer, str):
        return statement.answer
    cells = ", ".join(f"`{cell}`" for cell in statement.answer)
    return f"{cells}; {statement.remark}" if statement.remark else cells


def _verdicts(statement: Statement, words: dict[str, list[str]]) -> str:
    """The words of each cell in order, once where all cells have the same."""
    if isinstance(statement.answer, str):
        return "–"
    found = [", ".join(dict.fromkeys(words.get(cell, ["not run"]))) for cell in statement.answer]
    runs = [(said, len(list(same))) for said, same in groupby(found)]
    return (
        found[0]
        if len(runs) == 1
        else "; ".join(f"{count} × {said}" if count > 1 else said for said, count in runs)
    )


def _words(row: VerdictRow) -> str:
    """A row's verdict with its scale; a count has no other scale than the paper's."""
    word = {"none": "not judged"}.get(row.verdict.word, row.verdict.word)
    return word if word == "not run" or not row.question.trained else f"{word} ({row.scale})"
