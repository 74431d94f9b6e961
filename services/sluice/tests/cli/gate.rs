//! A TCP proxy that lets a number of bytes through and then holds the rest until it is opened.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// The bytes that may still pass from the server.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) port: u16,
    left: Arc<(Mutex<u64>, Condvar)>,
}

impl Gate {
    /// Passes connections on to a port, and back no more than `bytes`.
    pub(crate) fn before(server: u16, bytes: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let gate = Self {
            port: listener.local_addr().unwrap().port(),
            left: Arc::new((Mutex::new(bytes), Condvar::new())),
        };
        let serving = gate.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                serving.connect(client.unwrap(), server);
            }
        });
        gate
    }

    fn connect(&self, client: TcpStream, server: u16) {
        let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            let _either_may_hang_up = std::io::copy(&mut from, &mut to);
            let _either_may_hang_up = to.shutdown(Shutdown::Write);
        });
        let gate = self.clone();
        thread::spawn(move || gate.pass_back(server, client));
    }

    fn pass_back(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut block = [0; 16 * 1024];
        while let Ok(read) = server.read(&mut block) {
            if read == 0 {
                break;
            }
            self.take(u64::try_from(read).unwrap());
            if client.write_all(&block[..read]).is_err() {
                break;
            }
        }
        let _either_may_hang_up = client.shutdown(Shutdown::Both);
    }

    fn take(&self, bytes: u64) {
        let (left, opened) = &*self.left;
        let mut left = left.lock().unwrap();
        while *left < bytes {
            left = opened.wait(left).unwrap();
        }
        *left -= bytes;
    }

    /// Lets everything pass.
    pub(crate) fn open(&self) {
        let (left, opened) = &*self.left;
        *left.lock().unwrap() = u64::MAX;
        opened.notify_all();
    }
}
