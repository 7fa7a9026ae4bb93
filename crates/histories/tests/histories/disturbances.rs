//! Nodes that are killed, and a server that is stopped as if it had crashed, while all act.

use std::{
    io::{BufRead, BufReader},
    process::Child,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use fastrand::Rng;
use sessile_postgres_fixture::{Cluster, Shutdown};

use crate::{faulty_store::GETTING_ON, run::Run};

/// The nodes of a run. Each that is killed is replaced by another one.
pub(crate) struct Nodes<'a> {
    run: &'a Run,
    cluster: &'a Cluster,
    random: Rng,
    nodes: Vec<Child>,
    started: u32,
    /// A message for each time that a node has got on.
    progress: (Sender<()>, Receiver<()>),
    pub(crate) kills: u32,
    pub(crate) restarts: u32,
}

impl<'a> Nodes<'a> {
    pub(crate) fn start(run: &'a Run, cluster: &'a Cluster, count: usize) -> Self {
        let random = Rng::with_seed(run.settings.seed);
        let mut nodes = Self {
            run,
            cluster,
            random,
            nodes: Vec::new(),
            started: 0,
            progress: channel(),
            kills: 0,
            restarts: 0,
        };
        for _ in 0..count {
            nodes.add();
        }
        nodes
    }

    fn add(&mut self) {
        let mut node = self.run.start_until_told(self.started);
        self.started += 1;
        let lines = BufReader::new(node.stdout.take().unwrap()).lines();
        let progress = self.progress.0.clone();
        thread::spawn(move || {
            // What a killed node had begun to say may be no text.
            for text in lines.map_while(Result::ok) {
                if text.contains(GETTING_ON) && progress.send(()).is_err() {
                    return;
                }
            }
        });
        self.nodes.push(node);
    }

    /// Waits until the nodes have got on so many times.
    pub(crate) fn get_on(&self, times: u32) {
        for _ in 0..times {
            self.progress.1.recv().unwrap();
        }
    }

    /// After a while, kills a node, or stops the server and starts it again, or does both at once.
    pub(crate) fn disturb(&mut self) {
        let a_while = self.random.u32(15..40);
        self.get_on(a_while);
        match self.random.u8(..4) {
            0 => self.restart(false),
            1 => self.restart(true),
            _ => self.kill(),
        }
    }

    /// Kills a node, and starts another one.
    pub(crate) fn kill(&mut self) {
        let mut node = self.nodes.swap_remove(self.random.usize(..self.nodes.len()));
        node.kill().unwrap();
        node.wait().unwrap();
        self.kills += 1;
        self.add();
    }

    fn restart(&mut self, kills: bool) {
        self.cluster.stop(Shutdown::Immediate);
        if kills {
            self.kill();
        }
        self.cluster.start_again();
        self.restarts += 1;
    }

    /// Lets all nodes come to their end, and says how many there were in all.
    pub(crate) fn finish(mut self) -> u32 {
        for node in &mut self.nodes {
            drop(node.stdin.take());
        }
        for mut node in self.nodes {
            assert!(node.wait().unwrap().success());
        }
        self.started
    }
}
