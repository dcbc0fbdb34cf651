//! The Merkle tree of RFC 6962 §2.1: extended a leaf at a time, in memory that grows with the logarithm
//! of its size.

use aws_lc_rs::digest::{Context, SHA256};

/// A node of the tree: SHA-256.
pub type TreeHash = [u8; 32];

/// The hash of a leaf (RFC 6962 §2.1).
pub fn leaf_hash(leaf: &[u8]) -> TreeHash {
    hash(0, &[leaf])
}

fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    hash(1, &[left, right])
}

/// The prefix keeps a leaf from passing for a node.
fn hash(prefix: u8, parts: &[&[u8]]) -> TreeHash {
    let mut context = Context::new(&SHA256);
    context.update(&[prefix]);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// A tree that only grows: the roots of its perfect subtrees, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MerkleTree {
    size: u64,
    /// One for each bit that is set in the size.
    subtrees: Vec<TreeHash>,
}

impl MerkleTree {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its [`leaf_hash`].
    pub fn push(&mut self, leaf: TreeHash) {
        let mut node = leaf;
        let mut size = self.size;
        while size & 1 == 1 {
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            node = node_hash(&left, &node);
            size >>= 1;
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// The root (RFC 6962 §2.1); of an empty tree, the hash of nothing.
    pub fn root(&self) -> TreeHash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(last) = subtrees.next() else {
            let mut root = [0; 32];
            root.copy_from_slice(Context::new(&SHA256).finish().as_ref());
            return root;
        };
        subtrees.fold(*last, |right, left| node_hash(left, &right))
    }
}

fn root_of(leaves: &[TreeHash]) -> TreeHash {
    let mut tree = MerkleTree::default();
    for leaf in leaves {
        tree.push(*leaf);
    }
    tree.root()
}

/// Proves that the tree over `leaves` continues the tree over the first `old` of them (RFC 6962
/// §2.1.2). Empty where there is nothing to prove: `old` is 0, all leaves, or more.
pub fn consistency_proof(leaves: &[TreeHash], old: usize) -> Vec<TreeHash> {
    let mut proof = Vec::new();
    if old > 0 && old < leaves.len() {
        subproof(leaves, old, true, &mut proof);
    }
    proof
}

/// `SUBPROOF` of RFC 6962 §2.1.2. `whole` says whether the old tree's root is that of these leaves,
/// which the verifier has.
fn subproof(leaves: &[TreeHash], old: usize, whole: bool, proof: &mut Vec<TreeHash>) {
    if old == leaves.len() {
        if !whole {
            proof.push(root_of(leaves));
        }
        return;
    }
    // The largest power of two that is smaller than the number of leaves.
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at_checked(split).unwrap_or((leaves, &[]));
    if old <= split {
        subproof(left, old, whole, proof);
        proof.push(root_of(right));
    } else {
        subproof(right, old - split, false, proof);
        proof.push(root_of(left));
    }
}

#[cfg(test)]
mod tests {
    use jeton_core::hex;

    use super::*;

    /// The leaves and roots with which implementations of Certificate Transparency are tested.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn leaves() -> Vec<TreeHash> {
        LEAVES.into_iter().map(leaf_hash).collect()
    }

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let mut tree = MerkleTree::default();
        assert_eq!(hex::encode(&tree.root()), ROOTS[0]);
        for (leaf, root) in leaves().into_iter().zip(&ROOTS[1..]) {
            tree.push(leaf);
            assert_eq!(hex::encode(&tree.root()), *root);
        }
    }

    /// RFC 9162 §2.1.4.2, by somebody who has only the two roots.
    fn is_consistent(old: usize, new: usize, roots: [TreeHash; 2], proof: &[TreeHash]) -> bool {
        let mut path = proof.to_vec();
        if old.is_power_of_two() {
            path.insert(0, roots[0]);
        }
        let (mut node, mut last) = (old - 1, new - 1);
        while node & 1 == 1 {
            node >>= 1;
            last >>= 1;
        }
        let (mut first, mut second) = (path[0], path[0]);
        for step in &path[1..] {
            if last == 0 {
                return false;
            }
            if node & 1 == 1 || node == last {
                first = node_hash(step, &first);
                second = node_hash(step, &second);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                second = node_hash(&second, step);
            }
            node >>= 1;
            last >>= 1;
        }
        first == roots[0] && second == roots[1] && last == 0
    }

    #[test]
    fn a_consistency_proof_convinces_whoever_has_both_roots() {
        let leaves = leaves();
        for new in 2..=leaves.len() {
            for old in 1..new {
                let roots = [root_of(&leaves[..old]), root_of(&leaves[..new])];
                let proof = consistency_proof(&leaves[..new], old);
                assert!(is_consistent(old, new, roots, &proof), "{old} {new}");
                let other = [root_of(&leaves[..old]), roots[0]];
                assert!(!is_consistent(old, new, other, &proof), "{old} {new}");
            }
        }
        assert!(consistency_proof(&leaves, 0).is_empty());
        assert!(consistency_proof(&leaves, 8).is_empty());
    }
}
