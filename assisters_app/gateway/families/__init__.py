"""One module per family of models: what a request may say, how the upstream is asked, what an answer has used.

`whole` and `streams` are the two ways of answering that families share, `answers` reads what an upstream says.
"""
