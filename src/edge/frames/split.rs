//! Frames as they pass (RFC 9113 §4.1): their heads, and of a few kinds the start of what they carry.
//! Bytes are looked at, never held back.

/// Bytes of a frame's head.
const HEAD: usize = 9;
/// What is kept of a frame: SETTINGS with 32 entries.
const KEPT_MAX: usize = 192;

/// `DATA`
pub(super) const DATA: u8 = 0;
/// `HEADERS`
pub(super) const HEADERS: u8 = 1;
/// `PRIORITY`
pub(super) const PRIORITY: u8 = 2;
/// `RST_STREAM`
pub(super) const RST_STREAM: u8 = 3;
/// `SETTINGS`
pub(super) const SETTINGS: u8 = 4;
/// `PING`
pub(super) const PING: u8 = 6;
/// `GOAWAY`
pub(super) const GOAWAY: u8 = 7;
/// `WINDOW_UPDATE`
pub(super) const WINDOW_UPDATE: u8 = 8;
/// `CONTINUATION`
pub(super) const CONTINUATION: u8 = 9;

/// One frame, as far as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Bytes that it carries.
    pub length: u32,
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 for the connection.
    pub stream: u32,
    /// The start of what it carries.
    pub kept: &'a [u8],
}

impl Frame<'_> {
    /// END_STREAM of DATA and HEADERS, ACK of SETTINGS and PING.
    pub(super) fn is_last(&self) -> bool {
        self.flags & 1 != 0
    }

    pub(super) fn ends_headers(&self) -> bool {
        self.flags & 4 != 0
    }

    fn is_padded(&self) -> bool {
        self.flags & 8 != 0
    }

    /// Carries nothing but padding.
    pub(super) fn is_hollow(&self) -> bool {
        let padding =
            if self.is_padded() { 1 + self.kept.first().map_or(0, |pad| u32::from(*pad)) } else { 0 };
        self.length <= padding
    }

    /// How much of it is worth keeping.
    fn wanted(&self) -> usize {
        let most = match self.kind {
            SETTINGS => KEPT_MAX,
            WINDOW_UPDATE | RST_STREAM => 4,
            GOAWAY => 8,
            DATA if self.is_padded() => 1,
            _ => 0,
        };
        most.min(usize::try_from(self.length).unwrap_or(usize::MAX))
    }
}

/// Finds the frames in one direction of a connection.
#[derive(Debug)]
pub struct Split {
    /// Bytes before the first frame: the client's preface.
    preface: usize,
    head: [u8; HEAD],
    head_seen: usize,
    kept: Vec<u8>,
    /// Bytes of the frame that are still to come.
    rest: usize,
    told: bool,
}

impl Split {
    /// Begins with `preface` bytes that are no frame.
    #[must_use]
    pub fn new(preface: usize) -> Self {
        Self { preface, head: [0; HEAD], head_seen: 0, kept: Vec::new(), rest: 0, told: true }
    }

    /// Whether the next byte begins a frame.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.preface == 0 && self.head_seen == 0 && self.rest == 0
    }

    /// Looks at bytes that pass, and tells of each frame once.
    ///
    /// # Errors
    /// The first that `tell` gives; the rest is not looked at.
    pub fn pass<E>(
        &mut self,
        mut bytes: &[u8],
        mut tell: impl FnMut(&Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        bytes = bytes.get(preface..).unwrap_or_default();
        while !bytes.is_empty() {
            if self.head_seen < HEAD {
                bytes = self.take_head(bytes);
                if self.head_seen < HEAD {
                    return Ok(());
                }
            } else {
                bytes = self.take_payload(bytes);
            }
            let frame = self.frame();
            if !self.told && self.kept.len() >= frame.wanted() {
                let told = tell(&frame);
                self.told = true;
                told?;
            }
            if self.rest == 0 {
                (self.head_seen, self.told) = (0, true);
                self.kept.clear();
            }
        }
        Ok(())
    }

    fn take_head<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let length = (HEAD - self.head_seen).min(bytes.len());
        let (now, later) = bytes.split_at(length);
        if let Some(place) = self.head.get_mut(self.head_seen..self.head_seen + length) {
            place.copy_from_slice(now);
        }
        self.head_seen += length;
        if self.head_seen == HEAD {
            self.rest = usize::try_from(self.frame().length).unwrap_or(usize::MAX);
            self.told = false;
        }
        later
    }

    fn take_payload<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (now, later) = bytes.split_at(self.rest.min(bytes.len()));
        let lacking = self.frame().wanted().saturating_sub(self.kept.len());
        self.kept.extend(now.iter().take(lacking));
        self.rest -= now.len();
        later
    }

    fn frame(&self) -> Frame<'_> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
        Frame {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
            kept: &self.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    type Told = (u32, u8, u8, u32, Vec<u8>);

    fn told(split: &mut Split, bytes: &[u8], told: &mut Vec<Told>) {
        let all = split.pass::<()>(bytes, |frame| {
            told.push((frame.length, frame.kind, frame.flags, frame.stream, frame.kept.to_vec()));
            Ok(())
        });
        assert_eq!(all, Ok(()));
    }

    proptest! {
        /// However the bytes are cut, the same frames are found.
        #[test]
        fn cuts_change_nothing(
            frames in prop::collection::vec((0u8..12, any::<u8>(), 0u32..9, prop::collection::vec(any::<u8>(), 0..300)), 0..12),
            cuts in prop::collection::vec(1usize..40, 1..200),
        ) {
            let mut bytes = vec![0; 24];
            bytes.extend(frames.iter().flat_map(|(kind, flags, stream, payload)| written(*kind, *flags, *stream, payload)));
            let (mut whole, mut split) = (Vec::new(), Split::new(24));
            told(&mut split, &bytes, &mut whole);
            prop_assert_eq!(whole.len(), frames.len());
            prop_assert!(split.at_boundary());
            for (told, (kind, _, stream, payload)) in whole.iter().zip(&frames) {
                prop_assert_eq!((told.0 as usize, told.1, told.3), (payload.len(), *kind, *stream));
                prop_assert_eq!(&told.4[..], &payload[..told.4.len()]);
            }
            let (mut cut, mut split, mut rest) = (Vec::new(), Split::new(24), &bytes[..]);
            for length in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*length).min(rest.len()));
                told(&mut split, now, &mut cut);
                rest = later;
            }
            prop_assert_eq!(cut, whole);
        }
    }
}
