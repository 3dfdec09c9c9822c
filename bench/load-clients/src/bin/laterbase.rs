//! Laterbase over HTTP/1.1: a connection that is kept, one request at a time, a batch as NDJSON.
//!
//! The status line and the length are read, and the body of the answer to its end; the ids in it
//! are not looked at.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use laterbase_load_clients::Error;
use laterbase_load_clients::event::Event;
use laterbase_load_clients::plan::Plan;
use laterbase_load_clients::threads::{self, Client};

/// Bytes that an event takes in a body, about.
const EVENT_BYTES: usize = 384;

/// One connection.
struct Connection {
    reader: BufReader<TcpStream>,
    address: String,
    /// The last answer's line.
    line: String,
    /// The last answer's body.
    answer: Vec<u8>,
    body: String,
    request: Vec<u8>,
}

impl Connection {
    fn new(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            reader: BufReader::with_capacity(32 << 10, stream),
            address: address.to_owned(),
            line: String::new(),
            answer: Vec::new(),
            body: String::new(),
            request: Vec::new(),
        })
    }

    /// Sends a request with the body that was put together; its answer, whose status must be this.
    fn ask(&mut self, method: &str, path: &str, status: &str) -> Result<(), Error> {
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-ndjson\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            self.body.len(),
        )?;
        self.request.extend_from_slice(self.body.as_bytes());
        self.reader.get_mut().write_all(&self.request)?;
        self.read_line()?;
        let good = self.line.split(' ').nth(1) == Some(status);
        let first = self.line.clone();
        let mut length = 0;
        loop {
            self.read_line()?;
            if self.line.is_empty() {
                break;
            }
            if let Some((name, value)) = self.line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.answer.resize(length, 0);
        self.reader.read_exact(&mut self.answer)?;
        if good {
            return Ok(());
        }
        Err(format!("{first}: {}", String::from_utf8_lossy(&self.answer)).into())
    }

    fn read_line(&mut self) -> Result<(), Error> {
        self.line.clear();
        if self.reader.read_line(&mut self.line)? == 0 {
            return Err("the server closed the connection".into());
        }
        self.line.truncate(self.line.trim_end().len());
        Ok(())
    }

    /// How many events the server says that it has.
    fn held(&mut self) -> Result<u64, Error> {
        self.body.clear();
        self.ask("GET", "/db/default", "200")?;
        let text = String::from_utf8_lossy(&self.answer).into_owned();
        let (_, rest) = text.split_once("\"events\":").ok_or("no `events` in the answer")?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    }
}

impl Client for Connection {
    fn append(&mut self, batch: Vec<Event>) -> Result<(), Error> {
        self.body.clear();
        self.body.reserve(batch.len() * EVENT_BYTES);
        for event in batch {
            // Nothing in these texts needs escaping.
            for part in [
                r#"{"type":""#,
                event.type_name,
                r#"","key":""#,
                &event.key,
                r#"","tags":[""#,
                &event.tag,
                r#""],"data":"#,
                &event.payload,
                "}\n",
            ] {
                self.body.push_str(part);
            }
        }
        self.ask("POST", "/e/shipment", "201")
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load-laterbase: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let plan = Plan::from_arguments()?;
    let tally = threads::run(&plan, || Connection::new(&plan.address))?;
    let held = Connection::new(&plan.address)?.held()?;
    tally.print(&plan, held)
}
