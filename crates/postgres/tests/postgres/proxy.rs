//! A way to the server on which answers get lost.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What becomes of the next answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// It is passed on.
    Forwarded,
    /// It is lost, and the connection with it.
    Lost,
    /// It is kept back, with every other.
    KeptBack,
}

/// Forwards connections to a port on 127.0.0.1, for as long as the process lives.
pub(crate) struct Proxy {
    port: u16,
    next: Arc<Mutex<Next>>,
    connections: Arc<AtomicUsize>,
    /// So many connections, the first that were made, pass nothing on any more.
    silent: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let next = Arc::new(Mutex::new(Next::Forwarded));
        let of_each = Arc::clone(&next);
        let connections = Arc::new(AtomicUsize::new(0));
        let silent = Arc::new(AtomicUsize::new(0));
        let (count, are_silent) = (Arc::clone(&connections), Arc::clone(&silent));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // Where the server is away, the client is told so by the end of its connection.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let pair = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let next = Arc::clone(&of_each);
                let (number, silent) =
                    (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&are_silent));
                let keep_silent = move || {
                    while number < silent.load(Ordering::SeqCst) {
                        thread::park();
                    }
                };
                let of_client = keep_silent.clone();
                let from_client = move || {
                    of_client();
                    true
                };
                let from_server = move || {
                    keep_silent();
                    is_forwarded(&next)
                };
                thread::spawn(move || forward(client, server, from_client));
                thread::spawn(move || forward(pair.1, pair.0, from_server));
            }
        });
        Self { port: own_port, next, connections, silent }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next answer of the server is lost, and its connection with it.
    pub(crate) fn lose_next_answer(&self) {
        *self.next.lock().unwrap() = Next::Lost;
    }

    /// No answer of the server comes through until they are let through again.
    pub(crate) fn keep_answers_back(&self) {
        *self.next.lock().unwrap() = Next::KeptBack;
    }

    /// How many have been made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Nothing comes through the connections that there are, in either direction, for ever.
    pub(crate) fn silence_connections(&self) {
        self.silent.store(self.connections(), Ordering::SeqCst);
    }

    pub(crate) fn let_answers_through(&self) {
        *self.next.lock().unwrap() = Next::Forwarded;
    }
}

/// Whether an answer is to be passed on; waits while it is kept back.
fn is_forwarded(next: &Mutex<Next>) -> bool {
    loop {
        let mut next = next.lock().unwrap();
        match *next {
            Next::Forwarded => return true,
            Next::Lost => {
                *next = Next::Forwarded;
                return false;
            }
            Next::KeptBack => {}
        }
        drop(next);
        thread::yield_now();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, mut may_pass: impl FnMut() -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer)
        && may_pass()
        && to.write_all(&buffer[..length]).is_ok()
    {}
    for end in [from, to] {
        // It may be closed already.
        drop(end.shutdown(Shutdown::Both));
    }
}
