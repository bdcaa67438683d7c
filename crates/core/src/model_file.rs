//! Model files: a prior as bytes that say what they are, and that are refused when they are not what they say.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the mark; like PNG's, it does not survive a transfer as text |
//! | 2 | version of the format |
//! | 2 | form of the prior: 1 forest, 2 trees, 3 network |
//! | 4 | fingerprint of the features it reads |
//! | 4 + 4 | lengths of the next two |
//! | … | metadata: JSON, for people and for Python |
//! | … | the prior |
//! | 4 | CRC-32 (IEEE 802.3) of all before |
//!
//! All numbers are little-endian. Nothing in a file is ever executed.

use std::fmt;

use crate::bytes::Bytes;
use crate::features::{CODES, FEATURES, FEATURES_VERSION, NAMES};
use crate::network::{Layer, Network};
use crate::predictor::Forest;
use crate::prior::Prior;
use crate::trees::{Node, Trees};

const MARK: &[u8; 8] = b"\x89FCM\r\n\x1a\n";
const VERSION: u16 = 1;
const HEADER: usize = 24;
const CHECKSUM: usize = 4;

/// Why bytes are no model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They do not begin with the mark.
    Foreign,
    /// They are of another version of the format.
    Version(u16),
    /// There should be more of them, or fewer.
    Length {
        /// By the header.
        expected: usize,
        /// In fact.
        found: usize,
    },
    /// The checksum does not agree.
    Damaged,
    /// The model reads other features than this version computes.
    Features,
    /// The checksum agrees, but what it covers makes no sense.
    Content(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => write!(f, "this is no model file; expected one that `forecache train` wrote"),
            Self::Version(version) => write!(
                f,
                "the model file is of format {version}; expected format {VERSION}: train it anew with this version"
            ),
            Self::Length { expected, found } => write!(
                f,
                "the model file has {found} bytes; expected {expected}: it is incomplete or has been added to, copy it again"
            ),
            Self::Damaged => write!(f, "the model file is damaged, its checksum does not agree; copy it again"),
            Self::Features => write!(
                f,
                "the model reads other features than this version computes (version {FEATURES_VERSION}, {FEATURES} of them); \
                 train it anew with this version"
            ),
            Self::Content(what) => write!(f, "the model file makes no sense: {what}; train it anew"),
        }
    }
}

impl std::error::Error for Fault {}

/// What identifies the features: a prior must not read what it was not trained on.
#[must_use]
pub fn fingerprint() -> u32 {
    let names = NAMES.iter().flat_map(|name| name.bytes().chain([0]));
    // FNV-1a: Fowler, Noll & Vo.
    let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    FEATURES_VERSION.to_le_bytes().into_iter().chain([CODES]).chain(names).fold(0x811c_9dc5, hash)
}

/// A prior as bytes.
#[must_use]
pub fn encode(prior: &Prior, metadata: &str) -> Vec<u8> {
    let (form, payload) = match prior {
        Prior::Forest(forest) => (1u16, forest.to_bytes()),
        Prior::Trees(trees) => (2, trees_to_bytes(trees)),
        Prior::Network(network) => (3, network_to_bytes(network)),
    };
    let mut bytes = MARK.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(form.to_le_bytes());
    for number in [fingerprint(), metadata.len() as u32, payload.len() as u32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(metadata.as_bytes());
    bytes.extend(payload);
    let checksum = crc32(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// The metadata of a forest that corrects `prior`.
#[must_use]
pub fn corrects(prior: &Prior) -> String {
    format!("corrects {:08x}", crc32(&encode(prior, "")))
}

/// The prior in `bytes`, and its metadata.
///
/// # Errors
/// Says why they are no model that can be used.
pub fn decode(bytes: &[u8]) -> Result<(Prior, String), Fault> {
    if !bytes.starts_with(&MARK[..bytes.len().min(MARK.len())]) || bytes.is_empty() {
        return Err(Fault::Foreign);
    }
    let mut header = Bytes(bytes.get(MARK.len()..HEADER).ok_or_else(|| short(HEADER + CHECKSUM, bytes))?);
    let (version, form) = (header.u16()?, header.u16()?);
    if version != VERSION {
        return Err(Fault::Version(version));
    }
    let (features, text, payload) = (header.u32()?, header.u32()? as usize, header.u32()? as usize);
    let expected = HEADER + text + payload + CHECKSUM;
    if bytes.len() != expected {
        return Err(short(expected, bytes));
    }
    let (covered, checksum) = bytes.split_at(expected - CHECKSUM);
    if crc32(covered).to_le_bytes() != checksum {
        return Err(Fault::Damaged);
    }
    if features != fingerprint() {
        return Err(Fault::Features);
    }
    let (metadata, payload) = covered[HEADER..].split_at(text);
    let metadata = std::str::from_utf8(metadata).map_err(|_| Fault::Content("its metadata is no UTF-8"))?;
    Ok((prior(form, payload)?, metadata.to_owned()))
}

fn short(expected: usize, bytes: &[u8]) -> Fault {
    Fault::Length { expected, found: bytes.len() }
}

fn prior(form: u16, payload: &[u8]) -> Result<Prior, Fault> {
    let mut reader = Bytes(payload);
    let prior = match form {
        1 => {
            let forest = Forest::from_bytes(payload).ok_or(Fault::Content("its forest cannot be read"))?;
            return Ok(Prior::Forest(forest));
        }
        2 => Prior::Trees(trees_of(&mut reader)?),
        3 => Prior::Network(network_of(&mut reader)?),
        _ => return Err(Fault::Content("its form is unknown")),
    };
    if reader.0.is_empty() { Ok(prior) } else { Err(Fault::Content("there is something after the prior")) }
}

fn trees_to_bytes(trees: &Trees) -> Vec<u8> {
    let mut bytes = trees.base().to_le_bytes().to_vec();
    for length in [trees.roots().len(), trees.nodes().len()] {
        bytes.extend((length as u32).to_le_bytes());
    }
    bytes.extend(trees.roots().iter().flat_map(|root| root.to_le_bytes()));
    for node in trees.nodes() {
        bytes.extend([node.feature, node.threshold]);
        bytes.extend(node.children.iter().flat_map(|child| child.to_le_bytes()));
        bytes.extend(node.value.to_le_bytes());
    }
    bytes
}

fn network_to_bytes(network: &Network) -> Vec<u8> {
    let mut bytes = Vec::new();
    let floats =
        |bytes: &mut Vec<u8>, values: &[f32]| bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    for &(mean, factor) in &network.scaling {
        floats(&mut bytes, &[mean, factor]);
    }
    bytes.extend((network.flags.len() as u32).to_le_bytes());
    bytes.extend(network.flags.iter().flat_map(|&(feature, code)| [feature, code]));
    bytes.extend((network.layers.len() as u32).to_le_bytes());
    for layer in &network.layers {
        for length in [layer.biases.len(), layer.weights.len()] {
            bytes.extend((length as u32).to_le_bytes());
        }
        floats(&mut bytes, &layer.biases);
        floats(&mut bytes, &layer.weights);
    }
    bytes
}

fn trees_of(bytes: &mut Bytes) -> Result<Trees, Fault> {
    let (base, roots, nodes) = (bytes.f32()?, bytes.u32()?, bytes.u32()?);
    let roots = bytes.many(roots, Bytes::u32)?;
    let nodes = bytes.many(nodes, |bytes| {
        let [feature, threshold] = bytes.array()?;
        Ok(Node { feature, threshold, children: [bytes.u32()?, bytes.u32()?], value: bytes.f32()? })
    })?;
    Trees::new(base, roots, nodes).map_err(Fault::Content)
}

fn network_of(bytes: &mut Bytes) -> Result<Network, Fault> {
    let mut scaling = [(0.0, 0.0); FEATURES];
    for pair in &mut scaling {
        *pair = (bytes.f32()?, bytes.f32()?);
    }
    let flags = bytes.u32()?;
    let flags = bytes.many(flags, |bytes| bytes.array().map(|[feature, code]| (feature, code)))?;
    let layers = bytes.u32()?;
    let layers = bytes.many(layers, |bytes| {
        let (outputs, weights) = (bytes.u32()?, bytes.u32()?);
        let biases = bytes.many(outputs, Bytes::f32)?;
        Ok(Layer { biases, weights: bytes.many(weights, Bytes::f32)? })
    })?;
    Network { scaling, flags, layers }.checked().map_err(Fault::Content)
}

/// Bit by bit: models are read seldom.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::{network, predictor, trees};

    fn priors() -> [Prior; 3] {
        let mut chance = Chance::new(3);
        [
            Prior::Forest(predictor::tests::forest(&mut chance)),
            Prior::Trees(trees::tests::trees(&mut chance)),
            Prior::Network(network::tests::network(&mut chance)),
        ]
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        for prior in priors() {
            assert_eq!(decode(&encode(&prior, "{\"α\": 1}")), Ok((prior, "{\"α\": 1}".to_owned())));
        }
    }

    #[test]
    fn every_part_and_every_change_of_a_file_is_refused() {
        for prior in priors() {
            let bytes = encode(&prior, "{}");
            for length in (0..HEADER + 8).chain([bytes.len() / 2, bytes.len() - 1]) {
                assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
            }
            for at in (0..HEADER + 8).chain([bytes.len() / 2, bytes.len() - 1]) {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                assert!(decode(&changed).is_err(), "byte {at}");
            }
        }
    }

    /// Whoever makes the checksum agree can make a useless prior, but not one that breaks anything.
    #[test]
    fn forged_priors_are_refused_or_can_be_asked() {
        let mut chance = Chance::new(4);
        for prior in priors() {
            let bytes = encode(&prior, "");
            for _ in 0..2000 {
                let mut forged = bytes[..bytes.len() - CHECKSUM].to_vec();
                for _ in 0..=chance.below(4) {
                    let at = HEADER + chance.below(forged.len() - HEADER);
                    forged[at] = chance.bits() as u8;
                }
                let checksum = crc32(&forged);
                forged.extend(checksum.to_le_bytes());
                if let Ok((prior, _)) = decode(&forged) {
                    _ = prior.scores(&[[chance.bits() as u8; crate::features::BATCH]; crate::features::WIDTH]);
                }
            }
        }
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
