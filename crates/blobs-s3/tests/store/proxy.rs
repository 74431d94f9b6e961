//! A proxy that breaks chosen requests. It forwards bytes as they are, so the signed host is its
//! own address and stays right.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    None,
    /// The store never hears of it; this is the answer.
    Answer(u16, &'static str),
    /// The store does it, and the answer is lost.
    LoseAnswer,
    /// The store does it, and this is the answer.
    AnswerAfter(u16, &'static str),
    /// A bit of the body falls over.
    Corrupt,
}

type Rule = Arc<dyn Fn(&str) -> Fault + Send + Sync>;

/// Starts one that asks `rule` about each request line, and gives its URL.
pub(crate) async fn proxy(
    upstream: &str,
    rule: impl Fn(&str) -> Fault + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
    let rule: Rule = Arc::new(rule);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (upstream, rule) = (upstream.clone(), Arc::clone(&rule));
            tokio::spawn(async move { serve(client, &upstream, &rule).await });
        }
    });
    url
}

/// Serves a connection until either side ends it or a fault cuts it.
async fn serve(client: TcpStream, upstream: &str, rule: &Rule) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut server = BufReader::new(TcpStream::connect(upstream).await?);
    loop {
        let (head, mut body) = message(&mut client, false).await?;
        let line = String::from_utf8_lossy(&head);
        let line = line.lines().next().unwrap_or_default().to_owned();
        let fault = rule(&line);
        if let Fault::Answer(status, text) = fault {
            client.write_all(&answer(status, text)).await?;
            continue;
        }
        if let (Fault::Corrupt, Some(last)) = (&fault, body.last_mut()) {
            *last ^= 1;
        }
        server.write_all(&head).await?;
        server.write_all(&body).await?;
        let (head, body) = message(&mut server, line.starts_with("HEAD")).await?;
        match fault {
            Fault::LoseAnswer => return Ok(()),
            Fault::AnswerAfter(status, text) => client.write_all(&answer(status, text)).await?,
            _ => {
                client.write_all(&head).await?;
                client.write_all(&body).await?;
            }
        }
    }
}

fn answer(status: u16, text: &str) -> Vec<u8> {
    let length = text.len();
    format!("HTTP/1.1 {status} Scripted\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\r\n{text}")
        .into_bytes()
}

/// Reads a head and the body it announces.
async fn message(
    from: &mut (impl AsyncRead + Unpin),
    bodiless: bool,
) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let mut body = Vec::new();
    let field = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.map(str::trim)
    };
    if bodiless {
    } else if let Some(length) = field("content-length:") {
        body.resize(length.parse().unwrap(), 0);
        from.read_exact(&mut body).await?;
    } else if field("transfer-encoding:").is_some() {
        while !body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n" {
            body.push(from.read_u8().await?);
        }
    }
    Ok((head, body))
}
