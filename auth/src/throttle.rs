//! Slowing down whoever guesses.
