"""Write words backwards: one net reads a word, another writes its letters from the last to the first, and looks back.

It teaches how a net makes a sequence of another: an encoder turns each letter into a state that knows its surroundings;
a decoder sees what has been written so far (while it learns, what should have been: teacher forcing) and asks, by
attention, for the letter that comes next; words of different length share a batch, for masks leave the padding out.
Nobody tells the net where to look. What it has found out is drawn at the end: a diagonal from the last letter up.

    python examples/seq2seq_reverse.py [--epochs 20] [--full]

The words are those of the first tenth of "tiny Shakespeare", which lies beside this file; --full takes those of
$NPDL_DATA/tinyshakespeare/input.txt, four times as many: 4 seconds an epoch, and 4 epochs are enough for 99.4 %.
Reference: Bahdanau, Cho and Bengio, Neural Machine Translation by Jointly Learning to Align and Translate, 2015.
"""

import argparse
import os
import pathlib
import re
import sys

import numpy as np

from npdl import Model, layers, optimizers, schedules
from npdl.utils import pad_sequences

MUST_REACH = 95.0  # percent of unseen words without any error
START, END = 27, 28  # a ... z are 1 ... 26, and 0 is padding

parser = argparse.ArgumentParser(description="Train an encoder and a decoder to write words backwards.")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--full", action="store_true", help="the words of all of the text")
options = parser.parse_args()

path = pathlib.Path(__file__).with_name("shakespeare.txt")
if options.full:
    path = pathlib.Path(os.environ.get("NPDL_DATA", ".")) / "tinyshakespeare" / "input.txt"
words = sorted(set(re.findall("[a-z]{3,}", path.read_text(encoding="utf-8").lower())))
np.random.default_rng(0).shuffle(words)
train, test = words[len(words) // 10 :], words[: len(words) // 10]


def numbers(words, first=(), last=()):
    """(N, T) numbers of letters, padded to the longest word, with more of them before and behind each word."""
    return pad_sequences([[*first, *(ord(c) - 96 for c in word), *last] for word in words], padding="post")


def backwards(words):
    return [word[::-1] for word in words]


# 1. The net: x are the letters of a word, `before` those that have been written.
x, before = layers.Input((None,), name="word"), layers.Input((None,), name="before")
letters = layers.Embedding(29, 32, mask_zero=True)
encoded = layers.Bidirectional(layers.GRU(64, return_sequences=True))(letters(x))
decoded = layers.GRU(64, return_sequences=True)(letters(before))
attention = layers.MultiHeadAttention(1, 64)
found = attention([decoded, encoded])  # what each step of the decoder takes from the word
model = Model([x, before], layers.Dense(29)(layers.Concatenate()([decoded, found])), seed=0)
model.summary()

# 2. Learning: from START and the right letters so far, the next letter, and END after the last; by ever smaller steps.
rate = schedules.CosineDecay(5e-3, options.epochs * -(-len(train) // 64))
model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    [numbers(train), numbers(backwards(train), first=[START])],
    numbers(backwards(train), last=[END]),
    batch_size=64,
    epochs=options.epochs,
    verbose=2,
)


def reverse(words):
    """What the net writes: after each letter, the likeliest next one."""
    x, written = numbers(words), np.full((len(words), 1), START, "int32")
    for _ in range(x.shape[1] + 1):
        scores = model.predict([x, written])[:, -1]
        written = np.concatenate([written, scores[:, 1:].argmax(axis=1)[:, None].astype("int32") + 1], axis=1)
    return ["".join(chr(96 + n) for n in row[1:]).partition(chr(96 + END))[0] for row in written]


def draw_attention(word):
    """One row for each letter written, one column for each letter read: the darker, the more it looked there."""
    queries, keys = Model(model.inputs, [decoded, encoded]).predict(
        [numbers([word]), numbers([word[::-1]], first=[START])]
    )
    weights = attention.attention_scores((queries, keys))[0, 0]  # of the only word, and the only head
    for letter, row in zip(word[::-1], weights):
        print(f"  {letter}  {' '.join(' .:-=+*#@'[int(8.99 * share)] for share in row)}")
    print(f"     {' '.join(word)}\n")


# 3. Words that it never saw.
written = reverse(test)
for word, came in list(zip(test, written))[:5]:
    print(f"{word} -> {came}")
draw_attention(max(test, key=len))
right = 100 * np.mean([came == word[::-1] for word, came in zip(test, written)])
wrong = [f"{word} -> {came}" for word, came in zip(test, written) if came != word[::-1]]
print(f"wrong: {', '.join(wrong[:5]) or 'none'}")
print(f"{len(test)} unseen words {right:.2f} % right (must reach {MUST_REACH} %)")
if right < MUST_REACH:
    sys.exit("too many words are wrong")
