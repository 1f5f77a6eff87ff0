"""In which order a conversion tries to keep a budget, and how many trials it takes."""

import pytest

from edgeprep.conversion.repair import Trial, Tried, fewest, repair

LAYERS = tuple("abcdefghijklmnop")


class Engine:
    """Loses 0.1 for each guilty layer that is not in float, and counts the trials."""

    def __init__(self, *guilty, others=None):
        self.guilty = guilty
        self.others = others or {}
        self.trials = []

    def __call__(self, trial):
        assert trial not in self.trials
        self.trials.append(trial)
        drop = 0.1 * sum(layer not in trial.keep for layer in self.guilty)
        drop *= self.others.get(trial.calibrator, 1.0)
        return Tried(trial=trial, drop=0.001 if trial.fine_tuned else drop)

    def first(self):
        """What was tried before the repair; it is counted by nobody."""
        tried = self(Trial())
        self.trials.remove(Trial())
        return tried


def repaired(engine, *allowed, guess=1, order=LAYERS):
    return repair(
        engine,
        first=engine.first(),
        allowed=allowed,
        max_drop=0.01,
        order=lambda: order,
        guess=lambda: guess,
    )


@pytest.mark.parametrize("answer", range(1, 33))
@pytest.mark.parametrize("guess", [1, 2, 5, 32, 99])
def test_the_fewest_that_are_enough_are_found(answer, guess):
    asked = []
    assert fewest(lambda count: asked.append(count) or count >= answer, 32, guess) == answer
    assert len(asked) == len(set(asked)) <= 12


def test_a_good_guess_costs_two_questions():
    asked = []
    assert fewest(lambda count: asked.append(count) or count >= 17, 100, 17) == 17
    assert asked == [17, 16]


def test_no_count_is_given_where_the_most_are_not_enough():
    assert fewest(lambda count: False, 10) is None


def test_one_guilty_layer_at_the_head_of_the_order_costs_one_trial():
    engine = Engine("a")
    assert repaired(engine, "keep-float").trial == Trial(keep=("a",))
    assert len(engine.trials) == 1


def test_an_innocent_layer_before_the_guilty_ones_is_let_go():
    engine = Engine("a", "d")
    assert repaired(engine, "keep-float").trial == Trial(keep=("a", "d"))
    assert len(engine.trials) <= 7


def test_the_head_of_the_order_is_let_go_of_however_many_follow():
    engine = Engine(*"bcdefgh")
    assert repaired(engine, "keep-float").trial == Trial(keep=tuple("bcdefgh"))


def test_a_module_in_float_counts_with_all_that_is_inside_it():
    order = ("block", "block.a", "block.b", "block.c", "d", "e", "f", "g", "h", "i")
    engine = Engine("e")
    assert repaired(engine, "keep-float", order=order) is None
    # Five of ten: the block and all three inside it, and one more.
    assert max(engine.trials, key=lambda trial: len(trial.keep)).keep == ("block", "d")
    assert repaired(Engine("d"), "keep-float", order=order).trial == Trial(keep=("d",))


def test_a_module_with_most_layers_inside_is_passed_over():
    order = ("all", "all.a", "all.b", "all.c", "all.d", "e")
    found = repaired(Engine("all.a"), "keep-float", order=order)
    assert found.trial == Trial(keep=("all.a",))


def test_no_more_than_half_of_the_layers_stay_in_float():
    engine = Engine("p")
    assert repaired(engine, "keep-float") is None
    assert max(len(trial.keep) for trial in engine.trials) == len(LAYERS) // 2


def test_a_network_of_one_layer_has_none_to_keep():
    engine = Engine("a")
    assert repaired(engine, "keep-float", order=("a",)) is None
    assert engine.trials == []


def test_a_calibrator_that_is_enough_keeps_no_layer_in_float():
    engine = Engine("p", others={"mse": 0.01})
    assert repaired(engine, "calibrate").trial == Trial(calibrator="mse")
    assert repaired(Engine("p", others={"mse": 0.01}), "keep-float", "calibrate").trial == Trial(
        calibrator="mse"
    )


def test_the_calibrator_that_was_there_stays_where_all_others_are_worse():
    engine = Engine("a", others={"percentile": 2.0, "mse": 2.0, "entropy": 2.0})
    found = repaired(engine, "calibrate", "keep-float")
    assert found.trial == Trial(keep=("a",))


def test_layers_are_kept_under_the_best_calibrator_where_neither_alone_is_enough():
    # Nine of sixteen would be needed, and half of them may be kept.
    engine = Engine(*LAYERS[:9], others={"entropy": 0.04})
    found = repaired(engine, "keep-float", "calibrate")
    assert found.trial == Trial(keep=LAYERS[:7], calibrator="entropy")


def test_fine_tuning_comes_last_and_only_where_it_is_allowed():
    assert repaired(Engine("p"), "keep-float", "calibrate") is None
    found = repaired(Engine("p"), "keep-float", "calibrate", "fine-tune")
    assert found.trial.fine_tuned
    assert found.trial.keep == ()


def test_nothing_is_tried_where_nothing_is_allowed():
    engine = Engine("a")
    assert repaired(engine) is None
    assert engine.trials == []


def test_a_trial_says_what_it_is():
    assert str(Trial()) == "no layer in float, calibrator 'min-max'"
    assert str(Trial(keep=("a", "b"))) == "'a' and 'b' in float, calibrator 'min-max'"
    tuned = Trial(keep=("a", "b", "c"), calibrator="mse", fine_tuned=True)
    assert str(tuned) == "3 layers in float, calibrator 'mse', fine-tuned"
