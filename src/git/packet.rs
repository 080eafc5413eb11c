//! Git's packet lines (gitprotocol-common): four hex digits of length, then the bytes; some lengths are marks.

use std::io::{self, Read};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Data(Vec<u8>),
    /// `0000`: the end of a list.
    Flush,
    /// `0001`: the end of a section (version 2).
    Delimiter,
    /// `0002`: the end of an answer (version 2).
    End,
}

impl Packet {
    /// The packet as text, without the line break at its end.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Data(bytes) => Some(String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned()),
            _ => None,
        }
    }
}

/// Reads the next packet. The stream's end before one is an error: every answer ends with a mark.
pub(super) fn read(stream: &mut dyn Read) -> io::Result<Packet> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut decoded = [0; 2];
    hex::decode_to_slice(length, &mut decoded).map_err(|_| invalid("a packet without a length"))?;
    match usize::from(u16::from_be_bytes(decoded)) {
        0 => Ok(Packet::Flush),
        1 => Ok(Packet::Delimiter),
        2 => Ok(Packet::End),
        3 => Err(invalid("a packet with an impossible length")),
        length => {
            let mut data = vec![0; length - 4];
            stream.read_exact(&mut data)?;
            Ok(Packet::Data(data))
        }
    }
}

/// Appends one packet. Our own packets are lines of less than a hundred bytes.
pub(super) fn write(buffer: &mut Vec<u8>, text: &str) {
    buffer.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
}

pub(super) const FLUSH: &[u8] = b"0000";
pub(super) const DELIMITER: &[u8] = b"0001";

pub(super) fn invalid(cause: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_read_as_the_protocol_writes_them() {
        let mut stream: &[u8] = b"0006a\n0005a000bfoobar\n00040000000100020003";
        let mut texts = Vec::new();
        for _ in 0..7 {
            texts.push(read(&mut stream).unwrap());
        }
        let data = |text: &str| Packet::Data(text.as_bytes().to_vec());
        let expected = [data("a\n"), data("a"), data("foobar\n"), data(""), Packet::Flush, Packet::Delimiter, Packet::End];
        assert_eq!(texts, expected);
        assert!(read(&mut stream).is_err());
        assert!(read(&mut stream).is_err());
        assert!(read(&mut &b"00zz"[..]).is_err());
        assert!(read(&mut &b"0009abc"[..]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut stream = bytes.as_slice();
            while read(&mut stream).is_ok() {}
        }

        #[test]
        fn what_is_written_is_read(text in "[^\n]{0,80}") {
            let mut buffer = Vec::new();
            write(&mut buffer, &text);
            prop_assert_eq!(read(&mut buffer.as_slice()).unwrap().text(), Some(text));
        }
    }
}
