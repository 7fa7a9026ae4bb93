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
    time::{Instant, Sleep, sleep},
};

/// The shortest time after which a connection is looked at again while a request is under way.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// What a connection is at, known to its stream and to its service.
#[derive(Debug)]
pub(super) struct Activity {
    began_at: Instant,
    begun: AtomicU64,
    under_way: AtomicU32,
    /// When the last request ended, in milliseconds since the beginning.
    ended: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        let (begun, under_way, ended) = Default::default();
        Self { began_at: Instant::now(), begun, under_way, ended }
    }

    fn ended_at(&self) -> Instant {
        self.began_at + Duration::from_millis(self.ended.load(Ordering::Relaxed))
    }

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
        let ended = u64::try_from(self.0.began_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(ended, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}

/// A stream with a time limit for each head of a request, from its first byte on, for the time
/// before it, and for each step of an answer.
///
/// The first head begins with the stream. One whose first bytes came along with the request before
/// it is not seen to begin, and has the time of a connection that is idle.
pub(super) struct TimedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    times: Times,
    awaited: Awaited,
    /// Ends at the end of what is awaited, or before it: it is only moved where it ended too soon,
    /// so that a busy connection does not move it with every request.
    end: Pin<Box<Sleep>>,
    write: Option<Pin<Box<Sleep>>>,
}

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The head of a request.
    pub(super) head: Duration,
    /// To begin the next.
    pub(super) idle: Duration,
    /// To take more of an answer.
    pub(super) write: Duration,
}

/// What is awaited of a client while no request is under way.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// How many requests had begun before.
    begun: u64,
    since: Instant,
    /// Whether the rest of a head is, and not its beginning.
    head: bool,
}

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>, times: Times) -> Self {
        let awaited = Awaited { begun: 0, since: Instant::now(), head: true };
        let end = Box::pin(sleep(times.head));
        Self { stream, activity, times, awaited, end, write: None }
    }

    /// Notes what is awaited after a read that gave something or nothing.
    fn note(&mut self, some_came: bool) {
        let begun = self.activity.begun.load(Ordering::Relaxed);
        if some_came && (begun != self.awaited.begun || !self.awaited.head) {
            self.awaited = Awaited { begun, since: Instant::now(), head: true };
        } else if begun != self.awaited.begun {
            self.awaited = Awaited { begun, since: self.activity.ended_at(), head: false };
        }
    }

    /// Ready when what is awaited did not come in time.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<&'static str> {
        let (time, problem) = match self.awaited.head {
            true => (self.times.head, "the head of a request did not come in time"),
            false => (self.times.idle, "no request came in time"),
        };
        let end = self.awaited.since + time;
        if self.end.deadline() > end {
            self.end.as_mut().reset(end);
        }
        loop {
            ready!(self.end.as_mut().poll(context));
            if self.end.deadline() >= end {
                return Poll::Ready(problem);
            }
            self.end.as_mut().reset(end);
        }
    }

    /// Sees to it that the stream is looked at again, before it has been idle for too long, where
    /// nobody reads from it when the request has ended.
    fn poll_under_way(&mut self, context: &mut Context<'_>) {
        let latest = Instant::now() + self.times.idle.max(SHORTEST_LOOK);
        if self.end.deadline() > latest {
            self.end.as_mut().reset(latest);
        }
        while self.end.as_mut().poll(context).is_ready() {
            self.end.as_mut().reset(latest);
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
        let timeout = self.times.write;
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
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if this.activity.under_way.load(Ordering::Acquire) > 0 {
            if read.is_pending() {
                this.poll_under_way(context);
            }
            return read;
        }
        this.note(buffer.filled().len() > before);
        if read.is_ready() {
            return read;
        }
        this.poll_end(context).map(|problem| Err(timed_out(problem)))
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
