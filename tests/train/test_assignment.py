"""Which candidate is held to which object, by hand and pair by pair."""

from itertools import permutations

import numpy as np
import pytest
import torch

from edgeprep.train.assignment import align, match

SEEN = (64, 64)
NONE = [-1.0, -1.0, -1.0, -1.0, -1.0]


def overlap(one, other):
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(wide, 0.0) * max(high, 0.0)
    areas = [max(b[2] - b[0], 0.0) * max(b[3] - b[1], 0.0) for b in (one, other)]
    union = sum(areas) - both
    hull = (max(one[2], other[2]) - min(one[0], other[0])) * (
        max(one[3], other[3]) - min(one[1], other[1])
    )
    return both / union, both / union - (hull - union) / hull


def align_slowly(scores, boxes, centers, objects):
    """The same, of one picture, candidate by candidate."""
    count = len(boxes)
    worth, wanted = {}, {}
    for number, (label, *corners) in enumerate(objects):
        if label < 0:
            continue
        x0, y0, x1, y1 = corners
        inside = [k for k, (x, y) in enumerate(centers) if x0 < x < x1 and y0 < y < y1]
        if not inside:
            middle = (x0 + x1) / 2, (y0 + y1) / 2
            apart = [(x - middle[0]) ** 2 + (y - middle[1]) ** 2 for x, y in centers]
            inside = [int(np.argmin(apart))]
        for k in inside:
            iou = max(overlap(boxes[k], corners)[0], 1e-4)
            worth[number, k] = max(scores[k][int(label)], 1e-9) * iou**6
        best = sorted(inside, key=lambda k: -worth[number, k])[:13]
        for k in best:
            wanted.setdefault(k, []).append(number)
    owner = np.full(count, -1)
    for k, numbers in wanted.items():
        owner[k] = max(numbers, key=lambda n: overlap(boxes[k], objects[n][1:])[0])
    shares, targets = np.zeros(count), np.zeros(count)
    for number in set(owner.tolist()) - {-1}:
        own = np.flatnonzero(owner == number)
        most = max(worth[number, k] for k in own)
        best = max(overlap(boxes[k], objects[number][1:])[0] for k in own)
        for k in own:
            shares[k] = worth[number, k] / most
            targets[k] = shares[k] * best
    return owner, shares, targets


def scene(seed, objects=4, classes=3):
    """Candidates on a grid of 8 pixels, whose boxes are about where objects are."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[4:64:8, 4:64:8]
    centers = np.stack((x, y), -1).reshape(-1, 2).astype(np.float32)
    low = generator.uniform(0, 40, (objects, 2))
    corners = np.concatenate((low, low + generator.uniform(6, 24, (objects, 2))), 1)
    labels = np.concatenate((generator.integers(0, classes, (objects, 1)), corners), 1)
    around = generator.uniform(2, 20, (len(centers), 4))
    boxes = np.concatenate((centers - around[:, :2], centers + around[:, 2:]), 1)
    scores = generator.uniform(0, 1, (len(centers), classes))
    return tuple(each.astype(np.float32) for each in (scores, boxes, centers, labels))


@pytest.mark.parametrize("seed", range(8))
def test_candidates_are_aligned_as_pair_by_pair(seed):
    scores, boxes, centers, labels = scene(seed)
    labels[2] = NONE
    found = align(*map(torch.from_numpy, (scores[None], boxes[None], centers, labels[None])))
    owner, shares, targets = align_slowly(scores, boxes, centers, labels)
    assert len(set(owner.tolist())) == 4
    np.testing.assert_array_equal(found.objects[0], owner)
    np.testing.assert_allclose(found.shares[0], shares, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.scores[0], targets, rtol=1e-4, atol=1e-7)


def test_pictures_of_a_batch_are_aligned_each_for_itself():
    scenes = [scene(seed) for seed in (1, 2)]
    together = [torch.from_numpy(np.stack(each)) for each in zip(*scenes, strict=True)]
    found = align(*together)
    for index, (scores, boxes, centers, labels) in enumerate(scenes):
        owner, _, _ = align_slowly(scores, boxes, centers, labels)
        np.testing.assert_array_equal(found.objects[index], owner)


def test_a_large_object_has_thirteen_candidates():
    scores, boxes, centers, _ = scene(0)
    labels = torch.tensor([[[1.0, 0.0, 0.0, 64.0, 64.0]]])
    found = align(*map(torch.from_numpy, (scores[None], boxes[None], centers)), labels)
    assert int((found.objects == 0).sum()) == 13
    assert float(found.shares.max()) == 1.0


def test_an_object_between_all_centres_has_the_nearest():
    scores, boxes, centers, _ = scene(0)
    labels = torch.tensor([[[0.0, 5.5, 5.0, 7.5, 7.5], NONE]])
    found = align(*map(torch.from_numpy, (scores[None], boxes[None], centers)), labels)
    assert found.objects[0].nonzero().shape == (63, 1)
    assert found.objects[0, 0] == 0
    assert found.shares[0, 0] == 1.0


def test_of_two_objects_with_one_nearest_centre_both_are_learned():
    centers = torch.tensor([[4.0, 4.0], [12.0, 4.0], [20.0, 4.0]])
    boxes = torch.tensor([[[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0], [16.0, 0.0, 24.0, 8.0]]])
    labels = torch.tensor([[[0.0, 6.0, 1.0, 7.0, 2.0], [1.0, 5.0, 1.0, 6.0, 2.0], NONE]])
    found = align(torch.full((1, 3, 2), 0.5), boxes, centers, labels)
    assert found.objects.tolist() == [[0, 1, -1]]
    assert found.shares.tolist() == [[1.0, 1.0, 0.0]]
    # The candidate that the second has is beside it.
    assert found.scores[0].tolist() == pytest.approx([1 / 64, 0.0, 0.0])


def test_an_object_goes_without_where_all_candidates_are_others():
    labels = torch.tensor([[[0.0, 0.0, 0.0, 8.0, 8.0], [1.0, 0.0, 0.0, 8.0, 8.0]]])
    one = torch.tensor([[[0.0, 0.0, 8.0, 8.0]]])
    found = align(torch.full((1, 1, 2), 0.5), one, torch.tensor([[4.0, 4.0]]), labels)
    assert found.objects.tolist() == [[0]]


def test_boxes_that_overlap_nothing_yet_are_learned():
    centers = torch.tensor([[4.0, 4.0], [12.0, 4.0]])
    boxes = torch.tensor([[[40.0, 40.0, 44.0, 44.0], [50.0, 50.0, 54.0, 54.0]]])
    labels = torch.tensor([[[0.0, 0.0, 0.0, 16.0, 8.0]]])
    found = align(torch.tensor([[[0.2], [0.4]]]), boxes, centers, labels)
    assert found.objects.tolist() == [[0, 0]]
    assert found.shares[0].tolist() == pytest.approx([0.5, 1.0])
    assert found.scores.tolist() == [[0.0, 0.0]]


def test_where_centres_are_may_differ_from_picture_to_picture():
    scores, boxes, centers, labels = (torch.from_numpy(each) for each in scene(3))
    once = align(scores[None], boxes[None], centers, labels[None])
    again = align(scores[None], boxes[None], centers[None], labels[None])
    assert torch.equal(once.objects, again.objects)


def match_slowly(scores, boxes, objects):
    """The cheapest of all ways to give each object a candidate."""

    def cost(number, k):
        label, *corners = objects[number]
        one, other = boxes[k] / 64, np.array(corners) / 64
        sides = [
            np.array([(b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2] - b[0], b[3] - b[1]])
            for b in (one, other)
        ]
        far = np.abs(sides[0] - sides[1]).sum()
        return 5 * far - 2 * overlap(boxes[k], corners)[1] - scores[k][int(label)]

    there = [number for number, one in enumerate(objects) if one[0] >= 0]
    ways = permutations(range(len(boxes)), len(there))
    best = min(
        ways, key=lambda way: sum(cost(number, k) for number, k in zip(there, way, strict=True))
    )
    owner = np.full(len(boxes), -1)
    owner[list(best)] = there
    return owner


@pytest.mark.parametrize("seed", range(4))
def test_candidates_are_matched_as_among_all_ways(seed):
    scores, boxes, _, labels = scene(seed)
    chosen = np.random.default_rng(seed).permutation(64)[:7]
    scores, boxes = scores[chosen], boxes[chosen]
    labels[1] = NONE
    found = match(*map(torch.from_numpy, (scores[None], boxes[None], labels[None])), SEEN)
    owner = match_slowly(scores, boxes, labels)
    np.testing.assert_array_equal(found.objects[0], owner)
    np.testing.assert_array_equal(found.shares[0], owner >= 0)
    np.testing.assert_array_equal(found.scores[0], owner >= 0)


def test_objects_beyond_the_candidates_are_left_out():
    scores, boxes, _, labels = scene(5)
    found = match(*map(torch.from_numpy, (scores[None, :3], boxes[None, :3], labels[None])), SEEN)
    assert len(set(found.objects[0].tolist()) - {-1}) == 3


@pytest.mark.parametrize("labels", [torch.zeros(1, 0, 5), torch.tensor([[NONE, NONE]])])
def test_without_objects_nothing_is_held_to_any(labels):
    scores, boxes, centers, _ = map(torch.from_numpy, scene(0))
    for found in (
        align(scores[None], boxes[None], centers, labels),
        match(scores[None], boxes[None], labels, SEEN),
    ):
        assert found.objects.unique().tolist() == [-1]
        assert float(found.shares.sum()) == 0.0
        assert float(found.scores.sum()) == 0.0
