use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

pin_project! {
    /// A body with a time limit for each part of it, and what is held until it has been sent.
    pub(super) struct TimedBody<B, G> {
        #[pin]
        body: B,
        timeout: Duration,
        #[pin]
        end: Sleep,
        waiting: bool,
        guard: G,
    }
}

impl<B, G> TimedBody<B, G> {
    pub(super) fn new(body: B, timeout: Duration, guard: G) -> Self {
        Self { body, timeout, end: sleep(timeout), waiting: false, guard }
    }
}

impl<B, G> Body for TimedBody<B, G>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(context) {
            *this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        // Its time begins when somebody waits for it, and not while the last part is still sent.
        if !*this.waiting {
            *this.waiting = true;
            this.end.as_mut().reset(Instant::now() + *this.timeout);
        }
        match this.end.poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyTimedOut.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The next part of a body did not come in time.
#[derive(Debug)]
pub(super) struct BodyTimedOut;

impl BodyTimedOut {
    /// Whether it is the cause of that error.
    pub(super) fn caused(error: &(dyn StdError + 'static)) -> bool {
        let mut error = Some(error);
        while let Some(cause) = error {
            if cause.is::<Self>() {
                return true;
            }
            error = cause.source();
        }
        false
    }
}

impl fmt::Display for BodyTimedOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the next part of a body did not come in time")
    }
}

impl StdError for BodyTimedOut {}
