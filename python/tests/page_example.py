"""The example of the page, only its two slips of syntax corrected, and what it takes for granted."""

from fastapi import FastAPI, Request
from supertokens_fastapi import SuperTokens, create_new_session

app = FastAPI()
SuperTokens(app)


@app.post('/login')
async def login(request: Request):
    session = await create_new_session(request, 'alice', {'role': 'editor'}, {'cart': [1]})
    return {'handle': session.get_handle()}


from supertokens_fastapi import supertokens_session, Session
from fastapi import Depends
from fastapi.responses import JSONResponse

@app.post('/test')
async def test_info(session: Session = Depends(supertokens_session)):
    user_id = session.get_user_id()

    # update session info
    session_data = await session.get_session_data()
    new_session_data = {**session_data, "newKey": "newVal"}
    await session.update_session_data(new_session_data)

    # update jwt payload
    payload_data = session.get_jwt_payload()
    new_payload = {**payload_data, "newKey": "newVal"}
    await session.update_jwt_payload(new_payload)

    # revoking session
    await session.revoke_session()

    return JSONResponse(content={'status': 'ok'})
