"""An application in Flask on an SDK for Python as it was before CDI 2.4. Prints its port."""

import json
import os

import supertokens_flask as sdk
from flask import Flask, g, jsonify, make_response, request
from supertokens_flask.supertokens import create_new_session
from werkzeug.serving import make_server

OPTIONS = json.loads(os.environ["APPLICATION"])

app = Flask(__name__)
app.config["SUPERTOKENS_HOSTS"] = OPTIONS["core"]
sdk.SuperTokens(app)


def shown(session):
    return {
        "userId": session.get_user_id(),
        "handle": session.get_handle(),
        "payload": session.get_jwt_payload(),
    }


OWN = {
    "get": shown,
    "data": lambda session: session.get_session_data(),
    "updateData": lambda session, data: session.update_session_data(data),
    "updatePayload": lambda session, payload: session.update_jwt_payload(payload),
    "revoke": lambda session: session.revoke_session(),
}
CALLS = {
    "list": sdk.get_all_session_handles_for_user,
    "revoke": sdk.revoke_session,
    "revokeSeveral": sdk.revoke_multiple_sessions,
    "revokeUser": sdk.revoke_all_sessions_for_user,
    "data": sdk.get_session_data,
    "updateData": sdk.update_session_data,
    "payload": sdk.get_jwt_payload,
    "updatePayload": sdk.update_jwt_payload,
}


@app.post("/login")
def login():
    response = make_response()
    body = request.json
    session = create_new_session(response, body["userId"], body["payload"], body["data"])
    response.data = json.dumps({"result": shown(session)})
    return response


@app.post("/session/refresh")
@sdk.supertokens_middleware
def refresh():
    return jsonify(result=shown(g.supertokens))


@app.post("/own/<operation>")
@sdk.supertokens_middleware
def own(operation):
    return jsonify(result=OWN[operation](g.supertokens, *request.json))


@app.post("/call/<operation>")
def call(operation):
    return jsonify(result=CALLS[operation](*request.json))


server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
