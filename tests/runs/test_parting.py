"""What a run says of where validation and training part."""

from zatlas.runs.parting import parting


def lines(*points):
    """Of (step, validation loss, training loss)."""
    held_out = [{"split": "validation", "step": step, "loss": loss} for step, loss, _ in points]
    return held_out + [{"split": "train", "step": step, "loss": loss} for step, _, loss in points]


def test_nothing_is_said_of_a_loss_that_is_lowest_at_the_end():
    assert parting(lines((1, 9.0, 9.0), (2, 8.0, 7.0), (3, 7.5, 5.0)), 3) is None
    assert parting([], 3) is None


def test_a_shorter_schedule_begins_with_high_losses_and_that_is_no_overfitting():
    points = [(1, 90.0, 90.0), (2, 70.0, 60.0), (3, 75.0, 50.0), (4, 200.0, 180.0), (5, 71.0, 65.0)]
    assert "rose after it, to 75.00 at step 3, while the training loss went from 60.00 to 50.00." in parting(
        lines(*points), 2
    )
    said = parting(lines(*points[:2], *points[3:]), 2)
    assert said == (
        "The validation loss was lowest at step 2 (70.00 nats; 71.00 at the end). The weights of step 2 are used."
    )
