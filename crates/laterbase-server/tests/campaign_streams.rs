//! Ten thousand event streams on one server, a process of its own: each is told of an event within
//! a second, and all together take less than a gibibyte.
//!
//! Where the system allows a process fewer open files, as many streams as it allows, with their
//! share of the memory; the test says so.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use laterbase::{Database, Options};
use laterbase_server::{Databases, Listening, ServerConfig, check_address};
use tokio::sync::watch;

const STREAMS: usize = 10_000;
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Set for the process that serves: where.
const SERVES: &str = "LATERBASE_TEST_SERVES";

/// The serving process, until it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: what the other process runs.
#[test]
fn serve_until_the_input_ends() {
    let Ok(directory) = std::env::var(SERVES) else { return };
    let directory = std::path::PathBuf::from(directory);
    Database::create(&directory, Options::default()).unwrap().close().unwrap();
    let config = Arc::new(ServerConfig::default());
    let databases = Databases::open(&directory, &Options::default(), &config).unwrap();
    let server = laterbase_server::Server::of(databases);
    let listening = Listening::new(server, check_address("127.0.0.1:0").unwrap()).unwrap();
    println!("\nserving {}", listening.address());
    let (stop, told) = watch::channel(false);
    let running = std::thread::spawn(move || listening.run(told));
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).unwrap();
    stop.send(true).unwrap();
    running.join().unwrap();
}

fn serve(directory: &std::path::Path) -> (Server, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serve_until_the_input_ends", "--nocapture"])
        .env(SERVES, directory.join("db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let server = Server(child);
    let address = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("serving ").map(str::to_owned))
        .unwrap();
    (server, address)
}

fn open(address: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "GET /e?type=ping HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::with_capacity(512, stream);
    until(&mut lines, ": open");
    lines
}

fn until(lines: &mut BufReader<TcpStream>, start: &str) {
    let mut line = String::new();
    while !line.starts_with(start) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the stream ended");
        assert!(!line.starts_with("HTTP/1.1 5"), "{line}");
    }
}

fn memory_bytes(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}

fn append(address: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = "{\"type\":\"ping\",\"data\":1}";
    let head = "POST /e/gate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ";
    write!(stream, "{head}{}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[test]
fn ten_thousand_streams_are_told_within_a_second_and_within_a_gibibyte() {
    // The server keeps a quarter of its descriptors for its databases.
    let count = STREAMS.min((files_max() / 4 * 3).saturating_sub(100));
    let directory = tempfile::tempdir().unwrap();
    let (server, address) = serve(directory.path());
    let mut streams: Vec<_> = (0..count).map(|_| open(&address)).collect();
    // The median of three: this machine does other things, too.
    let mut took: Vec<Duration> = (0..3)
        .map(|_| {
            let began = Instant::now();
            append(&address);
            streams.iter_mut().for_each(|lines| until(lines, "data: "));
            began.elapsed()
        })
        .collect();
    took.sort();
    let bytes = memory_bytes(&server);
    println!("{count} streams: {} MiB, told within {took:?}", bytes >> 20);
    if count < STREAMS {
        println!(
            "SKIPPED {} streams: this process may open {} files",
            STREAMS - count,
            files_max()
        );
    }
    assert!(took[1] < Duration::from_secs(1), "{took:?}");
    assert!(bytes < MEMORY_BYTES_MAX * count / STREAMS, "{} MiB", bytes >> 20);
}
