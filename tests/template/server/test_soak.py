"""A short soak: the long one is `make soak`."""

import psutil
import pytest

from models import manifest
from scripts import soak
from scripts.contract import schema
from scripts.serving import local_server


@pytest.mark.slow  # 5 seconds of load, and its predictions to their end
def test_under_mixed_load_no_prediction_is_lost_and_no_slot_leaks() -> None:
    model = manifest.selected()
    with local_server.running(model) as (address, process):
        watch = soak._Memory(psutil.Process(process.pid))
        outcomes = soak._all_clients(address, soak._uses_of(model), seconds=5, seed=3, watch=watch)
        soak._wait_until_idle(address, model.examples[0].input, schema.max_concurrency(model.predictor_class))
    assert not [outcome for outcome in outcomes if outcome[:3].isupper()]
    assert {"succeeded", "canceled", "dropped", "bad request refused", "full: 409"} <= set(outcomes)
    assert watch.settling > 0
    assert watch.settled > 0
