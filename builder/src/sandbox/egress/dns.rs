//! As much of DNS as answering the allowed names needs.
//!
//! Under [`Egress::Registries`](super::Egress), and wherever a proxy leads out, a name's answer is an address that stands for the name in this run: the
//! connection made to it tells which host is meant, and the real address is looked up, judged and used by us. So no tool needs
//! to know of a proxy, and no question leaves the machine that a build could put data into.
//!
//! Source: RFC 1035 §4.1.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::hosts::canonical;

#[cfg(test)]
mod tests;

/// First of 198.18.0.0/15, which is for benchmarks and nobody's (RFC 2544).
const POOL: u32 = 0xC612_0000;
/// More names than any build asks for.
const MAX_NAMES: usize = 4096;

const HEADER: usize = 12;
const A: u16 = 1;
const INTERNET: u16 = 1;
/// IXFR, AXFR, MAILB, MAILA and every type (RFC 1035 §3.2.3, RFC 1995).
const ZONES: std::ops::RangeInclusive<u16> = 251..=255;
/// An answer, with recursion.
const ANSWER: u16 = 0x8180;
const NAME_ERROR: u16 = 3;
const SECONDS: u32 = 60;

/// The names that a run has asked for, and the addresses that stand for them.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    /// The name that an address stands for.
    pub(super) fn name(&self, address: Ipv4Addr) -> Option<&str> {
        let number = address.to_bits().checked_sub(POOL)?.checked_sub(1)?;
        self.names
            .get(usize::try_from(number).ok()?)
            .map(String::as_str)
    }

    fn address(&mut self, name: &str) -> Option<Ipv4Addr> {
        let number = match self.numbers.get(name) {
            Some(&number) => number,
            None if self.names.len() < MAX_NAMES => {
                self.names.push(name.to_owned());
                self.numbers.insert(name.to_owned(), self.names.len() - 1);
                self.names.len() - 1
            }
            None => return None,
        };
        let number = u32::try_from(number).ok()?;
        Some(Ipv4Addr::from_bits(POOL + 1 + number))
    }

    /// The reply to a question, and the name if it is refused; no reply to what is no question.
    pub(super) fn reply(
        &mut self,
        message: &[u8],
        allowed: impl Fn(&str) -> bool,
    ) -> Option<(Vec<u8>, Option<String>)> {
        let question = Question::parse(message)?;
        let known = question.name.as_deref().filter(|name| allowed(name));
        let Some(name) = known else {
            return Some((question.reply(NAME_ERROR, None), question.name));
        };
        // Other types of an allowed name exist and are empty: clients then ask for A.
        let address = (question.kind == A).then(|| self.address(name)).flatten();
        Some((question.reply(0, address), None))
    }
}

/// Whether a message is one ordinary question: nothing that changes a server, or asks it for a zone or for all that it has.
pub(super) fn is_ordinary(message: &[u8]) -> bool {
    let asks_only = message.get(6..10) == Some(&[0; 4]);
    asks_only && Question::parse(message).is_some_and(|question| !ZONES.contains(&question.kind))
}

struct Question<'a> {
    id: [u8; 2],
    /// The question's bytes, to be repeated.
    bytes: &'a [u8],
    /// None if it is not a host's name.
    name: Option<String>,
    kind: u16,
}

impl<'a> Question<'a> {
    /// One standard question of the internet class.
    fn parse(message: &'a [u8]) -> Option<Self> {
        let header = message.get(..HEADER)?;
        let is_query = header[2] & 0xF8 == 0;
        let one_question = header[4..6] == [0, 1];
        if !is_query || !one_question {
            return None;
        }
        let mut labels = Vec::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            match length {
                0 => break,
                // A pointer, which a question has nothing to point to with.
                64.. => return None,
                _ => labels.push(message.get(at..at + length)?),
            }
            at += length;
            if at - HEADER > 255 {
                return None;
            }
        }
        let fixed = message.get(at..at + 4)?;
        let word = |two: &[u8]| u16::from_be_bytes([two[0], two[1]]);
        if word(&fixed[2..]) != INTERNET {
            return None;
        }
        let text = String::from_utf8(labels.join(&b'.')).ok();
        Some(Self {
            id: [header[0], header[1]],
            bytes: &message[HEADER..at + 4],
            name: text.as_deref().and_then(canonical),
            kind: word(fixed),
        })
    }

    fn reply(&self, code: u16, address: Option<Ipv4Addr>) -> Vec<u8> {
        let mut reply = self.id.to_vec();
        reply.extend((ANSWER | code).to_be_bytes());
        let answers = u16::from(address.is_some());
        for count in [1, answers, 0, 0] {
            reply.extend(count.to_be_bytes());
        }
        reply.extend(self.bytes);
        if let Some(address) = address {
            // The name is the one at the start of the question.
            reply.extend([0xC0, 12]);
            reply.extend(A.to_be_bytes());
            reply.extend(INTERNET.to_be_bytes());
            reply.extend(SECONDS.to_be_bytes());
            reply.extend([0, 4]);
            reply.extend(address.octets());
        }
        reply
    }
}
