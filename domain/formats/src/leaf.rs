//! The hashes of the log's Merkle tree (RFC 6962 § 2.1): leaves and inner nodes can't be taken for one another.

use sha2::{Digest, Sha256};

/// The hash of one event's canonical bytes: SHA-256(0x00 ‖ body).
#[must_use]
pub fn leaf_hash(body: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix([0]).chain_update(body).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new_with_prefix([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root of the tree over these leaf hashes, in log order. The empty tree's root is SHA-256 of nothing.
#[must_use]
pub fn root_of(leaves: &[[u8; 32]]) -> [u8; 32] {
    // Roots of complete subtrees, largest first: at most one per bit of the number of leaves.
    let mut peaks: Vec<(u64, [u8; 32])> = Vec::with_capacity(64);
    for leaf in leaves {
        let mut node = (1, *leaf);
        while let Some(left) = peaks.pop_if(|peak| peak.0 == node.0) {
            node = (node.0 * 2, node_hash(&left.1, &node.1));
        }
        peaks.push(node);
    }
    let Some((_, mut root)) = peaks.pop() else {
        return Sha256::digest([]).into();
    };
    while let Some((_, left)) = peaks.pop() {
        root = node_hash(&left, &root);
    }
    root
}
