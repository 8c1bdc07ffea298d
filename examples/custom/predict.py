"""The class that `make new TASK=custom` adds to predict.py: inputs, bounds and descriptions are what callers see."""

from cog import BaseModel, BasePredictor, Input, Path

from models import cog_runtime, inputs
from models.tasks import image_classifier


class ImageClassifierScore(BaseModel):
    """A label and its score, from 0 to 1."""

    label: str
    score: float


class ImageClassifier(BasePredictor):
    """Scores labels for a picture."""

    def setup(self) -> None:
        """Load the weights once, onto CUDA where there is a GPU."""
        self.model = image_classifier.load()
        cog_runtime.complete()

    @inputs.whole_numbers
    def predict(
        self,
        image: Path = Input(description="The picture: PNG, JPEG, WebP, or another format that Pillow reads."),
        top_k: int = Input(
            description="Only so many labels, those with the highest scores.",
            default=5,
            ge=1,
            le=1000,
        ),
    ) -> list[ImageClassifierScore]:
        """Classify a picture."""
        scores = self.model.classify(image, top_k)
        return [ImageClassifierScore(label=label, score=score) for label, score in scores]
