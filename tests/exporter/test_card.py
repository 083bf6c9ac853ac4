"""What the model card says of validation: as training noted it, or counted anew."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.card import make_card, measured, public_metrics
from exporter.pipeline import as_model_file
from infer.base.errors import ModelFileError
from infer.model.file import stamp
from infer.model.risk import risk_curve
from infer.model.validated import Validated


@pytest.fixture(scope="module")
def draft(checkpoint, model_and_graph, tmp_path_factory):
    card = make_card(checkpoint, "fp32")
    path = tmp_path_factory.mktemp("draft") / "model.onnx"
    return as_model_file(path, stamp(model_and_graph()[1], card), card)


def with_validation(checkpoint, **values):
    validation = {**checkpoint.metrics["validation"], **values}
    return replace(checkpoint, metrics={**checkpoint.metrics, "validation": validation})


def test_a_checkpoint_that_did_not_count_is_counted(checkpoint, draft):
    assert make_card(checkpoint, "fp32").validated is None
    found = measured(draft, checkpoint)
    assert found.profile.rows == found.risk.points[0].rows == checkpoint.validation.num_rows == 60
    # Labels at random: about half are right, and the card can say how many exactly.
    assert 10 < found.risk.points[0].right < 50
    assert found.profile.statuses["truncated"] > 0


def test_what_training_counted_stands_in_the_card_and_there_alone(checkpoint, draft):
    found = measured(draft, checkpoint)
    counted = with_validation(checkpoint, **found.to_json())
    card = make_card(counted, "fp32")
    assert card.validated == found
    assert card.metrics == public_metrics(checkpoint.metrics)


def test_the_first_of_many_reviews_are_not_counted_for_all(checkpoint, draft, said):
    assert measured(draft, with_validation(checkpoint, reviews=2_500)) is None
    assert "keeps 60 of 2,500 validation reviews" in said()[-1]


@pytest.mark.parametrize("values", [{"profile": {}}, {"risk_coverage": []}, {"profile": None}])
def test_damaged_counts_are_named(checkpoint, values):
    with pytest.raises(ModelFileError, match="validation is damaged"):
        make_card(with_validation(checkpoint, **values), "fp32")


def test_counts_of_other_reviews_do_not_belong_together(checkpoint, draft):
    found = measured(draft, checkpoint)
    other = risk_curve(np.array([0.9]), np.array([True]))
    with pytest.raises(ModelFileError, match="curve of 1 row, expected 60"):
        make_card(with_validation(checkpoint, **Validated(found.profile, other).to_json()), "fp32")
