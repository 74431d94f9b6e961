//! RabbitMQ's management API, over the smallest HTTP client that does.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

/// `http://user:password@host:port`, taken apart.
fn parts() -> (String, String) {
    let base = sluice_testkit::stack("STACK_RABBITMQ_MANAGEMENT");
    let rest = base.strip_prefix("http://").unwrap();
    let (credentials, host) = rest.trim_end_matches('/').rsplit_once('@').unwrap();
    (credentials.to_owned(), host.to_owned())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let mut three = [0; 4];
        three[1..=part.len()].copy_from_slice(part);
        let bits = u32::from_be_bytes(three);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > part.len() {
                '='
            } else {
                digit.into()
            });
        }
    }
    text
}

fn encode(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        write!(text, "%{byte:02X}").unwrap();
    }
    text
}

/// HTTP/1.0, so that the answer ends with the connection and is not chunked.
fn call(method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (credentials, host) = parts();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = TcpStream::connect(&host).unwrap();
    write!(
        stream,
        "{method} /api/{path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        base64(credentials.as_bytes()),
        body.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn queue_path(name: &str) -> String {
    format!("queues/%2F/{}", encode(name))
}

/// The names of the queues with this prefix.
pub(crate) fn queues(prefix: &str) -> Vec<String> {
    let (_, queues) = call("GET", "queues/%2F?columns=name", &Value::Null);
    let names = queues.as_array().unwrap().iter();
    let names = names.filter_map(|queue| queue["name"].as_str());
    let ours = names.filter(|name| name.starts_with(&format!("{prefix}.")));
    ours.map(str::to_owned).collect()
}

pub(crate) fn delete_queue(name: &str) {
    let (status, _) = call("DELETE", &queue_path(name), &Value::Null);
    assert!([204, 404].contains(&status), "{status}");
}

/// A quorum queue with no argument but its type.
pub(crate) fn declare_bare_queue(name: &str) {
    let arguments = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    let (status, _) = call("PUT", &queue_path(name), &arguments);
    assert_eq!(status, 201);
}

pub(crate) fn publish(queue: &str, payload: &str) {
    let message = json!({
        "routing_key": queue, "payload": payload, "payload_encoding": "string",
        "properties": {"headers": {"traceparent": "00-a-b-01"}},
    });
    let path = "exchanges/%2F/amq.default/publish";
    let (status, answer) = call("POST", path, &message);
    assert_eq!((status, &answer["routed"]), (200, &json!(true)));
}

/// Takes one message off a queue.
pub(crate) fn get(queue: &str) -> Option<Value> {
    let how = json!({"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"});
    let (_, messages) = call("POST", &format!("{}/get", queue_path(queue)), &how);
    messages.get(0).cloned()
}

/// Closes the connections whose name given by the client is this, and says how many.
pub(crate) fn close_connections(client_name: &str) -> usize {
    let (_, connections) = call("GET", "connections", &Value::Null);
    let ours = |c: &&Value| c["user_provided_name"] == client_name;
    let ours: Vec<_> = connections
        .as_array()
        .unwrap()
        .iter()
        .filter(ours)
        .collect();
    let close = |c: &&&Value| {
        let path = format!("connections/{}", encode(c["name"].as_str().unwrap()));
        call("DELETE", &path, &Value::Null).0 == 204
    };
    ours.iter().filter(close).count()
}
