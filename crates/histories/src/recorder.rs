#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a history that cannot be written fails the test that asked for it"
)]

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use sessile_core::event::Event;

use crate::{
    history::{Call, Line, OperationId, Outcome, RecordedEvent},
    monotonic::nanoseconds,
};

tokio::task_local! {
    static OPERATION: OperationId;
}

/// Writes down what a process calls and is answered, line by line: a call before it is made, and
/// an answer before anything follows from it. What is written survives the death of the process.
#[derive(Debug)]
pub struct Recorder {
    process: u32,
    calls: AtomicU32,
    record: Mutex<File>,
}

impl Recorder {
    /// A recorder for the process of that number, which writes into a new file.
    ///
    /// # Errors
    /// When the file is there already or cannot be made.
    pub fn create(record: &Path, process: u32) -> io::Result<Arc<Self>> {
        let record = OpenOptions::new().append(true).create_new(true).open(record)?;
        Ok(Arc::new(Self { process, calls: AtomicU32::new(0), record: Mutex::new(record) }))
    }

    /// For [`on_event`](sessile_core::SessionsBuilder::on_event): writes down the events.
    pub fn listener(self: &Arc<Self>) -> impl Fn(&Event) + Send + Sync + 'static {
        let recorder = Arc::clone(self);
        move |event| {
            recorder.write(&Line::Event(RecordedEvent {
                operation: OPERATION.get(),
                at: nanoseconds(),
                handle: event.session_handle.as_str().to_owned(),
                user: event.user_id.clone(),
                kind: event.kind.into(),
            }));
        }
    }

    /// Writes down that the signing keys are read from the store, if an operation has them read.
    pub fn keys_are_read(&self) {
        if let Ok(by) = OPERATION.try_with(|by| *by) {
            self.write(&Line::KeysRead { by });
        }
    }

    /// Makes a call and writes it down. `work` is told the operation's name, and gives the outcome
    /// with whatever the client wants besides. Dropped before it is there, the call has an unknown
    /// outcome.
    pub(crate) async fn operation<T, F: Future<Output = (Outcome, T)>>(
        &self,
        client: u32,
        call: Call,
        work: impl FnOnce(OperationId) -> F,
    ) -> T {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let id = OperationId { process: self.process, number };
        self.write(&Line::Invoked { id, client, at: nanoseconds(), call });
        let (outcome, value) = OPERATION.scope(id, work(id)).await;
        self.write(&Line::Answered { id, at: nanoseconds(), outcome });
        value
    }

    fn write(&self, line: &Line) {
        let mut text = serde_json::to_string(line).expect("a line is plain JSON");
        text.push('\n');
        // One write for each line: a process that dies leaves whole lines behind.
        self.record.lock().unwrap().write_all(text.as_bytes()).expect("the record can be written");
    }
}
