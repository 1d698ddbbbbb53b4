"""Every way we know to get a study file wrong, with all that is said about it, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frostline.errors import StudyError
from frostline.study import check_study, load_study

if TYPE_CHECKING:
    from pathlib import Path

RECIPE_KEYS = (
    "train_from, epochs, optimizer, schedule, backbone, weights, weights_key, image_size, batch_size, seed, head, "
    "phases, augmentation, views, label_smoothing, class_weights, frozen_norm, tail_norm, activations"
)
DATA_KEYS = (
    "source, path, train, val, test, on_bad_image, seed, image_column, label_column, split_column, splits, unlabelled, "
    "download"
)
FILES_ONLY = 'applies only to the sources "folder", "csv" and "parquet"; this one is "digits"'
AMOUNT = "must be a count of images, such as 1000, or a fraction above 0 and up to 1.0"
ALL = f"{AMOUNT}; leave it out to use all of them"
TRAIN = f"{AMOUNT}; leave it out to train on all of them"
VAL = (
    f"{AMOUNT}; arms are compared on validation images, so a study needs some: leave it out for the source's own, or a "
    "tenth of its training images"
)
TEST = (
    f"{AMOUNT}; the arm chosen on validation is judged on test images, so a study needs some: leave it out for the "
    "source's own, or a fifth of its training images"
)
FRACTION = "must be a fraction above 0 and up to 1.0, or a count of images without a decimal point"
SPLITS = 'must be "none" or a table, such as {train = "seg_train", test = "seg_test"}'
LARGEST = 9223372036854775807
TOP = '[data]\nsource = "digits"\n'
FOLDER = '[data]\nsource = "folder"\npath = "x"\n'

# Each row: what the file says, and its problems in order, without the file's name.
# Rows that begin with [[arms]] or [defaults] have TOP's two lines before them.
BAD: dict[str, tuple[str, list[str]]] = {
    # -- TOML itself
    "unquoted text": (
        "[data]\nsource = digits",
        ["2:10: not valid TOML: invalid value; text needs quotes"],
    ),
    "open quote": ('[data]\nsource = "digits\n', ["2:17: not valid TOML: a quote is not closed on its line"]),
    "no value": ("[data]\nsource =\n", ["2:9: not valid TOML: invalid value; text needs quotes"]),
    "no equals sign": ("[data]\nsource\n", ["2:7: not valid TOML: expected '=' after a key in a key/value pair"]),
    "open list": ("[data]\ntrain = [1,", ["2:12: not valid TOML: invalid value; text needs quotes"]),
    "two values": (
        "[data]\ntrain = 1 2",
        ["2:11: not valid TOML: expected newline or end of document after a statement"],
    ),
    "nonsense": ("This is not a study.", ["1:6: not valid TOML: expected '=' after a key in a key/value pair"]),
    "a number without end": (f"x = {'9' * 5000}", ["not valid TOML: a number has too many digits"]),
    "a bottomless list": (f"x = {'[' * 5000}", ["not valid TOML: tables or lists are nested too deeply"]),
    "a deep list": (f"x = {'[' * 40}{']' * 40}", ["not valid TOML: tables or lists are nested more than 12 deep"]),
    "an endless key": (f"x{'.x' * 500} = 1", ["not valid TOML: a dotted key has too many parts"]),
    # -- keys given twice
    "twice in a table": (
        '[data]\nsource = "digits"\nseed = 1\nseed = 2\nsource = "csv"\n[[arms]]',
        ["4:1: data.seed: is given twice, first on line 3", "5:1: data.source: is given twice, first on line 2"],
    ),
    "a table twice": (
        '[data]\nsource = "digits"\n[[arms]]\n[data]\nseed = 1',
        ["4:2: data: is given twice, first on line 1"],
    ),
    "twice inline": (
        "[[arms]]\noptimizer = {lr = 1, lr = 2}",
        ["4:22: arms[0].optimizer.lr: is given twice, first on line 4"],
    ),
    "twice in the second arm": (
        "[[arms]]\nepochs = 1\n[[arms]]\nepochs = 1\nepochs = 2",
        ["7:1: arms[1].epochs: is given twice, first on line 6"],
    ),
    "dotted and whole": (
        "[[arms]]\noptimizer.lr = 1\noptimizer.lr = 2",
        ["5:1: arms[0].optimizer.lr: is given twice, first on line 4"],
    ),
    # -- the study
    "nothing": (
        "",
        [
            'data: is missing: say where the images come from, such as [data] with source = "digits"',
            "arms: is empty: a study needs at least one [[arms]]",
        ],
    ),
    "no arms": ('[data]\nsource = "digits"', ["arms: is empty: a study needs at least one [[arms]]"]),
    "an empty list of arms": (
        'arms = []\n[data]\nsource = "digits"',
        ["1:1: arms: is empty: a study needs at least one [[arms]]"],
    ),
    "arms in single brackets": (
        '[data]\nsource = "digits"\n[arms]\nepochs = 1',
        ["3:2: arms = {epochs = 1}: must be a list of tables: write [[arms]], in double brackets, above each"],
    ),
    "arms that are no tables": (
        'arms = [1, "head"]\n[data]\nsource = "digits"',
        [
            "1:9: arms[0] = 1: must be a table of recipe settings",
            '1:12: arms[1] = "head": must be a table of recipe settings',
        ],
    ),
    "a misspelt table": (
        '[dta]\nsource = "digits"\n[[arms]]',
        [
            '1:2: dta = {source = "digits"}: unknown key; did you mean "data"?',
            'data: is missing: say where the images come from, such as [data] with source = "digits"',
        ],
    ),
    "recipe and data settings on top": (
        'epochs = 3\ntrain = 100\ncolour = 1\n[data]\nsource = "digits"\n[[arms]]',
        [
            "1:1: epochs = 3: unknown key; did you mean epochs, in [defaults] or [[arms]]?",
            "2:1: train = 100: unknown key; did you mean data.train, in [data]?",
            "3:1: colour = 1: unknown key; known here: name, data, networks, defaults, arms",
        ],
    ),
    "networks": (
        f'{TOP}[networks]\nmine = "my_networks.build"\n"my own" = "py:a:b"\n"py:x" = 3\n[[arms]]',
        [
            '4:8: networks.mine = "my_networks.build": must be py:MODULE:FUNCTION, such as "py:my_networks:build"',
            '5:1: networks."my own": a network\'s name must not contain spaces',
            '6:1: networks."py:x": a network\'s name must not contain a ":", as it is a name of your own',
            '6:10: networks."py:x" = 3: must be py:MODULE:FUNCTION, such as "py:my_networks:build", or in Python the '
            "function itself",
        ],
    ),
    "networks that are no table": (
        f"networks = 3\n{TOP}[[arms]]",
        ['1:12: networks = 3: must be a table of names and functions, such as {mine = "py:my_networks:build"}'],
    ),
    "a function without a module": (
        '[[arms]]\nbackbone = "py:build"',
        ['4:12: arms[0].backbone = "py:build": must be py:MODULE:FUNCTION, such as "py:my_networks:build"'],
    ),
    "a key without a weights file": (
        '[[arms]]\nweights_key = "ema"',
        ['4:15: arms[0].weights_key = "ema": applies only to a weights file; weights is "default"'],
    ),
    "a name that is no text": (f"name = 5\n{TOP}[[arms]]", ["1:8: name = 5: must be text in quotes"]),
    "an empty name": (f'name = " "\n{TOP}[[arms]]', ['1:8: name = " ": must not be empty']),
    "a name of two lines": (
        f'name = "a\\nb"\n{TOP}[[arms]]',
        ['1:8: name = "a\\nb": must not contain line breaks or control characters'],
    ),
    "a name that is a path": (
        f'name = "../x"\n{TOP}[[arms]]',
        [
            '1:8: name = "../x": must not start with a dot or contain any of / \\ : * ? " < > |, as files are named '
            "after it"
        ],
    ),
    "a long name": (
        f'name = "{"n" * 101}"\n{TOP}[[arms]]',
        [f'1:8: name = "{"n" * 57}..: must have at most 100 characters'],
    ),
    # -- data
    "data that is no table": (
        'data = "digits"\n[[arms]]',
        ['1:8: data = "digits": must be a table'],
    ),
    "no source": ("[data]\n[[arms]]", ["1:1: data.source: is missing"]),
    "a misspelt source": (
        '[data]\nsource = "cifar-10"\n[[arms]]',
        [
            '2:10: data.source = "cifar-10": must be "digits", "cifar10", "folder", "csv" or "parquet"; '
            'did you mean "cifar10"?'
        ],
    ),
    "two sources": (
        '[data]\nsource = ["digits", "cifar10"]\n[[arms]]',
        ['2:10: data.source = ["digits", "cifar10"]: must be "digits", "cifar10", "folder", "csv" or "parquet"'],
    ),
    "a misspelt data key": (f"{TOP}tain = 5\n[[arms]]", ['3:1: data.tain = 5: unknown key; did you mean "train"?']),
    "an unknown data key": (
        f"{TOP}zzz = 5\n[[arms]]",
        [f"3:1: data.zzz = 5: unknown key; known here: {DATA_KEYS}"],
    ),
    "a folder without a path": (
        '[data]\nsource = "folder"\n[[arms]]',
        ['1:1: data.path: is missing: the source "folder" needs the folder to read'],
    ),
    "a csv without a path": (
        '[data]\nsource = "csv"\n[[arms]]',
        ['1:1: data.path: is missing: the source "csv" needs the file to read'],
    ),
    "digits with a path": (
        f'{TOP}path = "x"\n[[arms]]',
        ['3:8: data.path = "x": cannot be combined with the source "digits", which ships with scikit-learn'],
    ),
    "an empty path": ('[data]\nsource = "csv"\npath = ""\n[[arms]]', ['3:8: data.path = "": must not be empty']),
    "a path that is no text": (
        '[data]\nsource = "csv"\npath = 7\n[[arms]]',
        ["3:8: data.path = 7: must be text in quotes"],
    ),
    "columns of no table": (
        f'{TOP}image_column = "i"\nlabel_column = "l"\ndownload = false\n[[arms]]',
        [
            '3:16: data.image_column = "i": applies only to the sources "csv" and "parquet"; this one is "digits"',
            '4:16: data.label_column = "l": applies only to the sources "csv" and "parquet"; this one is "digits"',
            '5:12: data.download = false: applies only to the source "cifar10"; this one is "digits"',
        ],
    ),
    "splits of a source that has its own": (
        f'{TOP}split_column = "fold"\nsplits = "none"\nunlabelled = "?"\n[[arms]]',
        [
            '3:16: data.split_column = "fold": applies only to the sources "csv" and "parquet"; this one is "digits"',
            f'4:10: data.splits = "none": {FILES_ONLY}',
            f'5:14: data.unlabelled = "?": {FILES_ONLY}',
        ],
    ),
    "splits of the wrong kind": (
        f'{FOLDER}splits = "seg_train"\n[[arms]]',
        [f'4:10: data.splits = "seg_train": {SPLITS}'],
    ),
    "splits that are no table": (
        f"{FOLDER}splits = 3\n[[arms]]",
        [f"4:10: data.splits = 3: {SPLITS}"],
    ),
    "splits without train": (
        f'{FOLDER}splits = {{val = "a", test = "b"}}\n[[arms]]',
        ["4:10: data.splits.train: is missing: say what the training images are called"],
    ),
    "an unknown split": (
        f'{FOLDER}splits = {{train = "a", tset = "b"}}\n[[arms]]',
        ['4:24: data.splits.tset = "b": unknown key; did you mean "test"?'],
    ),
    "splits that share a name": (
        f'{FOLDER}splits = {{train = ["a", "b"], test = "b"}}\n[[arms]]',
        ['4:38: data.splits.test = "b": names "b", which is in train already'],
    ),
    "names of splits that are no names": (
        f'{FOLDER}splits = {{train = {{}}, val = 0.5, test = ""}}\n[[arms]]',
        [
            "4:19: data.splits.train = {}: must be text in quotes, a whole number, true or false, or a list of these",
            "4:29: data.splits.val = 0.5: must be text in quotes, a whole number, true or false, or a list of these",
            '4:41: data.splits.test = "": must not be empty',
        ],
    ),
    "a split column beside no splits": (
        '[data]\nsource = "csv"\npath = "x"\nsplit_column = "fold"\nsplits = "none"\n[[arms]]',
        ['4:16: data.split_column = "fold": cannot be combined with splits = "none": the column would not be used'],
    ),
    "splits of a table without a column of them": (
        '[data]\nsource = "csv"\npath = "x"\nsplit_column = "none"\nsplits = {train = "a"}\n[[arms]]',
        ['5:10: data.splits = {train = "a"}: needs a column: leave out split_column = "none"'],
    ),
    "class weights twice to the eye": (
        f'{TOP}[[arms]]\nclass_weights = {{"caf\u00e9" = 1, "cafe\u0301 " = 2}}',
        [
            '4:17: arms[0].class_weights = {"caf\u00e9" = 1, "cafe\u0301 " = 2}: names the class "caf\u00e9" twice, '
            "in spellings that look the same"
        ],
    ),
    "amounts of the wrong kind": (
        f'{TOP}train = true\nval = "all"\ntest = [1, 2]\n[[arms]]',
        [
            f"3:9: data.train = true: {ALL}",
            f'4:7: data.val = "all": {ALL}',
            f"5:8: data.test = [1, 2]: {ALL}",
        ],
    ),
    "amounts out of range": (
        f"{TOP}train = 0\nval = 1.5\ntest = -3\n[[arms]]",
        [
            f"3:9: data.train = 0: {TRAIN}",
            f"4:7: data.val = 1.5: {FRACTION}",
            f"5:8: data.test = -3: {TEST}",
        ],
    ),
    "amounts that are hardly numbers": (
        f"{TOP}train = nan\nval = inf\ntest = 0.0\n[[arms]]",
        [f"3:9: data.train = nan: {FRACTION}", f"4:7: data.val = inf: {FRACTION}", f"5:8: data.test = 0.0: {TEST}"],
    ),
    "no images wanted": (
        f"{TOP}train = -0.5\nval = 0\ntest = 0\n[[arms]]",
        [f"3:9: data.train = -0.5: {TRAIN}", f"4:7: data.val = 0: {VAL}", f"5:8: data.test = 0: {TEST}"],
    ),
    "no images wanted, in words": (
        f'{TOP}train = "None"\nval = "no"\ntest = false\n[[arms]]',
        [f'3:9: data.train = "None": {TRAIN}', f'4:7: data.val = "no": {VAL}', f"5:8: data.test = false: {TEST}"],
    ),
    "a huge amount": (
        f"{TOP}train = 99999999999999999999\n[[arms]]",
        [f"3:9: data.train = 99999999999999999999: must be a count of images from 1 to {LARGEST}"],
    ),
    "on_bad_image": (
        f'{TOP}on_bad_image = "ignore"\n[[arms]]',
        ['3:16: data.on_bad_image = "ignore": must be "stop" or "skip"'],
    ),
    "a data seed below zero": (f"{TOP}seed = -1\n[[arms]]", ["3:8: data.seed = -1: must be at least 0"]),
    "a download that is no flag": (
        '[data]\nsource = "cifar10"\ndownload = "no"\n[[arms]]',
        ['3:12: data.download = "no": must be true or false'],
    ),
    # -- unknown keys in recipes
    "a misspelt recipe key": (
        "[[arms]]\nepoch = 3",
        ['4:1: arms[0].epoch = 3: unknown key; did you mean "epochs"?'],
    ),
    "an unknown recipe key": (
        "[[arms]]\nzzz = [1, []]",
        [f"4:1: arms[0].zzz = [1, []]: unknown key; known here: {RECIPE_KEYS}, name"],
    ),
    "a misspelt default": (
        '[defaults]\nbackbon = "x"\n[[arms]]',
        ['4:1: defaults.backbon = "x": unknown key; did you mean "backbone"?'],
    ),
    "a name for all": (
        '[defaults]\nname = "x"\n[[arms]]',
        ['4:1: defaults.name = "x": names an arm: write it in one of [[arms]]'],
    ),
    "defaults that are no table": (
        f"defaults = 3\n{TOP}[[arms]]",
        ["1:12: defaults = 3: must be a table of recipe settings"],
    ),
    "unknown keys in nested tables": (
        '[[arms]]\noptimizer = {name = "sgd", momentun = 0.9}\nschedule = {nam = "step"}\nhead = {hiden = [1]}\n'
        'phases = [{train_frm = "head"}]',
        [
            '4:28: arms[0].optimizer.momentun = 0.9: unknown key; did you mean "momentum"?',
            '5:13: arms[0].schedule.nam = "step": unknown key; did you mean "name"?',
            '6:9: arms[0].head.hiden: unknown key; did you mean "hidden"?',
            '7:12: arms[0].phases[0].train_frm = "head": unknown key; did you mean "train_from"?',
        ],
    ),
    "a table under an arm": (
        "[[arms]]\n[arms.optimizer]\nlearning_rate = 1",
        [
            '5:1: arms[0].optimizer.learning_rate = 1: unknown key; did you mean "lr"?',
        ],
    ),
    # -- values of recipes
    "booleans for numbers": (
        "[[arms]]\nepochs = true\nseed = false\noptimizer = {lr = true}\nviews = true\nlabel_smoothing = true\n"
        "image_size = true\nbatch_size = true\nhead = {hidden = [true], dropout = true}",
        [
            "4:10: arms[0].epochs = true: must be a whole number",
            "5:8: arms[0].seed = false: must be a whole number",
            "6:19: arms[0].optimizer.lr = true: must be a number",
            '7:9: arms[0].views = true: must be a count of stored views from 1 to 1000, or "fresh"',
            "8:19: arms[0].label_smoothing = true: must be a number",
            "9:14: arms[0].image_size = true: must be a whole number",
            "10:14: arms[0].batch_size = true: must be a whole number",
            "11:19: arms[0].head.hidden[0] = true: must be a whole number",
            "11:36: arms[0].head.dropout = true: must be a number",
        ],
    ),
    "text for numbers": (
        '[[arms]]\nepochs = "3"\noptimizer = {lr = "0.1"}',
        ['4:10: arms[0].epochs = "3": must be a whole number', '5:19: arms[0].optimizer.lr = "0.1": must be a number'],
    ),
    "fractions for counts": (
        "[[arms]]\nepochs = 2.0\nbatch_size = 1.5",
        [
            "4:10: arms[0].epochs = 2.0: must be a whole number",
            "5:14: arms[0].batch_size = 1.5: must be a whole number",
        ],
    ),
    "numbers for text": (
        "[[arms]]\nbackbone = 18\nweights = false\ntrain_from = 4",
        [
            "4:12: arms[0].backbone = 18: must be text in quotes",
            "5:11: arms[0].weights = false: must be text in quotes",
            "6:14: arms[0].train_from = 4: must be text in quotes",
        ],
    ),
    "a date": ("[[arms]]\nepochs = 2026-01-01", ["4:10: arms[0].epochs = 2026-01-01: must be a whole number"]),
    "learning rates": (
        "[[arms]]\noptimizer = {lr = [0, -0.1, nan, inf, 1e999, 1]}",
        [
            "4:20: arms[0].optimizer.lr[0] = 0: must be above 0",
            "4:23: arms[0].optimizer.lr[1] = -0.1: must be above 0",
            "4:29: arms[0].optimizer.lr[2] = nan: must be a finite number",
            "4:34: arms[0].optimizer.lr[3] = inf: must be a finite number",
            "4:39: arms[0].optimizer.lr[4] = inf: is given twice in this list, first at position 3",
        ],
    ),
    "huge numbers": (
        f"[[arms]]\nseed = {LARGEST + 1}\nepochs = 1{'0' * 300}\noptimizer = {{lr = 1{'0' * 300}}}",
        [
            f"4:8: arms[0].seed = {LARGEST + 1}: must be at most {LARGEST}",
            "5:10: arms[0].epochs = an integer of 997 bits: must be at most 10000",
            f"6:19: arms[0].optimizer.lr = an integer of 997 bits: must be a number of at most {LARGEST}",
        ],
    ),
    "out of range": (
        "[[arms]]\nepochs = 0\nimage_size = 7\nbatch_size = 0\nseed = -1\nlabel_smoothing = 1\n"
        'optimizer = {name = "sgd", momentum = 1.0, weight_decay = -1, stage_decay = 0}\n'
        'schedule = {name = "step", step_epochs = 0, gamma = 2}\nhead = {hidden = [0], dropout = 1}',
        [
            "4:10: arms[0].epochs = 0: must be at least 1",
            "5:14: arms[0].image_size = 7: must be at least 8",
            "6:14: arms[0].batch_size = 0: must be at least 1",
            "7:8: arms[0].seed = -1: must be at least 0",
            "8:19: arms[0].label_smoothing = 1: must be below 1",
            "9:39: arms[0].optimizer.momentum = 1.0: must be below 1",
            "9:59: arms[0].optimizer.weight_decay = -1: must be at least 0",
            "9:77: arms[0].optimizer.stage_decay = 0: must be above 0",
            "10:42: arms[0].schedule.step_epochs = 0: must be at least 1",
            "10:53: arms[0].schedule.gamma = 2: must be at most 1",
            "11:19: arms[0].head.hidden[0] = 0: must be at least 1",
            "11:33: arms[0].head.dropout = 1: must be below 1",
        ],
    ),
    "words that aren't choices": (
        '[[arms]]\noptimizer = "adm"\nschedule = "cosin"\naugmentation = "flips"\nclass_weights = "balance"\n'
        'frozen_norm = "stord"\ntail_norm = "none"\nactivations = "float64"\nhead = "liner"\nviews = "frsh"',
        [
            '4:13: arms[0].optimizer = "adm": must be "sgd", "adam" or "adamw"; did you mean "adam"?',
            '5:12: arms[0].schedule = "cosin": must be "constant", "cosine", "one-cycle" or "step"; '
            'did you mean "cosine"?',
            '6:16: arms[0].augmentation = "flips": must be "none", "flip" or "crop-flip"; did you mean "flip"?',
            '7:17: arms[0].class_weights = "balance": must be "none", "balanced", or a table of class names and '
            'weights; did you mean "balanced"?',
            '8:15: arms[0].frozen_norm = "stord": must be "stored" or "batch"; did you mean "stored"?',
            '9:13: arms[0].tail_norm = "none": must be "batch" or "stored"',
            '10:15: arms[0].activations = "float64": must be "float32", "float16" or "auto"; did you mean "float16"?',
            '11:8: arms[0].head = "liner": must be "linear" or a table, such as {hidden = [512], dropout = 0.5}',
            '12:9: arms[0].views = "frsh": must be a count of stored views from 1 to 1000, or "fresh"; '
            'did you mean "fresh"?',
        ],
    ),
    "an optimizer by name in a table": (
        '[[arms]]\noptimizer = {name = "Adam"}',
        ['4:21: arms[0].optimizer.name = "Adam": must be "sgd", "adam" or "adamw"; did you mean "adam"?'],
    ),
    "numbers for tables": (
        "[[arms]]\noptimizer = 3\nschedule = 4\nhead = 5",
        [
            '4:13: arms[0].optimizer = 3: must be a name, such as "adam", or a table, such as '
            '{name = "adam", lr = 0.001}',
            '5:12: arms[0].schedule = 4: must be a name, such as "cosine", or a table, such as '
            '{name = "step", step_epochs = 2, gamma = 0.1}',
            '6:8: arms[0].head = 5: must be "linear" or a table, such as {hidden = [512], dropout = 0.5}',
        ],
    ),
    "names with spaces": (
        '[[arms]]\nbackbone = "resnet 18"\ntrain_from = ""',
        [
            '4:12: arms[0].backbone = "resnet 18": must not contain spaces',
            '5:14: arms[0].train_from = "": must not be empty',
        ],
    ),
    "views out of range": (
        '[[arms]]\naugmentation = "flip"\nviews = [0, 1001, 2.0]',
        [
            '5:10: arms[0].views[0] = 0: must be a count of stored views from 1 to 1000, or "fresh"',
            '5:13: arms[0].views[1] = 1001: must be a count of stored views from 1 to 1000, or "fresh"',
            '5:19: arms[0].views[2] = 2.0: must be a count of stored views from 1 to 1000, or "fresh"',
        ],
    ),
    "class weights": (
        '[[arms]]\nclass_weights = {cat = 0, dog = "x", "big fish" = nan, horse = 1}',
        [
            "4:24: arms[0].class_weights.cat = 0: must be above 0",
            '4:33: arms[0].class_weights.dog = "x": must be a number',
            '4:51: arms[0].class_weights."big fish" = nan: must be a finite number',
        ],
    ),
    "no class weights": (
        "[[arms]]\nclass_weights = {}",
        ['4:17: arms[0].class_weights = {}: must be "none", "balanced", or a table of class names and weights'],
    ),
    "hidden layers": (
        "[[arms]]\nhead = {hidden = 512}\n[[arms]]\nhead = {hidden = [512.0, 70000]}\n"
        f"[[arms]]\nhead = {{hidden = [{', '.join(['1'] * 17)}]}}",
        [
            "4:18: arms[0].head.hidden = 512: must be a list",
            "6:19: arms[1].head.hidden[0] = 512.0: must be a whole number",
            "6:26: arms[1].head.hidden[1] = 70000: must be at most 65536",
            f"8:18: arms[2].head.hidden = [{', '.join(['1'] * 17)}]: must have at most 16 entries",
        ],
    ),
    # -- what doesn't go together
    "momentum for adam": (
        '[[arms]]\noptimizer = {name = "adam", momentum = 0.9}',
        ['4:40: arms[0].optimizer.momentum = 0.9: applies only to the optimizer "sgd"; this one is "adam"'],
    ),
    "momentum in a grid of optimizers": (
        '[[arms]]\noptimizer = {name = ["sgd", "adamw"], momentum = 0.9}',
        ['4:50: arms[0].optimizer.momentum = 0.9: applies only to the optimizer "sgd"; this one is "adamw"'],
    ),
    "nesterov without momentum": (
        '[[arms]]\noptimizer = {name = "sgd", nesterov = true}',
        ["4:39: arms[0].optimizer.nesterov = true: needs a momentum above 0"],
    ),
    "nesterov and momentum for adam": (
        "[[arms]]\noptimizer = {momentum = 0.9, nesterov = true}",
        [
            '4:25: arms[0].optimizer.momentum = 0.9: applies only to the optimizer "sgd"; this one is "adam"',
            '4:41: arms[0].optimizer.nesterov = true: applies only to the optimizer "sgd"; this one is "adam"',
        ],
    ),
    "steps for another schedule": (
        '[[arms]]\nschedule = {name = "cosine", step_epochs = 3, gamma = 0.5}',
        [
            '4:44: arms[0].schedule.step_epochs = 3: applies only to the schedule "step"; this one is "cosine"',
            '4:55: arms[0].schedule.gamma = 0.5: applies only to the schedule "step"; this one is "cosine"',
        ],
    ),
    "dropout without hidden layers": (
        "[[arms]]\nhead = {dropout = 0.5}",
        ["4:19: arms[0].head.dropout = 0.5: needs hidden layers, such as hidden = [512]"],
    ),
    "views without augmentation": (
        '[[arms]]\nviews = 4\n[[arms]]\nseed = 1\nviews = "fresh"',
        [
            '4:9: arms[0].views = 4: needs an augmentation: set augmentation = "flip" or "crop-flip"',
            '7:9: arms[1].views = "fresh": needs an augmentation: set augmentation = "flip" or "crop-flip"',
        ],
    ),
    # -- phases
    "phases and train_from": (
        '[[arms]]\ntrain_from = "head"\nphases = [{train_from = "head"}]',
        ['4:14: arms[0].train_from = "head": cannot be combined with phases, each of which has its own'],
    ),
    "epochs that no phase uses": (
        "[[arms]]\nepochs = 3\nphases = [{epochs = 1}, {epochs = 2}]",
        ["4:1: arms[0].epochs: is not used: every phase has its own"],
    ),
    "an optimizer that no phase uses": (
        '[[arms]]\noptimizer = "sgd"\nschedule = "cosine"\nphases = [{optimizer = "adam", schedule = "step"}]',
        [
            "4:1: arms[0].optimizer: is not used: every phase has its own",
            "5:1: arms[0].schedule: is not used: every phase has its own",
        ],
    ),
    "no phases": ("[[arms]]\nphases = []", ["4:10: arms[0].phases = []: must have from 1 to 32 entries"]),
    "phases that are no list": (
        '[[arms]]\nphases = {train_from = "head"}',
        ['4:10: arms[0].phases = {train_from = "head"}: must be a list'],
    ),
    "phases that are no tables": (
        '[[arms]]\nphases = ["head", 4]',
        [
            '4:11: arms[0].phases[0] = "head": must be a table, such as {train_from = "head", epochs = 1}',
            '4:19: arms[0].phases[1] = 4: must be a table, such as {train_from = "head", epochs = 1}',
        ],
    ),
    "wrong in a phase": (
        '[[arms]]\nphases = [{train_from = "head", epochs = 0}, {train_from = 4, optimizer = {lr = -1}, seed = 3}]',
        [
            "4:42: arms[0].phases[0].epochs = 0: must be at least 1",
            "4:60: arms[0].phases[1].train_from = 4: must be text in quotes",
            "4:81: arms[0].phases[1].optimizer.lr = -1: must be above 0",
            "4:86: arms[0].phases[1].seed = 3: unknown key; did you mean seed, in the arm, beside its phases?",
        ],
    ),
    "wrong in what phases inherit": (
        "[[arms]]\nepochs = 0\nphases = [{}, {epochs = 2}, {}]",
        ["4:10: arms[0].epochs = 0: must be at least 1"],
    ),
    # -- grids
    "empty lists": (
        "[[arms]]\nepochs = []\nseed = []\noptimizer = {lr = []}",
        [
            "4:10: arms[0].epochs = []: is an empty list, which leaves no arm: give at least one value",
            "5:8: arms[0].seed = []: is an empty list, which leaves no arm: give at least one value",
            "6:19: arms[0].optimizer.lr = []: is an empty list, which leaves no arm: give at least one value",
        ],
    ),
    "an empty list by default": (
        "[defaults]\nseed = []\n[[arms]]\nseed = 3",
        ["4:8: defaults.seed = []: is an empty list, which leaves no arm: give at least one value"],
    ),
    "twice in a grid": (
        '[[arms]]\nepochs = [2, 3, 2]\noptimizer = ["adam", {name = "sgd"}, {name = "sgd"}]',
        [
            "4:17: arms[0].epochs[2] = 2: is given twice in this list, first at position 0",
            '5:38: arms[0].optimizer[2] = {name = "sgd"}: is given twice in this list, first at position 1',
        ],
    ),
    "a list within a list": (
        "[[arms]]\nepochs = [1, [2, 3]]",
        ["4:14: arms[0].epochs[1] = [2, 3]: must be a whole number"],
    ),
    "hidden layers and lists of them": (
        "[[arms]]\nhead = {hidden = [512, [256]]}",
        ["4:19: arms[0].head.hidden[0] = 512: must be a list"],
    ),
    "one wrong value of many": (
        "[[arms]]\nepochs = [1, 2, -3]\nseed = [0, 1, 2]",
        ["4:17: arms[0].epochs[2] = -3: must be at least 1"],
    ),
    "too many arms": (
        f"[[arms]]\nseed = [{', '.join(str(seed) for seed in range(101))}]\n"
        f"epochs = [{', '.join(str(n) for n in range(1, 101))}]",
        ["3:3: arms: the grids make 10,100 arms; at most 10,000 are allowed: shorten some lists"],
    ),
    "far too many arms": (
        "[[arms]]\n"
        + "\n".join(
            f"{key} = [{', '.join(str(n) for n in range(1000, 2000))}]"
            for key in ["seed", "epochs", "image_size", "batch_size"]
        )
        + "\noptimizer = {lr = ["
        + ", ".join(str(n) for n in range(1, 10000))
        + "], stage_decay = 2}",
        [
            "3:3: arms: the grids make about 10^16 arms; at most 10,000 are allowed: shorten some lists",
            "8:58922: arms[0].optimizer.stage_decay = 2: must be at most 1",
        ],
    ),
    # -- names
    "a name of the wrong kind": (
        '[[arms]]\nname = ["a", "b"]\n[[arms]]\nname = ""',
        ['4:8: arms[0].name = ["a", "b"]: must be text in quotes', '6:8: arms[1].name = "": must not be empty'],
    ),
    "a name for two": (
        '[[arms]]\nname = "x"\n[[arms]]\nname = "x"\nseed = 1',
        ['5:1: arms[1]: makes a second arm named "x": names tell arms apart, so give this one another'],
    ),
    "two names for one": (
        '[[arms]]\nname = "x"\n[[arms]]\nname = "y"',
        ['5:1: arms[1]: is the same as "x" under another name, "y"; keep one of the two'],
    ),
    # -- several at once, and places
    "all at once": (
        'nmae = "x"\n[data]\nsource = "digit"\n[defaults]\nseed = "x"\n[[arms]]\nepochs = 0\nseed = 1\n[[arms]]\n'
        "optimizer = {momentum = 0.5}",
        [
            '1:1: nmae = "x": unknown key; did you mean "name"?',
            '3:10: data.source = "digit": must be "digits", "cifar10", "folder", "csv" or "parquet"; '
            'did you mean "digits"?',
            '5:8: defaults.seed = "x": must be a whole number',
            "7:10: arms[0].epochs = 0: must be at least 1",
            '10:25: arms[1].optimizer.momentum = 0.5: applies only to the optimizer "sgd"; this one is "adam"',
        ],
    ),
    "columns count characters": (
        '[[arms]]\nclass_weights = {"gr\u00fc\u00df \U0001f98a" = 1, cat = -1}',
        ["4:38: arms[0].class_weights.cat = -1: must be above 0"],
    ),
    "lines end as on Windows": (
        "[[arms]]\r\nseed = 1 # \u2744\r\nepochs = 0\r\n",
        ["5:10: arms[0].epochs = 0: must be at least 1"],
    ),
    "values of several lines": (
        "[[arms]]\nepochs = [\n  1, # one\n\n  0,\n]",
        ["7:3: arms[0].epochs[1] = 0: must be at least 1"],
    ),
    "dotted keys": (
        "[defaults]\noptimizer.lr = -1\n[[arms]]\nhead . dropout = 2\n'epochs' = 0",
        [
            "4:16: defaults.optimizer.lr = -1: must be above 0",
            "6:18: arms[0].head.dropout = 2: must be below 1",
            "7:12: arms[0].epochs = 0: must be at least 1",
        ],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_everything_wrong_is_told_where_it_stands(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = BAD[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_bytes(
        ((TOP if text.startswith(("[[arms]]", "[defaults]")) else "") + text).encode()
    )
    lines = [str(problem) for problem in check_study("study.toml")]
    assert lines == [f"study.toml:{line}" if line[0].isdigit() else f"study.toml: {line}" for line in expected]
    with pytest.raises(StudyError, match=r"^study\.toml:") as caught:
        load_study("study.toml")
    assert str(caught.value) == "\n".join(lines)
    assert list(caught.value.problems) == check_study("study.toml")


def test_the_table_is_as_long_as_promised() -> None:
    assert len(BAD) >= 60
