// Package compare says what differs between two answers to the same request, when what
// differs by nature (times, identifiers, allocated addresses) is left out, and which of
// the differences are meant. Pure; it imports nothing of ours.
package compare
