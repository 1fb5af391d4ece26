//! The automaton of Aho and Corasick over the needles, made only where a stream goes through it.
//!
//! It looks at every byte, which is slow, but at each only a bounded number of times whatever the
//! text: needles that are mostly one letter, or beginnings of each other, cannot make it slower.
//! Its state is the longest end of the text that is the beginning of a needle, which is also
//! exactly what a stream has to hold back.

use std::fmt;

use super::needles::{Needles, Node};

/// The links of the nodes that were visited. They say nothing without the needles.
#[derive(Default)]
pub(crate) struct Machine {
    /// For each needle, the links of the nodes that are numbered by it, from the top down.
    links: Vec<Vec<Link>>,
}

/// Where to go on when a node has no child, and what ends there.
#[derive(Clone, Copy)]
struct Link {
    /// The node of the longest proper suffix that is the beginning of a needle.
    suffix: Node,
    /// The longest needle that is a proper suffix.
    ends: Option<u32>,
}

impl Machine {
    /// One byte further. The new node is the longest end of the text that begins a needle.
    pub(crate) fn step(&mut self, needles: &Needles, mut node: Node, byte: u8) -> Node {
        loop {
            if let Some(child) = needles.child(node, byte) {
                return child;
            }
            if node.depth == 0 {
                return node;
            }
            node = self.link(needles, node).suffix;
        }
    }

    /// The longest needle that the text ends with, at this node.
    pub(crate) fn ending(&mut self, needles: &Needles, node: Node) -> Option<u32> {
        if node.depth == 0 {
            None
        } else if needles.ends(node) {
            Some(node.lo)
        } else {
            self.link(needles, node).ends
        }
    }

    /// The longest end of the text that can go on: a node that nothing goes on from is left.
    pub(crate) fn settle(&mut self, needles: &Needles, mut node: Node) -> Node {
        while node.depth > 0 && node.hi - node.lo == 1 && needles.ends(node) {
            node = self.link(needles, node).suffix;
        }
        node
    }

    /// The link of a node, made now if it was not needed before, with all that it takes. A stack
    /// instead of recursion, because one may lead to a million others.
    fn link(&mut self, needles: &Needles, node: Node) -> Link {
        if self.links.is_empty() {
            self.links.resize_with(needles.len(), Vec::new);
        }
        let mut wanted = vec![node];
        let mut last = Link {
            suffix: needles.root(),
            ends: None,
        };
        while let Some(&node) = wanted.last() {
            match self
                .known(needles, node)
                .map_or_else(|| self.make(needles, node), Ok)
            {
                Ok(link) => {
                    last = link;
                    wanted.pop();
                }
                Err(first) => wanted.push(first),
            }
        }
        last
    }

    /// Makes one link, or says which other node's link has to be made first.
    fn make(&mut self, needles: &Needles, node: Node) -> Result<Link, Node> {
        let root = needles.root();
        let suffix = if node.depth == 1 {
            root
        } else {
            let above = needles.above(node);
            let byte = needles.text(node.lo as usize)[node.depth as usize - 1];
            let mut suffix = self.known(needles, above).ok_or(above)?.suffix;
            loop {
                if let Some(child) = needles.child(suffix, byte) {
                    break child;
                }
                if suffix.depth == 0 {
                    break root;
                }
                suffix = self.known(needles, suffix).ok_or(suffix)?.suffix;
            }
        };
        let ends = if suffix.depth == 0 {
            None
        } else if needles.ends(suffix) {
            Some(suffix.lo)
        } else {
            self.known(needles, suffix).ok_or(suffix)?.ends
        };
        let link = Link { suffix, ends };
        // The node above has the same number or is the last of another's: links are made in order.
        let made = &mut self.links[node.lo as usize];
        if Self::place(needles, node) == made.len() {
            made.push(link);
        }
        Ok(link)
    }

    fn known(&self, needles: &Needles, node: Node) -> Option<Link> {
        self.links[node.lo as usize]
            .get(Self::place(needles, node))
            .copied()
    }

    fn place(needles: &Needles, node: Node) -> usize {
        (node.depth - needles.common(node.lo as usize)) as usize - 1
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}
