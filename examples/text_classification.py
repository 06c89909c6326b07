"""Tell Shakespeare's own phrases from the same words in random order: text classification with masks.

It teaches what to do with sequences of different length: `TextVectorization` fills them up with 0, and
`Embedding(mask_zero=True)` marks these steps, so that every later layer leaves them out: however much is filled up, not
one bit of a prediction changes. And it teaches what a recurrent net reads that a bag of words cannot: both phrases of a
pair have the same words, so logistic regression on words is right in exactly half of all cases.

    python examples/text_classification.py [--epochs 4] [--full: all of $NPDL_DATA/tinyshakespeare/input.txt]
"""

import argparse
import os
import pathlib
import re
import sys

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from npdl import Sequential, layers

parser = argparse.ArgumentParser(description="Train a GRU to tell phrases from shuffled ones.")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--full", action="store_true", help="all of the text")
options = parser.parse_args()
must_reach, copies = (84.0, 1) if options.full else (77.0, 4)  # percent of unseen phrases; how often each is shuffled

# 1. The text: speeches, a fifth of which is held out, cut into phrases of four different words and more.
path = pathlib.Path(__file__).with_name("shakespeare.txt")
if options.full:
    path = pathlib.Path(os.environ.get("NPDL_DATA", ".")) / "tinyshakespeare" / "input.txt"
rng = np.random.default_rng(0)
speeches = [speech.split("\n", 1)[-1].lower() for speech in path.read_text(encoding="utf-8").split("\n\n")]
held_out = set(rng.permutation(len(speeches))[: len(speeches) // 5])
train, test = [], []
for number, speech in enumerate(speeches):
    phrases = [re.findall(r"[a-z]+(?:'[a-z]+)?", part) for part in re.split(r"[.?!;:,]|--", speech)]
    (test if number in held_out else train).extend(words for words in phrases if len(set(words)) >= 4)


def pairs(phrases, copies):
    """(phrases, labels): each as it is, 1, and in another order, 0; `copies` times."""
    found = []
    for words in phrases * copies:
        shuffled = words
        while shuffled == words:
            shuffled = [words[i] for i in rng.permutation(len(words))]
        found += [words, shuffled]
    return found, np.tile([[1.0], [0.0]], (len(found) // 2, 1)).astype("float32")


(p_train, y_train), (p_test, y_test) = pairs(train, copies), pairs(test, 1)
print(f"{len(p_train):,} phrases to learn from, {len(p_test):,} to be tested on; always saying one thing: 50.00 %")

# 2. What does without a net: logistic regression on words, and on pairs of neighbours.
for what, most in (("words", 1), ("words and pairs of neighbours", 2)):
    bag = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, most))
    regression = LogisticRegression(max_iter=1000).fit(bag.fit_transform(map(" ".join, p_train)), y_train[:, 0])
    print(f"regression on {what}: {100 * regression.score(bag.transform(map(' '.join, p_test)), y_test[:, 0]):.2f} %")

# 3. Words as numbers: 0 is padding, 1 a word that is rare or new.
vectorize = layers.TextVectorization(max_tokens=4000 if options.full else 550, standardize=None)
vectorize.adapt([" ".join(words) for words in train])
x_train, x_test = (vectorize([" ".join(words) for words in phrases]) for phrases in (p_train, p_test))

# 4. The net reads each phrase from both ends.
model = Sequential(
    [
        layers.Input((None,)),  # of any length
        layers.Embedding(vectorize.vocabulary_size(), 32, mask_zero=True),
        layers.Dropout(0.3),
        layers.Bidirectional(layers.GRU(32)),
        layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid"),
    ],
    seed=0,
)
model.summary()
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=options.epochs, batch_size=64)

# 5. What it says of phrases that it never saw, whatever the padding.
sure = model.predict(x_test)
same = all(np.array_equal(sure, model.predict(np.pad(x_test, ((0, 0), (0, more))))) for more in (1, 7, 50))
print("\n".join(f"{100 * share:5.1f} % sure of: {' '.join(words)}" for share, words in zip(sure[:8, 0], p_test)))
accuracy = 100 * ((sure > 0.5) == y_test).mean()
print(f"1, 7 and 50 steps of padding more give the same bits: {same} (must be True)")
print(f"unseen phrases {accuracy:.2f} % right (must reach {must_reach} %)")
if accuracy < must_reach or not same:
    sys.exit("the net falls short")
