//! A collector of traces: takes OTLP over HTTP and keeps the spans.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What came so far.
#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

/// Listens until it is dropped.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    kept: Arc<Mutex<Kept>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let all: Arc<Mutex<Kept>> = Arc::default();
        let kept = Arc::clone(&all);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let _the_sender_hung_up = serve(stream, &kept).await;
                });
            }
        });
        Self {
            endpoint,
            kept: all,
            listening,
        }
    }

    /// What came so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.kept.lock().unwrap().spans.clone()
    }

    /// The same to the byte, with all that comes beside spans.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.kept.lock().unwrap().bytes.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let scopes = request
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        keep(kept, spans.collect(), &body);
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn keep(kept: &Mutex<Kept>, spans: Vec<Span>, body: &[u8]) {
    let mut kept = kept.lock().unwrap();
    kept.spans.extend(spans);
    kept.bytes.extend(body);
}
