//! Where the joiners of Unicode change what a reader sees (RFC 5892 appendices A.1 and A.2).

use unicode_normalization::char::canonical_combining_class;

/// Whether a zero-width non-joiner between these changes how they look: after a virama, or between letters that would
/// join (RFC 5892 appendix A.1). `mark` is the last visible character, `letter` the last one that is no mark.
pub(crate) fn is_separated(mark: char, letter: Option<char>, next: Option<char>) -> bool {
    is_virama(mark) && next.is_some_and(has_conjuncts)
        || letter.is_some_and(joins_next) && next.is_some_and(joins_previous)
}

/// Whether a zero-width joiner between these changes how they look: after a virama (RFC 5892 appendix A.2). Two more are
/// in everyday use, Persian's abbreviation `ه` before a full stop, and RA that keeps its form before a virama.
pub(crate) fn is_joined(mark: char, letter: Option<char>, next: Option<char>) -> bool {
    is_virama(mark)
        || letter.is_some_and(joins_next) && !next.is_some_and(has_joining_forms)
        || matches!(mark, '\u{9b0}' | '\u{c30}' | '\u{cb0}') && next.is_some_and(is_virama)
}

/// A mark on a letter, which joining passes over.
pub(crate) fn is_mark(c: char) -> bool {
    !is_virama(c) && canonical_combining_class(c) != 0
}

fn is_virama(c: char) -> bool {
    canonical_combining_class(c) == 9
}

/// Scripts with viramas: from Devanagari to Sinhala, and those of south-east Asia.
fn has_conjuncts(c: char) -> bool {
    matches!(u32::from(c),
        0x0900..=0x0dff | 0x0f00..=0x109f | 0x1700..=0x17ff | 0x1900..=0x1cff | 0xa800..=0xabff
        | 0x1_0a00..=0x1_0a5f | 0x1_1000..=0x1_1fff)
}

fn has_joining_forms(c: char) -> bool {
    joins_next(c) || joins_previous(c)
}

/// Unicode 16's `Joining_Type` L and D (ArabicShaping.txt), of the scripts in use today.
fn joins_next(c: char) -> bool {
    matches!(u32::from(c),
        0x620 | 0x626 | 0x628 | 0x62a..=0x62e | 0x633..=0x63f | 0x641..=0x647 | 0x649..=0x64a
        | 0x66e..=0x66f | 0x678..=0x687 | 0x69a..=0x6bf | 0x6c1..=0x6c2 | 0x6cc | 0x6ce
        | 0x6d0..=0x6d1 | 0x6fa..=0x6fc | 0x6ff | 0x712..=0x714 | 0x71a..=0x71d | 0x71f..=0x727
        | 0x729 | 0x72b | 0x72d..=0x72e | 0x74e..=0x758 | 0x75c..=0x76a | 0x76d..=0x770 | 0x772
        | 0x775..=0x777 | 0x77a..=0x77f | 0x7ca..=0x7ea | 0x841..=0x845 | 0x848 | 0x84a..=0x853
        | 0x855 | 0x860 | 0x862..=0x865 | 0x868 | 0x886 | 0x889..=0x88d | 0x88f | 0x8a0..=0x8a9
        | 0x8af..=0x8b0 | 0x8b3..=0x8b8 | 0x8ba..=0x8c8 | 0x1807 | 0x1820..=0x1878
        | 0x1887..=0x18a8 | 0x18aa | 0x1_0d00..=0x1_0d21 | 0x1_0d23 | 0x1_e900..=0x1_e943)
}

/// Unicode 16's `Joining_Type` R and D, of the same scripts.
fn joins_previous(c: char) -> bool {
    matches!(u32::from(c),
        0x620 | 0x622..=0x63f | 0x641..=0x64a | 0x66e..=0x66f | 0x671..=0x673 | 0x675..=0x6d3
        | 0x6d5 | 0x6ee..=0x6ef | 0x6fa..=0x6fc | 0x6ff | 0x710 | 0x712..=0x72f | 0x74d..=0x77f
        | 0x7ca..=0x7ea | 0x840..=0x858 | 0x860 | 0x862..=0x865 | 0x867..=0x86a | 0x870..=0x882
        | 0x886 | 0x889..=0x88f | 0x8a0..=0x8ac | 0x8ae..=0x8c8 | 0x1807 | 0x1820..=0x1878
        | 0x1887..=0x18a8 | 0x18aa | 0x1_0d01..=0x1_0d23 | 0x1_e900..=0x1_e943)
}
