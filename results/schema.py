"""The columns of the results table: name, type, meaning with its unit.

One finished execution is one row of `runs`; its epochs and test predictions travel with it. The
types are Parquet types by name, so that this file imports nothing heavy.
"""

from dataclasses import dataclass

SCHEMA_VERSION = 1
COPY = 2**32  # what the copy's number is multiplied by in `predictions.index`

NETWORK_CHECK = "network_check"  # key of `extra`: what the check of the network in float64 found

# lost: infrastructure broke it (a node died, a job was cancelled), which is no fault of a framework
STATUSES = ("ok", "diverged", "oom", "timeout", "error", "skipped", "lost")


@dataclass(frozen=True)
class Column:
    """One column: its name, its type by name (see `record.arrow_type`) and what it holds."""

    name: str
    type: str
    meaning: str
    json: bool = False  # a string that holds JSON; mappings and lists are accepted on append


def _columns(*rows: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(
        Column(name, "string" if kind == "json" else kind, meaning, json=kind == "json")
        for name, kind, meaning in rows
    )


RUN_COLUMNS = _columns(
    ("schema_version", "int64", "version of these columns"),
    ("run_id", "string", "hash of what was to be run; executions of one configuration share it"),
    ("cell_id", "string", "the same hash without seed, repeat and nudge"),
    ("task_id", "string", "hash of what is run, whoever runs it (results/task.py)"),
    ("execution_id", "string", "unique to this execution"),
    ("session_id", "string", "the call of the command that this execution belongs to"),
    ("started_at", "timestamp[us, UTC]", "when the execution began"),
    ("node", "string", "name of the machine that it ran on; null: not recorded"),
    ("engine", "string", "what started it: local, slurm, ray, or block (by its file)"),
    ("job_id", "string", "the engine's number of the job that it was part of"),
    ("block", "string", "hash of the runs that go together on one node, in one session"),
    ("experiment", "string", "the published experiment that this is a run of; null when none"),
    ("scale", "double", "share of its data and epochs; 1 is all of them, null without experiment"),
    ("framework", "string", "keras (on TensorFlow), keras@torch, torch, jax, torch@2.12, ..."),
    ("architecture", "string", "name of the layer list"),
    ("architecture_hash", "string", "hash of the layer list"),
    ("dataset", "string", "demo, galaxy10, galaxy10-decals, or the stem of a file's name"),
    (
        "dataset_sha256",
        "string",
        "SHA-256 of a published file, else of images and labels as loaded",
    ),
    ("labels", "string", "label view: native, 4way, 3way, hubble"),
    ("channels", "string", "rgb, or the one channel taken"),
    ("image_height", "int64", "pixels"),
    ("image_width", "int64", "pixels"),
    ("image_channels", "int64", "channels of the network's input"),
    ("classes", "int64", "number of classes"),
    ("class_names", "list<string>", "by label"),
    ("fraction", "double", "share of the data set's galaxies that was used; null: all"),
    ("augmentation", "string", "copies of each galaxy: none, crops40 or dihedral; null: none"),
    ("split_by", "string", "galaxy, or copy: copies of one galaxy in several parts; null: galaxy"),
    ("test_copies", "string", "copies validated and tested on: centre or all; null: centre"),
    ("seed", "int64", "seed of split, order, weights and masks"),
    ("repeat", "int64", "which of several processes of one configuration and seed"),
    ("control", "bool", "second of an A/A pair: its cell run once more, to see the noise"),
    ("parity", "string", "matched or native"),
    ("tuning", "string", "idiomatic or tuned"),
    ("precision", "string", "float32, tf32, float16, bfloat16 or float64"),
    ("device", "string", "cpu or cuda"),
    ("device_name", "string", "model of the processor or GPU"),
    ("threads", "int64", "threads that the framework was given"),
    ("replicas", "int64", "data-parallel replicas that trained together; null: one"),
    ("side_by_side", "int64", "blocks that may have shared the node; null: one, it was alone"),
    ("status", "string", "ok, diverged, oom, timeout, error, skipped or lost"),
    ("reason", "string", "why, when the status is not ok"),
    ("parameters", "int64", "trainable and other parameters of the network"),
    ("train_images", "int64", "images trained on in one epoch"),
    ("validation_images", "int64", "images in the validation set"),
    ("test_images", "int64", "images in the test set"),
    ("class_counts", "list<int64>", "galaxies of each class, in all parts together"),
    ("epochs", "int64", "epochs asked for"),
    ("epochs_trained", "int64", "epochs trained: fewer than asked for when it stopped early"),
    ("tested_epoch", "int64", "the epoch whose weights were tested"),
    ("batch_size", "int64", "images in one optimizer step"),
    ("optimizer", "string", "name of the optimizer"),
    ("learning_rate", "double", "initial learning rate"),
    ("loss", "string", "what is made small: cross_entropy (null too), binary_cross_entropy, ..."),
    ("outputs", "int64", "numbers that the network ends in; null: one for each class"),
    ("recipe", "json", "optimizer, loss, schedule, stopping: every default spelled out"),
    ("config", "json", "the whole configuration of the run"),
    (
        "test_accuracy",
        "double",
        "share of test images whose predicted class is the label; of votes, of those on the right "
        "side of one half",
    ),
    (
        "test_loss",
        "double",
        "mean test loss, with the L2 terms, as Keras reports it; in nats, or squares of votes",
    ),
    ("test_cross_entropy", "double", "mean test cross-entropy in nats, without L2 terms"),
    ("test_rmse", "double", "root mean squared error of the test set's votes; null without votes"),
    ("test_auc", "double", "area under the ROC curve of sigmoid outputs, their mean; else null"),
    ("best_validation_accuracy", "double", "highest validation accuracy of any epoch >= 1"),
    ("best_validation_epoch", "int64", "the epoch it was reached in"),
    ("lowest_validation_loss_epoch", "int64", "epoch >= 1 with the lowest validation loss"),
    ("import_seconds", "double", "importing the framework"),
    ("stage_seconds", "double", "putting the data where the framework reads it"),
    ("build_seconds", "double", "building the network and loading its weights"),
    ("compile_seconds", "double", "compiling: a step of each batch shape, then undone"),
    ("train_seconds", "double", "all epochs, validation apart"),
    ("evaluate_seconds", "double", "validation and test"),
    ("self_check_seconds", "double", "checking the trained run (column self_checked)"),
    (
        "communication_share",
        "double",
        "share of the time in which a sum over the replicas was under way, waits for each other "
        "with it, in a trace of some steps; null: one replica, or not traced",
    ),
    ("wall_seconds", "double", "the whole process, from start to exit (resumed: the quickstart)"),
    ("peak_memory_bytes", "int64", "highest memory use, bytes"),
    ("peak_memory_kind", "string", "process resident set or device allocator"),
    ("process_peak_memory_bytes", "int64", "highest resident set of the process, bytes"),
    ("device_memory_bytes", "int64", "GPU memory in use after training, whoever uses it, bytes"),
    ("train_joules", "double", "energy of the GPU over all training epochs (NVML's counter)"),
    ("flops_per_image", "double", "operations of forward and backward for one training image"),
    ("peak_flops_per_second", "double", "matrix products at their best here, any library"),
    ("bandwidth_bytes_per_second", "double", "copying at its best here: read plus written bytes"),
    ("roofline_seconds", "double", "least seconds of a full training step by these two, by layer"),
    ("split_hash", "string", "hash of the train, validation and test indices"),
    ("order_hash", "string", "hash of the batch order of every epoch"),
    (
        "augmentation_hash",
        "string",
        "hash of the copies' definition and of the first batch's bytes; of pictures drawn anew, "
        "of the first batches of the first and the last epoch",
    ),
    ("weights_hash", "string", "hash of the initial weights"),
    ("masks_hash", "string", "hash of the dropout masks"),
    ("parity_checked", "bool", "this configuration passed the parity check; null: not checked"),
    (
        "self_checked",
        "bool",
        "predictions and weights, asked again in other ways and of the float64 reference, agreed; "
        "null: not checked",
    ),
    ("versions", "json", "versions of Python, this project, the framework and its libraries"),
    ("machine", "json", "the machine: processor, memory, system, GPU"),
    ("machine_id", "string", "fingerprint of the machine without what changes by the minute"),
    ("commit", "string", "commit of the harness"),
    ("dirty", "bool", "whether files differed from that commit"),
    ("log", "string", "the end of the worker's error output, when it failed"),
    ("extra", "json", "further measurements"),
)

# What null stands for: what all runs did that were made before there was the column.
USUAL: dict[str, float | str] = {
    "fraction": 1.0,
    "augmentation": "none",
    "split_by": "galaxy",
    "test_copies": "centre",
}

DERIVED_COLUMNS = _columns(
    ("epoch_seconds_median", "double", "median of the training epochs' seconds, epochs >= 1"),
    ("images_per_second", "double", "train_images / epoch_seconds_median"),
    ("images_per_second_per_replica", "double", "images_per_second / replicas"),
    ("achieved_flops", "double", "images_per_second x flops_per_image, operations per second"),
    ("peak_share", "double", "achieved_flops / peak_flops_per_second"),
    ("roofline_share", "double", "images_per_second x roofline_seconds / batch_size"),
    ("images_per_joule", "double", "training images over all timed epochs / train_joules"),
    ("own_seconds", "double", "wall_seconds less the seconds of all phases"),
    ("own_share", "double", "own_seconds / wall_seconds"),
)

EPOCH_COLUMNS = _columns(
    ("epoch", "int64", "0 is before training"),
    ("split", "string", "train or validation"),
    ("loss", "double", "mean loss in nats, with the L2 terms; of train with its class weights"),
    ("cross_entropy", "double", "mean cross-entropy in nats; null of squared errors"),
    ("rmse", "double", "root mean squared error of the votes; null without votes"),
    ("auc", "double", "area under the ROC curve of sigmoid outputs, their mean; else null"),
    ("accuracy", "double", "share of images classified as labelled, or of votes on their side"),
    ("epoch_seconds", "double", "seconds of this training epoch; null for validation and epoch 0"),
    ("learning_rate", "double", "learning rate of this epoch, of its last step where it changes"),
)

PREDICTION_COLUMNS = _columns(
    ("split", "string", "test"),
    (
        "index",
        "int64",
        "row of the galaxy in the data set, plus 2**32 x the augmented copy's number",
    ),
    ("label", "int64", "the class it is labelled as"),
    ("predicted", "int64", "the class of highest probability; -1 where the outputs are votes"),
    ("probabilities", "list<float>", "by class; of votes what the network gives of each"),
    ("votes", "list<float>", "the votes that these are of; null without"),
)

# Every epoch and prediction row carries these two as well, taken from its run.
KEYS = ("execution_id", "run_id")
# What may not be null in a row of each table.
REQUIRED = {
    "runs": ("run_id", "execution_id", "status"),
    "epochs": ("epoch", "split"),
    "predictions": ("split", "index", "label", "predicted"),
}
