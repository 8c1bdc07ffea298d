"""What `make image` refuses before it builds anything."""

import pytest

from models import manifest
from models.errors import TemplateError
from scripts.release import image


def test_a_model_that_the_configuration_is_not_for_is_refused() -> None:
    other = next(slug for slug in manifest.slugs() if slug != manifest.selected().slug)
    wanted = rf"cog.cpu.yaml is for {manifest.selected().slug}, and MODEL is {other}: make use MODEL={other}"
    with pytest.raises(TemplateError, match=wanted):
        image.build(manifest.load(other), "cpu")
