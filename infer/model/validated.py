"""What a model is known for: its validation reviews, and how often it was right about them.

Training counts both, the model card carries them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infer.base.words import counted
from infer.model.probability import Labels, has_values
from infer.model.profile import Profile
from infer.model.risk import RiskCurve, confidences, risk_curve

if TYPE_CHECKING:
    from infer.model.results import Scores
    from infer.text.encoding import EncodedTexts


@dataclass(frozen=True)
class Validated:
    """The validation reviews.

    Attributes:
        profile: what they and their scores are like.
        risk: how often the labels are right, of all of them and of the surest.
    """

    profile: Profile
    risk: RiskCurve

    @classmethod
    def of(
        cls, encoded: "EncodedTexts", scores: "Scores", truth: Labels, labels: tuple[str, ...]
    ) -> "Validated | None":
        """Count reviews that were scored; None where none has a score.

        Args:
            encoded: R texts.
            scores: what is said of them.
            truth: (R,) numbers of the true labels.
            labels: names of the model's.
        """
        has_score = has_values(scores.score)
        sure = confidences(scores.score, scores.prediction, labels)[has_score]
        curve = risk_curve(sure, (scores.prediction == truth)[has_score])
        return None if curve is None else cls(Profile.of(encoded, scores, labels), curve)

    def to_json(self) -> dict[str, Any]:
        """Return both as a JSON-ready mapping."""
        return {"profile": self.profile.to_json(), "risk_coverage": self.risk.to_json()}

    @classmethod
    def from_json(cls, values: Any, labels: tuple[str, ...]) -> "Validated":
        """Read `to_json` back.

        Raises:
            ValueError, KeyError, TypeError: it is damaged, or of a model with other labels.
        """
        found = cls(
            Profile.from_json(values["profile"], labels),
            RiskCurve.from_json(values["risk_coverage"]),
        )
        if (rows := found.risk.points[0].rows) != found.profile.scored:
            raise ValueError(
                f"risk-coverage curve of {counted(rows, 'row')}, expected {found.profile.scored} "
                "as in the profile"
            )
        return found
