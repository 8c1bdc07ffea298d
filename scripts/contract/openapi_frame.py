"""The part of a Cog server's OpenAPI document that is the same for every model.

Source: Cog 0.22, pkg/schema/openapi_spec.go.
"""

import copy
from typing import Any

COG_VERSION = "0.22.0"


def document(components: dict[str, Any], streams: bool) -> dict[str, Any]:
    """The complete document with the model's own `components` (Input, Output and enumerations)."""
    predict: dict[str, Any] = {
        "summary": "Predict",
        "description": "Run a single prediction on the model",
        "operationId": "predict_predictions_post",
        "requestBody": {"content": _json(_ref("PredictionRequest"))},
        "responses": {"200": _response(_ref("PredictionResponse")), "422": _INVALID},
    }
    if streams:
        predict["x-cog-streaming"] = True
    return copy.deepcopy(
        {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": COG_VERSION},
            "paths": {
                "/": _get("Root", "root__get"),
                "/health-check": _get("Healthcheck", "healthcheck_health_check_get"),
                "/predictions": {"post": predict},
                "/predictions/{prediction_id}/cancel": {"post": _CANCEL},
            },
            "components": {"schemas": {**components, **_COMPONENTS}},
        }
    )


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _response(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "Successful Response", "content": _json(schema)}


def _get(summary: str, operation: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "operationId": operation, "responses": {"200": _response({})}}}


def _string(title: str, **more: str) -> dict[str, Any]:
    return {"title": title, "type": "string", **more}


def _object(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"title": name, "type": "object", "properties": properties}


_INVALID = {"description": "Validation Error", "content": _json(_ref("HTTPValidationError"))}
_CANCEL = {
    "summary": "Cancel",
    "operationId": "cancel_predictions__prediction_id__cancel_post",
    "parameters": [{"required": True, "schema": _string("Prediction Id"), "name": "prediction_id", "in": "path"}],
    "responses": {"200": _response({}), "422": _INVALID},
}
_COMPONENTS = {
    "PredictionRequest": _object("PredictionRequest", {"id": _string("Id"), "input": _ref("Input")}),
    "PredictionResponse": _object(
        "PredictionResponse",
        {
            "input": _ref("Input"),
            "output": _ref("Output"),
            "id": _string("Id"),
            "version": _string("Version"),
            "created_at": _string("Created At", format="date-time"),
            "started_at": _string("Started At", format="date-time"),
            "completed_at": _string("Completed At", format="date-time"),
            "status": _string("Status"),
            "error": _string("Error"),
            "logs": _string("Logs"),
            "metrics": {"title": "Metrics", "type": "object"},
        },
    ),
    "Status": {
        "title": "Status",
        "description": "An enumeration.",
        "enum": ["starting", "processing", "succeeded", "canceled", "failed"],
        "type": "string",
    },
    "HTTPValidationError": _object(
        "HTTPValidationError", {"detail": {"title": "Detail", "type": "array", "items": _ref("ValidationError")}}
    ),
    "ValidationError": {
        **_object(
            "ValidationError",
            {
                "loc": {
                    "title": "Location",
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                },
                "msg": _string("Message"),
                "type": _string("Error Type"),
            },
        ),
        "required": ["loc", "msg", "type"],
    },
}
