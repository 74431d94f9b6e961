//! A server that says what a test tells it to, a connection an answer, and remembers what it was
//! asked.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// An answer.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Ends the connection after this many bytes of the body.
    cut: Option<usize>,
    /// Only for requests with this `Authorization`; others get a 401 and may try again.
    needs: Option<String>,
    delay: Duration,
}

pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
        cut: None,
        needs: None,
        delay: Duration::ZERO,
    }
}

impl Answer {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn suits(&self, asked: &Asked) -> bool {
        let needed = self.needs.as_ref();
        needed.is_none_or(|needed| asked.headers.get("authorization") == Some(needed))
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    pub(crate) fn only_for(mut self, token: &str) -> Self {
        self.needs = Some(format!("Bearer {token}"));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A request: method and path, headers with lower-case names, and a body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<Answer>>,
    asked: Vec<Asked>,
}

/// A scripted server.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            script: Arc::default(),
        };
        let serving = server.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (serving, connection) = (serving.clone(), connection.unwrap());
                thread::spawn(move || serving.serve(connection));
            }
        });
        server
    }

    /// Answers requests such as `GET /a?b` in this order; the last answer is repeated.
    pub(crate) fn on(&self, request: &str, answers: impl IntoIterator<Item = Answer>) -> &Self {
        let mut script = self.script.lock().unwrap();
        let answers = answers.into_iter().collect();
        script.answers.insert(request.to_owned(), answers);
        self
    }

    /// The requests for a path, in order.
    pub(crate) fn asked(&self, request: &str) -> Vec<Asked> {
        let script = self.script.lock().unwrap();
        let asked = script.asked.iter();
        asked.filter(|one| one.line == request).cloned().collect()
    }

    fn serve(&self, connection: TcpStream) {
        let Some(asked) = read(&connection) else {
            return;
        };
        let answer = {
            let mut script = self.script.lock().unwrap();
            script.asked.push(asked.clone());
            let answers = script.answers.get_mut(&asked.line);
            answers.and_then(|answers| match answers.front() {
                Some(first) if !first.suits(&asked) => Some(self::answer(401, "")),
                Some(_) if answers.len() > 1 => answers.pop_front(),
                first => first.cloned(),
            })
        };
        let answer = answer.unwrap_or_else(|| self::answer(404, "not in the script"));
        thread::sleep(answer.delay);
        let _the_client_may_have_left = write(connection, &answer);
    }
}

fn read(connection: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(connection);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let line = format!("{} {}", words.next()?, words.next()?);
    let headers: HashMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_owned()))
        })
        .collect();
    let length = headers.get("content-length");
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Asked {
        line,
        headers,
        body,
    })
}

fn write(mut connection: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    connection.write_all(format!("{head}\r\n").as_bytes())?;
    let end = answer.cut.unwrap_or(answer.body.len());
    connection.write_all(&answer.body[..end])
}
