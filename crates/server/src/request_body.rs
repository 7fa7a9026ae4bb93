//! Reads the body of a request, within limits of size and time.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::{
    answer::Failure,
    places::{Place, Places},
};

/// The largest body, in bytes, of which there may be as many as there are requests.
const SMALL: usize = 64 * 1024;

/// How much of a body that is too large is still taken, in bytes: a client that writes all of it
/// before it reads anything would otherwise not see why it was refused.
const DISCARDED: u64 = 16 * 1024 * 1024;

/// A body, and the place that a large one takes while its request is under way.
#[derive(Debug, Default)]
pub(crate) struct RequestBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) place: Option<Place>,
}

/// Reads a body of at most `limit` bytes, all of which must come within `time`.
pub(crate) async fn read(
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    time: Duration,
    places: &Places,
) -> Result<RequestBody, Failure> {
    // The client sends nothing until it is asked to, which reading does.
    let waits = headers.contains_key(header::EXPECT);
    let reading = async {
        if declared_length(headers).is_some_and(|length| length > limit as u64) {
            if !waits {
                discard(body).await;
            }
            return Err(Failure::TooLarge(limit));
        }
        read_within(body, limit, places).await
    };
    timeout(time, reading).await.unwrap_or(Err(Failure::BodyTimedOut(time)))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_within(
    mut body: Body,
    limit: usize,
    places: &Places,
) -> Result<RequestBody, Failure> {
    let mut read = RequestBody::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Failure::BodyBroken)?.into_data() else { continue };
        let size = read.bytes.len() + data.len();
        if size > limit {
            drop(read);
            discard(body).await;
            return Err(Failure::TooLarge(limit));
        }
        if size > SMALL && read.place.is_none() {
            read.place = Some(places.large_body().await?);
        }
        read.bytes.extend_from_slice(&data);
    }
    Ok(read)
}

async fn discard(mut body: Body) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, |data| data.len() as u64);
        if discarded > DISCARDED {
            return;
        }
    }
}
