//! Stands between a client and a server, and cuts the connection where it hurts.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees it.
    Before,
    /// The client never hears of it.
    After,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    is_armed: Arc<AtomicBool>,
}

impl Proxy {
    /// Passes everything on to this port of the machine.
    pub(crate) fn to(server: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let is_armed = Arc::new(AtomicBool::new(false));
        let armed = Arc::clone(&is_armed);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
                let armed = Arc::clone(&armed);
                std::thread::spawn(move || pass(&client, &server, cut, &armed));
            }
        });
        Self { port, is_armed }
    }

    /// The next commit is cut off, and none after it.
    pub(crate) fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    /// Whether there was no such commit so far.
    pub(crate) fn is_armed(&self) -> bool {
        self.is_armed.load(Ordering::SeqCst)
    }
}

/// Passes on what a client says, and in another thread what the server says.
fn pass(client: &TcpStream, server: &TcpStream, cut: Cut, is_armed: &AtomicBool) {
    let is_deaf = Arc::new(AtomicBool::new(false));
    let (from, to, ignores) = (server.try_clone(), client.try_clone(), Arc::clone(&is_deaf));
    std::thread::spawn(move || {
        let (mut from, mut to) = (from.expect("a socket"), to.expect("a socket"));
        let mut bytes = [0; 1 << 14];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if ignores.load(Ordering::SeqCst) || to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
    let (mut from, mut to) = (client, server);
    let mut bytes = [0; 1 << 14];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let is_commit = bytes[..length].windows(7).any(|word| word == b"COMMIT\0");
        if is_commit && is_armed.swap(false, Ordering::SeqCst) {
            match cut {
                Cut::Before => break,
                Cut::After => is_deaf.store(true, Ordering::SeqCst),
            }
        }
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
