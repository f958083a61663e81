"""Models that learn from the documents of a base.

pairs.py      questions and the passages that answer them, made from the documents alone
labelled.py   the same from a file of questions, from feedback, and from what an LLM asks
batches.py    pairs into batches: each pair's negatives are the others of its batch
loss.py       what a training aims at: a query's own passage, and to forget nothing
training.py   LoRA on an embedding model within a budget of minutes; goes on where it was killed
judging.py    nDCG before and after on documents that the training has not seen
embedder.py   all of it, in order, and the adoption of what has proved better
examples.py   grounded questions and answers in the form in which the chain asks
model.py      LoRA on a local chat model with them
"""
