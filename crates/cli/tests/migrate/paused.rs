//! A run of `sessile migrate` that stands still in its first pass.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStderr, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Run, sessile};

pub(crate) struct Paused {
    process: Child,
    progress: BufReader<ChildStderr>,
}

impl Paused {
    /// Starts a run, which stands still once it has compared 2000 sessions.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut process = sessile(folder)
            .arg("migrate")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut progress = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        progress.read_line(&mut line).unwrap();
        assert!(line.starts_with("pass 1: 2000 sessions compared"), "{line}");
        let paused = Self { process, progress };
        paused.signal(Signal::STOP);
        paused
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Lets it go on to its end.
    pub(crate) fn finish(mut self) -> Run {
        self.signal(Signal::CONT);
        let (mut told, mut progress) = (String::new(), String::new());
        self.progress.read_to_string(&mut progress).unwrap();
        self.process.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        Run { done: self.process.wait().unwrap().success(), told, progress }
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
