//! A stream that its client cannot keep busy with doing nothing.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What a connection is at, known to its stream and to its service.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    under_way: AtomicU32,
}

impl Activity {
    /// A request has come whole, up to its body; it is under way until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream with a time limit for each head of a request, from its first byte on, and for each
/// step of an answer. The first head's time begins with the stream.
///
/// The time that a connection is idle is limited by hyper, for which a head begins when the answer
/// before it ends.
pub(super) struct TimedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    head_timeout: Duration,
    /// How many requests had begun when the head that is read now did, and when its time is over.
    head: Option<(u64, Pin<Box<Sleep>>)>,
    write_timeout: Duration,
    write: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    pub(super) fn new(
        stream: S,
        activity: Arc<Activity>,
        head_timeout: Duration,
        write_timeout: Duration,
    ) -> Self {
        let head = Some((0, Box::pin(sleep(head_timeout))));
        Self { stream, activity, head_timeout, head, write_timeout, write: None }
    }

    fn limit_head(&mut self, context: &mut Context<'_>, some_came: bool) -> io::Result<()> {
        let begun = self.activity.begun.load(Ordering::Relaxed);
        self.head = self.head.take().filter(|(at, _)| *at == begun);
        if some_came && self.head.is_none() && self.activity.under_way.load(Ordering::Relaxed) == 0
        {
            self.head = Some((begun, Box::pin(sleep(self.head_timeout))));
        }
        match &mut self.head {
            Some((_, end)) => match end.as_mut().poll(context) {
                Poll::Ready(()) => Err(timed_out("the head of a request did not come in time")),
                Poll::Pending => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Gives what was written, or an error when nothing could be for too long.
    fn limit_write<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write = None;
            return written;
        }
        let timeout = self.write_timeout;
        let end = self.write.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(timed_out("an answer was not taken in time")))
    }
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer)?;
        this.limit_head(context, buffer.filled().len() > before)?;
        read.map(Ok)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.limit_write(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.limit_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.limit_write(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut_down = Pin::new(&mut this.stream).poll_shutdown(context);
        this.limit_write(context, shut_down)
    }
}

pin_project! {
    /// A body, and what is held until it has been sent or given up.
    pub(super) struct UntilSent<B, G> {
        #[pin]
        body: B,
        guard: G,
    }
}

impl<B, G> UntilSent<B, G> {
    pub(super) fn new(body: B, guard: G) -> Self {
        Self { body, guard }
    }
}

impl<B: Body<Data: Buf>, G> Body for UntilSent<B, G> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
