"""The API of SuperTokens' FastAPI SDK 1.0, on Sessile's engine inside the process."""

try:
    import starlette as _starlette  # noqa: F401
except ImportError:
    raise ImportError(
        'supertokens_fastapi needs FastAPI: pip install "sessile[fastapi]"'
    ) from None

from . import exceptions
from .auth0 import auth0_handler
from .functions import (
    create_new_session,
    get_all_session_handles_for_user,
    get_cors_allowed_headers,
    get_jwt_payload,
    get_session,
    get_session_data,
    refresh_session,
    revoke_all_sessions_for_user,
    revoke_multiple_sessions,
    revoke_session,
    set_relevant_headers_for_options_api,
    supertokens_session,
    supertokens_session_with_anti_csrf,
    supertokens_session_without_anti_csrf,
    update_jwt_payload,
    update_session_data,
)
from .session import Session
from .supertokens import SuperTokens

__all__ = [
    "Session",
    "SuperTokens",
    "auth0_handler",
    "create_new_session",
    "exceptions",
    "get_all_session_handles_for_user",
    "get_cors_allowed_headers",
    "get_jwt_payload",
    "get_session",
    "get_session_data",
    "refresh_session",
    "revoke_all_sessions_for_user",
    "revoke_multiple_sessions",
    "revoke_session",
    "set_relevant_headers_for_options_api",
    "supertokens_session",
    "supertokens_session_with_anti_csrf",
    "supertokens_session_without_anti_csrf",
    "update_jwt_payload",
    "update_session_data",
]
