"""One dead model does not stop another, and nobody is refused while there is a way to an answer."""

from __future__ import annotations

from services.application.ports.circuits import Circuit, CircuitState, Need
from services.infrastructure.circuits import ProcessCircuits


def fail(circuit: Circuit, times: int = 5) -> None:
    for _ in range(times):
        circuit.admit().failed()


def test_each_route_has_its_own_and_keeps_it() -> None:
    circuits = ProcessCircuits()
    dead = circuits.of_route("http://a/v1", "big")
    fail(dead)
    assert circuits.of_route("http://a/v1", "big") is dead
    assert circuits.of_route("http://a/v1", "small").open_for() is None
    assert circuits.of_route("http://b/v1", "big").open_for() is None


def test_models_are_away_when_all_routes_are_until_the_first_may_be_tried() -> None:
    now = [0.0]
    circuits = ProcessCircuits(monotonic=lambda: now[0])
    assert circuits.open_for(Need.MODEL) is None
    first, second = circuits.of_route("http://a/v1", "m"), circuits.of_route("http://b/v1", "m")
    fail(first)
    assert circuits.open_for(Need.MODEL) is None
    now[0] = 20.0
    fail(second)
    assert circuits.open_for(Need.MODEL) == 40.0
    now[0] = 60.0
    assert circuits.open_for(Need.MODEL) is None


def test_the_database_is_a_need_of_its_own_and_comes_back_sooner() -> None:
    now = [0.0]
    circuits = ProcessCircuits(monotonic=lambda: now[0])
    fail(circuits.database)
    assert circuits.open_for(Need.DATABASE) == 5.0
    assert circuits.open_for(Need.MODEL) is None
    now[0] = 5.0
    circuits.database.admit().succeeded()
    assert circuits.database.state is CircuitState.CLOSED


def test_all_of_them_can_be_looked_at() -> None:
    circuits = ProcessCircuits(monotonic=lambda: 0.0)
    fail(circuits.of_route("http://a/v1", "m"))
    fail(circuits.database, 2)
    database, model = circuits.states()
    assert (database.need, database.state, database.failures, database.open_for) == (
        Need.DATABASE,
        CircuitState.CLOSED,
        2,
        None,
    )
    assert (model.name, model.state, model.open_for) == ("m at http://a/v1", CircuitState.OPEN, 60.0)
