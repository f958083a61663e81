"""How well a knowledge base finds and answers, on questions whose answers are known.

>>> from qa import KnowledgeBase
>>> from qa.evaluation import evaluate, load_questions
>>> with KnowledgeBase.open("handbook") as kb:
...     print(evaluate(kb, load_questions("questions.jsonl")).figure("ndcg@10"))
"""

from qa.evaluation.calibrating import Calibration, calibrate
from qa.evaluation.comparing import Change, Comparison, compare
from qa.evaluation.generating import generate
from qa.evaluation.measures import Measure, parse_measure
from qa.evaluation.questions import Question, QuestionSet, load_questions
from qa.evaluation.report import write_report
from qa.evaluation.running import Evaluation, Outcome, evaluate
from qa.evaluation.saving import load, save
from qa.evaluation.statistics import Difference, Figure

__all__ = [
    "Calibration",
    "Change",
    "Comparison",
    "Difference",
    "Evaluation",
    "Figure",
    "Measure",
    "Outcome",
    "Question",
    "QuestionSet",
    "calibrate",
    "compare",
    "evaluate",
    "generate",
    "load",
    "load_questions",
    "parse_measure",
    "save",
    "write_report",
]
