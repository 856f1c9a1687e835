"""PaddlePaddle: state dicts in ``.pdparams``, programs in ``.json`` with ``.pdiparams``."""
