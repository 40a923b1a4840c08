//! Connections that can be cut: to lose an answer is something that a drill must be able to do.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// How many bytes wait between the connection and the server.
const BUFFER: usize = 64 * 1024;

/// How long it waits where no connection can be had for the moment.
const AGAIN: Duration = Duration::from_millis(50);

/// Listens for connections, and stands between each of them and the server.
pub(super) struct Lines(pub(super) TcpListener);

/// One connection, which can be cut.
#[derive(Debug, Clone)]
pub(super) struct Line(Option<AbortHandle>);

impl Line {
    /// Closes the connection; nothing more is sent on it.
    pub(super) fn cut(&self) {
        if let Some(carrying) = &self.0 {
            carrying.abort();
        }
    }
}

impl Listener for Lines {
    type Io = DuplexStream;
    type Addr = Line;

    async fn accept(&mut self) -> (DuplexStream, Line) {
        loop {
            let accepted: io::Result<(_, SocketAddr)> = self.0.accept().await;
            let Ok((mut connection, _)) = accepted else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let (near, mut far) = duplex(BUFFER);
            let carrying = tokio::spawn(async move {
                // Either end may close at any time, and that is its end.
                let _ = copy_bidirectional(&mut connection, &mut far).await;
            });
            return (near, Line(Some(carrying.abort_handle())));
        }
    }

    fn local_addr(&self) -> io::Result<Line> {
        Ok(Line(None))
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.remote_addr().clone()
    }
}
