//! A proxy before PostgreSQL that can lose an answer: it lets a statement through, waits until the database has
//! committed and answered, keeps the answer and cuts the line.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
};

pub struct Proxy {
    pub port: u16,
    armed: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Before the server whose socket is in this directory.
    pub async fn before(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (armed, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(accept(
            listener,
            socket.to_owned(),
            Arc::clone(&armed),
            Arc::clone(&lost),
        ));
        Self {
            port,
            armed,
            lost,
            task,
        }
    }

    /// Loses the answer of the next statement that is sent, and of as many after it.
    pub fn lose(&self, answers: usize) {
        self.armed.store(answers, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, armed: Arc<AtomicUsize>, lost: Arc<AtomicUsize>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = UnixStream::connect(&socket).await.unwrap();
        tokio::spawn(relay(client, server, Arc::clone(&armed), Arc::clone(&lost)));
    }
}

async fn relay(mut client: TcpStream, mut server: UnixStream, armed: Arc<AtomicUsize>, lost: Arc<AtomicUsize>) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(n @ 1..) = read else { return };
                let sent = &from_client[..n];
                // A bind message of the extended protocol: a statement that was prepared before is carried out.
                let carried_out = sent[0] == b'B';
                if server.write_all(sent).await.is_err() {
                    return;
                }
                let one_less = |n: usize| n.checked_sub(1);
                if carried_out && armed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
                    until_ready(&mut server).await;
                    lost.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(n @ 1..) = read else { return };
                if client.write_all(&from_server[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads messages until the server is ready for the next statement, outside a transaction.
async fn until_ready(server: &mut UnixStream) {
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
        let mut body = vec![0; length];
        server.read_exact(&mut body).await.unwrap();
        if head[0] == b'Z' {
            assert_eq!(body, b"I", "the statement was committed");
            return;
        }
    }
}
