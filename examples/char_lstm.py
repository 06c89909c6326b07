"""Write like Shakespeare, one character after the other, with an LSTM.

It teaches what a recurrent net remembers: it reads 64 characters and says after each one which comes next, from nothing
but the 128 numbers that it carries along. The labels are the text itself, one character on. In the end it writes.

    python examples/char_lstm.py [--epochs 12] [--full]

The text is the first tenth of "tiny Shakespeare", which lies beside this file; --full takes all of it, from
$NPDL_DATA/tinyshakespeare/input.txt, a larger net and some minutes.
"""

import argparse
import math
import os
import pathlib
import sys

import numpy as np

from npdl import Sequential, layers, optimizers

STEPS = 64
MUST_REACH = 1.79  # nats a character of unseen text; PyTorch from the same weights on the same batches falls alike

parser = argparse.ArgumentParser(description="Train an LSTM on Shakespeare, character by character.")
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--full", action="store_true", help="all of the text, 256 units")
options = parser.parse_args()

path = pathlib.Path(__file__).with_name("shakespeare.txt")
if options.full:
    path = pathlib.Path(os.environ.get("NPDL_DATA", ".")) / "tinyshakespeare" / "input.txt"
text = path.read_text(encoding="utf-8")
alphabet = sorted(set(text))
ids = np.array([alphabet.index(character) for character in text], "int32")


def windows(ids):
    """Pieces of STEPS characters, and for each character the next one."""
    count = (len(ids) - 1) // STEPS
    return ids[: count * STEPS].reshape(count, STEPS), ids[1 : count * STEPS + 1].reshape(count, STEPS)


split = len(ids) * 9 // 10
x_train, y_train = windows(ids[:split])
x_test, y_test = windows(ids[split:])

model = Sequential(
    [
        layers.Input((None,)),  # of any length
        layers.Embedding(len(alphabet), 64),
        layers.LSTM(256 if options.full else 128, return_sequences=True),
        layers.Dense(len(alphabet)),
    ],
    seed=0,
)
model.summary()
model.compile(optimizers.Adam(0.004), "sparse_categorical_crossentropy")
model.fit(x_train, y_train, batch_size=32, epochs=options.epochs, validation_data=(x_test, y_test))

rng, written = np.random.default_rng(0), "ROMEO:\n"
for _ in range(200):
    logits = model.predict(np.array([[alphabet.index(character) for character in written[-STEPS:]]], "int32"))[0, -1]
    chances = np.exp((logits - logits.max()) / 0.7)  # a little bolder than the net is sure
    written += alphabet[rng.choice(len(alphabet), p=chances / chances.sum())]
print(f"\n{written}\n")

loss = model.evaluate(x_test, y_test, verbose=0)
guessing = math.log(len(alphabet))
print(f"loss {loss:.3f} nats a character, {guessing:.2f} by guessing (must be at most {MUST_REACH})")
if loss > MUST_REACH:
    sys.exit("the loss is too high")
