"""An application on supertokens-python with the session recipe alone. Prints its port."""

import json
import os
import socket

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from supertokens_python import (
    InputAppInfo,
    RecipeUserId,
    SupertokensConfig,
    convert_to_recipe_user_id,
    init,
)
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.recipe import session
from supertokens_python.recipe.session import asyncio as sessions
from supertokens_python.recipe.session.claims import BooleanClaim
from supertokens_python.recipe.session.framework.fastapi import verify_session
from supertokens_python.recipe.session.interfaces import GetClaimValueOkResult

OPTIONS = json.loads(os.environ["APPLICATION"])
THEFTS = []
VERIFIED = BooleanClaim(key="verified", fetch_value=lambda *_: True)


async def on_theft(_request, session_handle, user_id, _recipe_user_id, response):
    THEFTS.append({"sessionHandle": session_handle, "userId": user_id})
    response.set_status_code(401)
    response.set_json_content({"message": "token theft detected"})
    return response


init(
    app_info=InputAppInfo(
        app_name="app", api_domain="http://127.0.0.1", website_domain="http://127.0.0.1"
    ),
    supertokens_config=SupertokensConfig(connection_uri=OPTIONS["core"]),
    framework="fastapi",
    mode="asgi",
    telemetry=False,
    recipe_list=[
        session.init(
            anti_csrf=OPTIONS.get("antiCsrf"),
            use_dynamic_access_token_signing_key=OPTIONS.get("dynamicKey"),
            error_handlers=session.InputErrorHandlers(on_token_theft_detected=on_theft),
        )
    ],
)


async def shown(container):
    return {
        "userId": container.get_user_id(),
        "handle": container.get_handle(),
        "tenantId": container.get_tenant_id(),
        "payload": container.get_access_token_payload(),
    }


async def own(container, operation, arguments):
    """What is done with the session of a request."""
    if operation == "get":
        return await shown(container)
    if operation == "data":
        return await container.get_session_data_from_database()
    if operation == "updateData":
        return await container.update_session_data_in_database(*arguments)
    if operation == "mergePayload":
        return await container.merge_into_access_token_payload(*arguments)
    if operation == "setClaim":
        return await container.set_claim_value(VERIFIED, *arguments)
    if operation == "fetchClaim":
        return await container.fetch_and_set_claim(VERIFIED)
    if operation == "removeClaim":
        return await container.remove_claim(VERIFIED)
    if operation == "claim":
        return await container.get_claim_value(VERIFIED)
    if operation == "assertClaim":
        return await container.assert_claims([VERIFIED.validators.is_true(None)])
    if operation == "times":
        return [await container.get_time_created(), await container.get_expiry()]
    if operation == "revoke":
        return await container.revoke_session()
    raise KeyError(operation)


async def information(handle):
    found = await sessions.get_session_information(handle)
    return found and {
        "userId": found.user_id,
        "tenantId": found.tenant_id,
        "payload": found.custom_claims_in_access_token_payload,
        "data": found.session_data_in_database,
        "timeCreated": found.time_created,
        "expiry": found.expiry,
    }


async def claim(handle):
    found = await sessions.get_claim_value(handle, VERIFIED)
    return found.value if isinstance(found, GetClaimValueOkResult) else None


async def validate_claims(handle):
    found = await sessions.validate_claims_for_session_handle(
        handle, lambda *_: [VERIFIED.validators.is_true(None)]
    )
    return len(found.invalid_claims) if hasattr(found, "invalid_claims") else None


async def create_jwt(*arguments):
    created = await sessions.create_jwt(*arguments)
    return {"jwt": created.jwt}


async def thefts():
    return THEFTS


# What is done with a session by its handle, and with a user.
BY_HANDLE = {
    "information": information,
    "updateData": sessions.update_session_data_in_database,
    "mergePayload": sessions.merge_into_access_token_payload,
    "setClaim": lambda handle, value: sessions.set_claim_value(handle, VERIFIED, value),
    "fetchClaim": lambda handle: sessions.fetch_and_set_claim(handle, VERIFIED),
    "removeClaim": lambda handle: sessions.remove_claim(handle, VERIFIED),
    "claim": claim,
    "validateClaims": validate_claims,
    "revoke": sessions.revoke_session,
    "revokeSeveral": sessions.revoke_multiple_sessions,
    "revokeUser": lambda user, tenant: sessions.revoke_all_sessions_for_user(user, True, tenant),
    "list": lambda user, tenant: sessions.get_all_session_handles_for_user(user, True, tenant),
    "createJwt": create_jwt,
    "thefts": thefts,
}

app = FastAPI()
app.add_middleware(get_middleware())


@app.exception_handler(Exception)
async def failed(_request: Request, error: Exception):
    return PlainTextResponse(str(error), status_code=500)


@app.post("/login")
async def login(request: Request):
    body = await request.json()
    user: RecipeUserId = convert_to_recipe_user_id(body["userId"])
    container = await sessions.create_new_session(
        request, body["tenant"], user, body["payload"], body["data"]
    )
    return JSONResponse({"result": await shown(container)})


@app.post("/own/{operation}")
async def on_own(operation: str, request: Request, container=Depends(verify_session())):
    return JSONResponse({"result": await own(container, operation, await request.json())})


@app.post("/checked/{operation}")
async def on_checked(
    operation: str, request: Request, container=Depends(verify_session(check_database=True))
):
    return JSONResponse({"result": await own(container, operation, await request.json())})


@app.post("/call/{operation}")
async def on_call(operation: str, request: Request):
    return JSONResponse({"result": await BY_HANDLE[operation](*await request.json())})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[listener])
