"""What fastai, Keras, Lightning, scikit-learn, timm, transformers and ultralytics call the keys of a study."""

from __future__ import annotations

from typing import Final

__all__ = ["KEPT_ELSEWHERE", "OTHER_NAMES", "OTHER_NAMES_HERE"]

OTHER_NAMES: Final = {
    "backbone": (
        "model", "arch", "architecture", "network", "net", "model_name", "encoder", "base_model", "base_arch",
        "backbone_name", "body",
    ),
    "weights": ("pretrained", "checkpoint", "ckpt", "ckpt_path", "pretrained_weights", "initial_weights", "weight"),
    "train_from": (
        "freeze", "frozen", "freeze_to", "freeze_until", "freeze_backbone", "freeze_at", "unfreeze", "unfreeze_from",
        "trainable", "trainable_layers", "frozen_layers", "frozen_stages", "finetune", "fine_tune", "layers", "layer",
    ),
    "epochs": (
        "epoch", "n_epoch", "n_epochs", "nepochs", "num_epochs", "nb_epoch", "nb_epochs", "max_epochs", "total_epochs",
        "num_train_epochs",
    ),
    "optimizer": ("optim", "opt", "opt_func", "optimiser", "solver"),
    "optimizer.lr": (
        "learning_rate", "learningrate", "learning_rates", "lrs", "lr_rate", "base_lr", "max_lr", "lr_max", "init_lr",
        "initial_lr", "lr0", "eta", "learning_rate_init",
    ),
    "optimizer.momentum": ("mom", "moms"),
    "optimizer.weight_decay": ("wd", "decay", "l2", "l2_regularization", "weightdecay"),
    "optimizer.stage_decay": ("layer_decay", "layerwise_decay", "layer_wise_lr_decay", "llrd", "discriminative_lr"),
    "schedule": (
        "scheduler", "sched", "lr_scheduler", "lr_scheduler_type", "lr_schedule", "lr_policy", "policy", "warmup",
        "warmup_epochs", "warmup_steps", "warmup_ratio", "pct_start", "one_cycle", "fit_one_cycle", "cosine", "cos_lr",
    ),
    "schedule.step_epochs": ("step_size", "decay_epochs", "lr_step", "milestones"),
    "schedule.gamma": ("decay_rate", "lr_gamma", "lr_decay"),
    "batch_size": (
        "bs", "batch", "batchsize", "batch_sz", "batches", "train_batch_size", "val_batch_size", "eval_batch_size",
        "per_device_train_batch_size", "per_device_eval_batch_size",
    ),
    "image_size": (
        "size", "img_size", "imgsz", "imgsize", "imagesize", "img_sz", "image_sz", "resolution", "input_size",
        "input_shape", "crop_size", "resize", "pixels", "image_height", "image_width", "target_size",
    ),
    "seed": ("seeds", "random_seed", "random_state", "manual_seed", "rng_seed"),
    "head": ("classifier", "custom_head", "top", "include_top", "fc"),
    "head.hidden": (
        "hidden_size", "hidden_sizes", "hidden_units", "hidden_dim", "hidden_dims", "hidden_layers",
        "hidden_layer_sizes", "lin_ftrs", "units",
    ),
    "head.dropout": ("drop", "drop_rate", "dropout_rate", "drop_out", "ps"),
    "augmentation": (
        "augment", "augmentations", "aug", "augs", "transform", "transforms", "aug_transforms", "batch_tfms",
        "item_tfms", "data_augmentation", "train_transform", "auto_augment", "flip", "hflip", "horizontal_flip",
    ),
    "views": ("n_views", "num_views"),
    "label_smoothing": ("smoothing", "label_smooth", "label_smoothing_factor"),
    "class_weights": ("class_weight", "loss_weights", "pos_weight"),
    "frozen_norm": ("train_bn", "freeze_bn", "freeze_norm", "bn_mode"),
    "tail_norm": ("norm", "norm_eval", "bn"),
    "data": ("dataset", "datasets", "dataloader", "dataloaders", "dls", "datamodule"),
    "data.path": (
        "root", "data_dir", "data_path", "dataset_path", "datadir", "dir", "directory", "folder", "file", "files",
        "filename", "path_to_data", "image_folder", "csv_file", "fname",
    ),
    "data.train": ("n_train", "num_train", "train_size", "train_split", "train_images", "training", "subset"),
    "data.val": (
        "valid", "validation", "valid_pct", "valid_size", "valid_split", "val_split", "val_size", "val_pct", "n_val",
        "num_val", "n_valid", "validation_split", "validation_size", "eval", "dev",
    ),
    "data.test": ("n_test", "num_test", "test_size", "test_split", "test_pct", "test_images"),
    "data.on_bad_image": ("skip_bad", "skip_bad_images", "on_error", "errors"),
    "data.image_column": ("fn_col", "image_col", "img_col", "x_col", "image_key", "filename_col", "path_column"),
    "data.label_column": ("label_col", "y_col", "target", "target_column", "label_key", "class_column", "labels"),
    "defaults": ("default", "common", "base", "shared"),
    "arms": ("arm", "experiments", "experiment", "runs", "configs", "variants", "trials", "grid"),
    "name": ("study_name", "title", "project", "project_name", "experiment_name", "run_name"),
}  # fmt: skip
"""Other names by the key that they stand for; a key of a table with the table's name before it."""

OTHER_NAMES_HERE: Final = {
    ("optimizer", "type"): "name",
    ("optimizer", "optimizer"): "name",
    ("optimizer", "opt"): "name",
    ("optimizer", "rate"): "lr",
    ("schedule", "type"): "name",
    ("schedule", "schedule"): "name",
    ("schedule", "every"): "step_epochs",
    ("schedule", "factor"): "gamma",
    ("head", "p"): "dropout",
    ("head", "layers"): "hidden",
    ("head", "size"): "hidden",
    ("data", "type"): "source",
    ("data", "name"): "source",
    ("data", "kind"): "source",
    ("data", "format"): "source",
    ("data", "dataset"): "source",
    ("data", "images"): "path",
    ("data", "image"): "image_column",
    ("data", "label"): "label_column",
    ("data", "size"): "train",
}
"""Other names that stand for a key at one level only."""

_ALWAYS_SHUFFLED: Final = "the training images are shuffled in every epoch, by the arm's seed"
_CHOSEN_FOR_YOU: Final = "leave it out, as Frostline chooses this itself"
_CLASSES: Final = "the classes come from the images"
_DEFAULTS_OF_ADAM: Final = "Adam and AdamW run with torch's own betas and eps"
_LOSS: Final = "the loss is cross-entropy; label_smoothing and class_weights change it"
_METRICS: Final = "every epoch reports the training loss, and loss and accuracy on validation"
_NORMALISED: Final = "images are normalised as the pretrained weights expect"
_STOPPING: Final = "give a list, such as epochs = [2, 5, 10]: its arms share one training run"


def _option(name: str) -> str:
    return f"it is an option of the run: frostline run STUDY --{name}, in Python frostline.run(study, {name}=..)"


KEPT_ELSEWHERE: Final = {
    **dict.fromkeys(("num_classes", "n_classes", "classes", "class_names", "n_out", "num_labels"), _CLASSES),
    **dict.fromkeys(("num_workers", "workers", "n_workers", "n_jobs", "threads", "num_threads"), _CHOSEN_FOR_YOU),
    **dict.fromkeys(("pin_memory", "persistent_workers", "prefetch", "prefetch_factor"), _CHOSEN_FOR_YOU),
    **dict.fromkeys(("loss", "loss_fn", "loss_func", "loss_function", "criterion"), _LOSS),
    **dict.fromkeys(("metric", "metrics", "monitor"), _METRICS),
    **dict.fromkeys(("mean", "std", "normalize", "normalise", "normalization"), _NORMALISED),
    **dict.fromkeys(("early_stopping", "early_stop", "patience"), _STOPPING),
    **dict.fromkeys(("beta", "betas", "beta1", "beta2", "beta_1", "beta_2", "eps", "epsilon"), _DEFAULTS_OF_ADAM),
    "shuffle": _ALWAYS_SHUFFLED,
    **dict.fromkeys(("device", "gpu", "gpus", "cuda", "accelerator"), _option("device")),
    **dict.fromkeys(("workspace", "output", "output_dir", "out_dir", "save_dir", "log_dir"), _option("workspace")),
    **{name: _option(name) for name in ("engine", "cache", "disk", "memory", "plain", "resume")},
}
"""What is no key of a study, and why, or where it is set instead."""
