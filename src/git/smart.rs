//! Git's smart http protocol, as much of it as we need (gitprotocol-http, gitprotocol-v2, gitprotocol-pack). Version 2 where
//! the server speaks it, so that only the branches that we ask for are listed; else version 0. One request lists the
//! branches, one fetches, one pushes; what a push replaces is ours to say, which makes it a compare-and-swap.

use super::history::brought;
use super::http::Http;
use super::packet::{self, DELIMITER, FLUSH, Packet};
use super::wire::{Advertised, Fetch, Update, Wire, declined};
use super::{GitError, Oid};
use crate::failpoint::point;
use git2::{ErrorClass, Repository};
use std::io::{Read, Write};

pub(super) struct Smart {
    http: Http,
    /// What the server's fetching side can do, once it was asked.
    fetching: Option<Dialect>,
    /// The words of the server's receiving side.
    receiving: Option<String>,
}

#[derive(Clone)]
enum Dialect {
    /// The capabilities of version 0.
    Zero(String),
    Two,
}

const UPLOAD: &str = "git-upload-pack";
const RECEIVE: &str = "git-receive-pack";
const AGENT: &str = concat!("agent=windlass/", env!("CARGO_PKG_VERSION"));

impl Smart {
    pub(super) fn new(http: Http) -> Self {
        Self { http, fetching: None, receiving: None }
    }

    fn io(&self, error: &std::io::Error) -> GitError {
        if error.kind() == std::io::ErrorKind::FileTooLarge {
            return self.http.refused(&format!("the answer is larger than the {} bytes allowed", self.http.largest_answer));
        }
        self.http.unreachable(&format!("the answer broke off: {error}"))
    }

    fn next(&self, stream: &mut dyn Read) -> Result<Packet, GitError> {
        let packet = packet::read(stream).map_err(|error| self.io(&error))?;
        match &packet {
            Packet::Data(bytes) if bytes.starts_with(b"ERR ") => {
                let text = String::from_utf8_lossy(bytes.get(4..).unwrap_or_default()).into_owned();
                // "not our ref": the branch was rewritten between two requests. The rest may be load or rights.
                Err(self.http.unreachable(&text))
            }
            _ => Ok(packet),
        }
    }

    /// The lines with which a service introduces itself.
    fn advertisement(&self, stream: &mut dyn Read) -> Result<Vec<String>, GitError> {
        let mut packet = self.next(stream)?;
        if packet.text().is_some_and(|text| text.starts_with("# service=")) {
            // This line stands in a list of its own.
            self.next(stream)?;
            packet = self.next(stream)?;
        }
        let mut lines = Vec::new();
        while let Some(text) = packet.text() {
            lines.push(text);
            packet = self.next(stream)?;
        }
        Ok(lines)
    }

    /// Asks the server what it is; where it speaks version 0, that answer lists its references too.
    fn discover(&mut self) -> Result<(Dialect, Vec<String>), GitError> {
        let mut stream = self.http.discover(UPLOAD, true)?;
        let lines = self.advertisement(&mut stream)?;
        if lines.iter().any(|line| line.split([' ', '\0']).any(|word| word == "object-format=sha256")) {
            return Err(self.http.refused("the repository uses SHA-256 object ids, which are not supported"));
        }
        let dialect = match lines.first() {
            Some(line) if line == "version 2" => Dialect::Two,
            Some(line) => Dialect::Zero(line.split_once('\0').map(|(_, words)| words.to_owned()).unwrap_or_default()),
            None => Dialect::Zero(String::new()),
        };
        self.fetching = Some(dialect.clone());
        Ok((dialect, lines))
    }

    fn list_two(&mut self, names: &[&str]) -> Result<Advertised, GitError> {
        let mut body = Vec::new();
        packet::write(&mut body, "command=ls-refs\n");
        packet::write(&mut body, AGENT);
        body.extend_from_slice(DELIMITER);
        packet::write(&mut body, "symrefs\n");
        for name in ["HEAD"].iter().chain(names) {
            packet::write(&mut body, &format!("ref-prefix {name}\n"));
        }
        body.extend_from_slice(FLUSH);
        let mut stream = self.http.post(UPLOAD, true, &body)?;
        let mut advertised = Advertised::default();
        while let Some(line) = self.next(&mut stream)?.text() {
            let mut words = line.split(' ');
            let (Some(id), Some(name)) = (words.next().and_then(|id| id.parse().ok()), words.next()) else { continue };
            if name == "HEAD" {
                advertised.head = words.find_map(|word| word.strip_prefix("symref-target:")).map(str::to_owned);
                if let Some(head) = &advertised.head {
                    advertised.refs.insert(head.clone(), id);
                }
            } else {
                advertised.refs.insert(name.to_owned(), id);
            }
        }
        Ok(advertised)
    }

    /// Reads the pack that ends an answer into the mirror.
    fn pack(&self, mirror: &Repository, stream: &mut dyn Read, first: Option<Packet>) -> Result<(), GitError> {
        let unusable = |cause: String| self.http.unreachable(&format!("the pack cannot be read: {cause}"));
        // What this machine's disk refuses is not the server's fault.
        let kept = |error: &git2::Error| match error.class() {
            ErrorClass::Os | ErrorClass::Filesystem => local(mirror, error),
            _ => unusable(error.message().into()),
        };
        // The writer's own error says no more than that there was one; libgit2 remembers which.
        let written = |_| kept(&git2::Error::last_error(-1));
        let odb = mirror.odb().map_err(|error| kept(&error))?;
        let mut writer = odb.packwriter().map_err(|error| kept(&error))?;
        let mut next = first;
        loop {
            let packet = match next.take() {
                Some(packet) => packet,
                None => self.next(stream)?,
            };
            let Packet::Data(bytes) = packet else { break };
            match bytes.split_first() {
                Some((1, data)) => writer.write_all(data).map_err(written)?,
                Some((2, _)) | None => {}
                Some((_, text)) => return Err(self.http.unreachable(&String::from_utf8_lossy(text))),
            }
        }
        point("pack-received");
        writer.commit().map_err(|error| kept(&error))?;
        point("pack-kept");
        Ok(())
    }

    fn fetch_two(&self, mirror: &Repository, request: &Fetch<'_>) -> Result<(), GitError> {
        let mut body = Vec::new();
        packet::write(&mut body, "command=fetch\n");
        packet::write(&mut body, AGENT);
        body.extend_from_slice(DELIMITER);
        for word in ["thin-pack\n", "ofs-delta\n", "no-progress\n"] {
            packet::write(&mut body, word);
        }
        packet::write(&mut body, &format!("want {}\n", request.tip));
        request_history(&mut body, request);
        packet::write(&mut body, "done\n");
        body.extend_from_slice(FLUSH);
        let mut stream = self.http.post(UPLOAD, true, &body)?;
        loop {
            match self.next(&mut stream)? {
                Packet::Flush | Packet::End => return Err(self.http.unreachable("the answer holds no pack")),
                packet => {
                    if packet.text().as_deref() == Some("packfile") {
                        return self.pack(mirror, &mut stream, None);
                    }
                }
            }
        }
    }

    fn fetch_zero(&self, mirror: &Repository, request: &Fetch<'_>, words: &str) -> Result<(), GitError> {
        let has = |word: &str| words.split(' ').any(|other| other == word);
        if !has("side-band-64k") || (request.depth.is_some() && !has("shallow")) {
            return Err(self.http.refused("the server's Git is too old (no side-band-64k or no shallow fetch)"));
        }
        let wanted: Vec<&str> = ["multi_ack_detailed", "side-band-64k", "thin-pack", "ofs-delta", "no-progress"]
            .into_iter()
            .filter(|word| has(word))
            .collect();
        let mut body = Vec::new();
        packet::write(&mut body, &format!("want {} {} {AGENT}\n", request.tip, wanted.join(" ")));
        // In version 0 the list of wants ends before the list of haves.
        let mut haves = Vec::new();
        for have in &request.known.haves {
            packet::write(&mut haves, &format!("have {have}\n"));
        }
        for border in &request.known.shallow {
            packet::write(&mut body, &format!("shallow {border}\n"));
        }
        if let Some(depth) = request.depth {
            packet::write(&mut body, &format!("deepen {depth}\n"));
        }
        body.extend_from_slice(FLUSH);
        body.extend_from_slice(&haves);
        packet::write(&mut body, "done\n");
        let mut stream = self.http.post(UPLOAD, false, &body)?;
        if request.depth.is_some() {
            while self.next(&mut stream)? != Packet::Flush {}
        }
        loop {
            match self.next(&mut stream)? {
                Packet::Data(bytes) if bytes.starts_with(b"ACK") || bytes.starts_with(b"NAK") => {}
                packet @ Packet::Data(_) => return self.pack(mirror, &mut stream, Some(packet)),
                _ => return Err(self.http.unreachable("the answer holds no pack")),
            }
        }
    }
}

fn local(mirror: &Repository, error: &git2::Error) -> GitError {
    GitError::Mirror { path: mirror.path().display().to_string(), cause: error.message().into() }
}

fn request_history(body: &mut Vec<u8>, request: &Fetch<'_>) {
    for border in &request.known.shallow {
        packet::write(body, &format!("shallow {border}\n"));
    }
    if let Some(depth) = request.depth {
        packet::write(body, &format!("deepen {depth}\n"));
    }
    for have in &request.known.haves {
        packet::write(body, &format!("have {have}\n"));
    }
}

impl Wire for Smart {
    fn list(&mut self, names: &[&str]) -> Result<Advertised, GitError> {
        if matches!(self.fetching, Some(Dialect::Two)) {
            return self.list_two(names);
        }
        let (dialect, lines) = self.discover()?;
        let Dialect::Zero(words) = dialect else { return self.list_two(names) };
        let mut advertised = Advertised {
            head: words.split(' ').find_map(|word| word.strip_prefix("symref=HEAD:")).map(str::to_owned),
            refs: Default::default(),
        };
        for line in &lines {
            let line = line.split('\0').next().unwrap_or_default();
            let Some((id, name)) = line.split_once(' ') else { continue };
            if let (true, Ok(id)) = (names.contains(&name) || advertised.head.as_deref() == Some(name), id.parse()) {
                advertised.refs.insert(name.to_owned(), id);
            }
        }
        Ok(advertised)
    }

    fn fetch(&mut self, mirror: &Repository, request: &Fetch<'_>) -> Result<Oid, GitError> {
        let dialect = match self.fetching.clone() {
            Some(dialect) => dialect,
            None => self.discover()?.0,
        };
        match dialect {
            Dialect::Two => self.fetch_two(mirror, request)?,
            Dialect::Zero(words) => self.fetch_zero(mirror, request, &words)?,
        }
        Ok(request.tip)
    }

    /// A server introduces its receiving side only to those who may use it. Rules for single branches come later.
    fn may_push(&mut self, _mirror: &Repository, _name: &str, _at: Option<Oid>) -> Result<(), GitError> {
        let mut stream = self.http.discover(RECEIVE, false)?;
        self.advertisement(&mut stream).map(|_| ())
    }

    fn push(&mut self, mirror: &Repository, update: &Update<'_>) -> Result<(), GitError> {
        if self.receiving.is_none() {
            let mut stream = self.http.discover(RECEIVE, false)?;
            // The words stand behind the first reference; an empty repository has a line in its place.
            let lines = self.advertisement(&mut stream)?;
            let words =
                lines.first().and_then(|line| line.split_once('\0')).map(|(_, words)| words.to_owned()).unwrap_or_default();
            if !words.split(' ').any(|word| word == "report-status") {
                return Err(self.http.refused("the server does not report what became of a push"));
            }
            self.receiving = Some(words);
            point("push-discovered");
        }
        let has = |word: &str| self.receiving.iter().flat_map(|words| words.split(' ')).any(|other| other == word);
        let local = |error: git2::Error| local(mirror, &error);
        let sideband = has("side-band-64k");
        let mut body = Vec::new();
        let words = format!("report-status{} {AGENT}", if sideband { " side-band-64k" } else { "" });
        let old = update.old.unwrap_or(Oid::ZERO_SHA1);
        packet::write(&mut body, &format!("{old} {} {}\0 {words}", update.new, update.name));
        body.extend_from_slice(FLUSH);
        let mut builder = mirror.packbuilder().map_err(local)?;
        builder.set_threads(1);
        for id in brought(mirror, update.new, update.bases).map_err(local)? {
            builder.insert_object(id, None).map_err(local)?;
        }
        let mut pack = git2::Buf::new();
        builder.write_buf(&mut pack).map_err(local)?;
        body.extend_from_slice(&pack);
        point("push-ready");
        let mut stream = self.http.post(RECEIVE, false, &body)?;
        point("push-sent");
        self.report(&mut stream, sideband, update.name)
    }
}

impl Smart {
    /// Reads the server's report of a push.
    fn report(&self, stream: &mut dyn Read, sideband: bool, name: &str) -> Result<(), GitError> {
        let (mut report, mut text) = (Vec::new(), Vec::new());
        if sideband {
            while let Packet::Data(bytes) = self.next(stream)? {
                match bytes.split_first() {
                    Some((1, data)) => report.extend_from_slice(data),
                    Some((_, message)) if text.len() < 64 << 10 => text.extend_from_slice(message),
                    _ => {}
                }
            }
        } else {
            stream.take(1 << 20).read_to_end(&mut report).map_err(|error| self.io(&error))?;
        }
        let text = self.http.scrub.text(&String::from_utf8_lossy(&text));
        let mut lines = report.as_slice();
        let mut unpacked = None;
        while let Some(line) = self.next(&mut lines)?.text() {
            if line == format!("ok {name}") {
                return Ok(());
            }
            if let Some(reason) = line.strip_prefix("ng ").and_then(|rest| rest.strip_prefix(name)) {
                // "unpacker error" says nothing; the line before it says why.
                let reason = match unpacked.filter(|result: &String| result != "ok") {
                    Some(result) => format!("{}: {result}", reason.trim()),
                    None => reason.to_owned(),
                };
                return Err(declined(&self.http.address, &self.http.scrub.text(&reason), &text));
            }
            if let Some(result) = line.strip_prefix("unpack ") {
                unpacked = Some(result.to_owned());
            }
        }
        let reason = unpacked.unwrap_or_else(|| "no report".into());
        Err(declined(&self.http.address, &self.http.scrub.text(&reason), &text))
    }
}
