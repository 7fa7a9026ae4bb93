use std::{
    io::{self, Write},
    sync::{Mutex, Once, PoisonError},
};

/// What all tests of the process have logged since somebody wished to know.
#[derive(Clone, Copy)]
pub(crate) struct Log(&'static Mutex<String>);

impl Log {
    pub(crate) fn keep() -> Self {
        static KEPT: Mutex<String> = Mutex::new(String::new());
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing_subscriber::fmt().with_ansi(false).with_writer(|| Self(&KEPT)).init();
        });
        Self(&KEPT)
    }

    pub(crate) fn has(self, text: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(text)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
